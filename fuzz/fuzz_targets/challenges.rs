#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::challenges`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::challenges(data));
