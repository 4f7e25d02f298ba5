#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::ssh_key`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::ssh_key(data));
