//! See [`planetary_fuzz::extension`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::extension(data));
