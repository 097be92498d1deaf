//! See [`planetary_fuzz::circle_message`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::circle_message(data));
