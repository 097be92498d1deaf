//! See [`planetary_fuzz::offload_cut`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::offload_cut(data));
