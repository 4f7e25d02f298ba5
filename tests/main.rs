//! The whole product through its command line.
#![cfg(test)]

mod administration;
#[cfg(feature = "peers")]
mod assets;
mod back_ends;
mod backups;
mod both_ends;
mod check;
#[cfg(feature = "peers")]
mod check_peers;
#[cfg(feature = "peers")]
#[expect(dead_code, reason = "the tests of the console use the rest of it")]
#[path = "../crates/hub/tests/console/chromium.rs"]
mod chromium;
mod command_line;
mod demo;
mod device;
#[cfg(all(feature = "peers", feature = "namespaces"))]
mod dhcp;
#[cfg(feature = "peers")]
mod diagnostics_page;
mod documents;
mod echo;
mod hub;
mod hub_process;
#[cfg(feature = "namespaces")]
mod lab;
mod operations;
#[cfg(feature = "peers")]
mod page;
#[cfg(all(feature = "namespaces", feature = "peers"))]
mod place;
#[cfg(feature = "peers")]
mod plain_http;
#[cfg(feature = "peers")]
mod prometheus;
mod reports;
mod secrets;
#[cfg(all(feature = "namespaces", feature = "peers"))]
mod set_ups;
#[cfg(feature = "peers")]
mod shop;
mod support;
#[cfg(feature = "peers")]
mod tutorial;
