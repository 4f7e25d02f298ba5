//! SignalR clients by others, Microsoft's in Node and those in Python, and a vendor's back end,
//! against a whole hub: its door, its TLS, its store.
//!
//! Needs the programs and packages in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

mod back_ends;
mod browser;
mod checks;
#[expect(dead_code, reason = "the console's tests do more with it")]
#[path = "../console/chromium.rs"]
mod chromium;
mod client;
mod devices;
mod pythons;
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;
#[path = "../running/told.rs"]
mod told;
mod upstreams;
