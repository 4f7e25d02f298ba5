//! What goes over the wire, by requests of our own, byte for byte.

#![cfg(test)]

mod hostile;
mod http;
#[path = "../stage/hub.rs"]
mod hub;
mod negotiation;
mod polling;
mod sse;
mod time;
mod websocket;
