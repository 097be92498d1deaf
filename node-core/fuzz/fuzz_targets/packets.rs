//! See [`planetary_fuzz::packets`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::packets(data));
