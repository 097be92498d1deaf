//! See [`planetary_fuzz::session`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::session(data));
