//! See [`planetary_fuzz::meta`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::meta(data));
