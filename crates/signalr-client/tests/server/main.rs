//! The client and Outgate's own server.

#![cfg(test)]

mod everything;
#[path = "../stage/hub.rs"]
mod hub;
mod stateful;
