#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::otlp_json`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::otlp_json(data));
