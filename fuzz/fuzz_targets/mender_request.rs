#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::mender_request`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::mender_request(data));
