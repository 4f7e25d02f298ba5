#![no_main]
//! Hands libFuzzer's inputs to `outgate_fuzz::rtp_packet`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| outgate_fuzz::rtp_packet(data));
