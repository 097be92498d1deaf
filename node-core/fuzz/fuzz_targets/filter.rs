//! See [`planetary_fuzz::filter`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::filter(data));
