#![cfg(test)]
//! Packets: what is read, what is refused, and what another implementation makes of them.

mod made;
mod oracle;
mod roundtrip;
mod vectors;
