#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::firebase_template`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::firebase_template(data));
