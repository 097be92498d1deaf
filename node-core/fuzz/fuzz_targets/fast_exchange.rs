//! See [`planetary_fuzz::fast_exchange`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::fast_exchange(data));
