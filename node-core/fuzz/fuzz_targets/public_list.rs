//! See [`planetary_fuzz::public_list`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::public_list(data));
