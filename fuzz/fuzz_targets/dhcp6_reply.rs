#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::dhcp6_reply`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::dhcp6_reply(data));
