//! See [`planetary_fuzz::socks`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::socks(data));
