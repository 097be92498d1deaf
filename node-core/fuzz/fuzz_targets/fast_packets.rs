//! See [`planetary_fuzz::fast_packets`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::fast_packets(data));
