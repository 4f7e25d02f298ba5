//! The whole product through its command line.
#![cfg(test)]

mod administration;
mod check;
#[cfg(feature = "peers")]
mod check_peers;
mod command_line;
mod demo;
mod documents;
mod support;
#[cfg(feature = "peers")]
mod tutorial;
