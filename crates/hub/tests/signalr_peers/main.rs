//! Microsoft's own SignalR client in Node, and a vendor's back end in Python, against a whole hub: its door, its TLS, its store.
//!
//! Needs the programs and packages in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

mod back_ends;
mod devices;
mod node;
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;
