//! See [`planetary_fuzz::backup`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::backup(data));
