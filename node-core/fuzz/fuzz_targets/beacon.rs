//! See [`planetary_fuzz::beacon`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::beacon(data));
