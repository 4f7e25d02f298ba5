#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::http_date`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::http_date(data));
