#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::cron`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::cron(data));
