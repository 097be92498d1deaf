//! See [`planetary_fuzz::offload_finish`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planetary_fuzz::offload_finish(data));
