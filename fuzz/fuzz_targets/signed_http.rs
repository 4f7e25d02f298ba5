#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::signed_http`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::signed_http(data));
