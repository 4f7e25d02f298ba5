#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::door_first_bytes`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::door_first_bytes(data));
