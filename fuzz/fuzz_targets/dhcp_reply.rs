#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::dhcp_reply`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::dhcp_reply(data));
