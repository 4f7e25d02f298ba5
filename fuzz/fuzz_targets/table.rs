#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::table`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::table(data));
