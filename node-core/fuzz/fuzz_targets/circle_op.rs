//! See [`planetary_fuzz::circle_op`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::circle_op(data));
