#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::event_stream`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::event_stream(data));
