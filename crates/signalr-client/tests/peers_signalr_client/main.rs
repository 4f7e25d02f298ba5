//! The client behind other people's proxies, and beside Microsoft's own.
//!
//! Needs nginx, squid, and Node with `@microsoft/signalr`; `cargo xtask test` installs them.

#![cfg(test)]

mod example;
#[path = "../stage/hub.rs"]
mod hub;
mod microsoft;
mod nginx;
mod squid;
