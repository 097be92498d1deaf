//! See [`planetary_fuzz::control_frames`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::control_frames(data));
