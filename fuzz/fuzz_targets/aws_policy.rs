#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::aws_policy`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::aws_policy(data));
