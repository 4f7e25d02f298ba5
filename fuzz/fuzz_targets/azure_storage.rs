#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::azure_storage`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::azure_storage(data));
