#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::jwt_verify`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::jwt_verify(data));
