//! See [`planetary_fuzz::stack`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::stack(data));
