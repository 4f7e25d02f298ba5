#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::llmnr_message`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::llmnr_message(data));
