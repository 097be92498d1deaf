//! See [`planetary_fuzz::config`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::config(data));
