//! See [`planetary_fuzz::identity_pem`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::identity_pem(data));
