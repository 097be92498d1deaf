//! See [`planetary_fuzz::traffic`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::traffic(data));
