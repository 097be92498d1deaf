//! See [`planetary_fuzz::friend_link`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::friend_link(data));
