//! The hub as clients written by others see it.
//!
//! Needs Node with `@microsoft/signalr` and `@microsoft/signalr-protocol-msgpack`;
//! `cargo xtask test` installs them.

#![cfg(test)]

#[path = "../stage/hub.rs"]
mod hub;
mod microsoft;
#[path = "../stage/relay.rs"]
mod relay;
mod stateful;
