#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::tls_server_record`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::tls_server_record(data));
