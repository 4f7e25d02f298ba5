//! The hub as clients written by others see it.
//!
//! Needs Node with `@microsoft/signalr` and `@microsoft/signalr-protocol-msgpack`, Python with
//! `pysignalr` and `signalrcore`, Chromium, nginx, squid and socat; `cargo xtask test` installs them.

#![cfg(test)]

mod chromium;
mod examples;
#[path = "../stage/hub.rs"]
mod hub;
mod microsoft;
mod nginx;
mod proxies;
mod python;
#[path = "../stage/relay.rs"]
mod relay;
mod stateful;
