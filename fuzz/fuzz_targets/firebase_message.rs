#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::firebase_message`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::firebase_message(data));
