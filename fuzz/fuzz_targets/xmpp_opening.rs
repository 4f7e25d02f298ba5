#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::xmpp_opening`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::xmpp_opening(data));
