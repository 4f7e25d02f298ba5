#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::signalr_events`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::signalr_events(data));
