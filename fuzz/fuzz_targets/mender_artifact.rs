#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::mender_artifact`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::mender_artifact(data));
