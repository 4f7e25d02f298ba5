#![cfg(test)]
//! Connections, in virtual time.

mod client;
mod flow;
mod login;
mod messages;
