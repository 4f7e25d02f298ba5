#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::icmp_reply`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::icmp_reply(data));
