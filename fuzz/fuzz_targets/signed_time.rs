#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::signed_time`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::signed_time(data));
