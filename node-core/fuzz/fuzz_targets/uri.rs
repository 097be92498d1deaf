//! See [`planetary_fuzz::uri`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::uri(data));
