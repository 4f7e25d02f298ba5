#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::aws_thing`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::aws_thing(data));
