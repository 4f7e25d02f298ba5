#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::proxy_script_answer`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::proxy_script_answer(data));
