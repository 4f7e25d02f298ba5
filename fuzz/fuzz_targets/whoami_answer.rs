#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::whoami_answer`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::whoami_answer(data));
