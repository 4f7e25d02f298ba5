//! A door on loopback and clients of it.
#![cfg(test)]

mod arrivals;
mod certificates;
mod client;
mod drain;
mod handshake;
mod limits;
#[cfg(feature = "peers")]
mod peers;
mod phases;
mod place;
mod proxy;
