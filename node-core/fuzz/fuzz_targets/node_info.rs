//! See [`planetary_fuzz::node_info`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::node_info(data));
