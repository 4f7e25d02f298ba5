#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::neighbours_relayed`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::neighbours_relayed(data));
