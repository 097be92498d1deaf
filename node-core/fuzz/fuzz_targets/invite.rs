//! See [`planetary_fuzz::invite`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::invite(data));
