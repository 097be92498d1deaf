//! See [`planetary_fuzz::join_link`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::join_link(data));
