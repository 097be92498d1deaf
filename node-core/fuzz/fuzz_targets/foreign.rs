//! See [`planetary_fuzz::foreign`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::foreign(data));
