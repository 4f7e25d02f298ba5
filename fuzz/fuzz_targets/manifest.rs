#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::manifest`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::manifest(data));
