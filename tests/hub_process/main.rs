//! `outgate hub` as a process: killed, drained, and met by other people's programs.
#![cfg(test)]

mod agent;
#[cfg(feature = "peers")]
mod certificates;
mod crash;
#[cfg(feature = "peers")]
mod drain;
mod files;
#[cfg(feature = "peers")]
mod firebase;
#[cfg(feature = "peers")]
mod forwarding;
#[cfg(feature = "namespaces")]
mod members;
#[cfg(feature = "peers")]
mod mosquitto;
#[cfg(feature = "namespaces")]
mod on_site;
#[cfg(feature = "peers")]
mod openssl;
mod process;
mod publisher;
mod relay;
mod remote_support;
mod storm;
#[cfg(feature = "peers")]
mod wrong_clock;
