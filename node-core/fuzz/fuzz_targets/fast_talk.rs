//! See [`planetary_fuzz::fast_talk`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::fast_talk(data));
