#![cfg(test)]
//! Connections, in virtual time.

mod chaos;
mod client;
mod flow;
mod login;
mod messages;
mod once;
