//! See [`planetary_fuzz::names`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::names(data));
