//! The agent: the part of Outgate that lives on a device.
//!
//! It keeps one connection to the hub from whatever network the device stands in, keeps what the
//! device has to say on disk until the hub has it, and shows on site how it is. What it is told to do
//! stands in its [`config`]; how it is, on the [`status`] board, which every part writes its own
//! column of and the local page and API read.

pub mod agent;
pub mod assets;
mod chain;
pub mod clock;
pub mod config;
pub mod conversation;
pub mod device;
mod disk;
mod files;
mod hub_http;
pub mod inbox;
pub mod lan;
pub mod link;
pub mod local;
pub mod product;
pub mod proof;
pub mod queue;
mod relay;
mod renewal;
pub mod status;
pub mod support;
mod transfers;
pub mod twin;
