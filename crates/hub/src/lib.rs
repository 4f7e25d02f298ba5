//! The cloud end: what devices already speak, on one port of your own.
//!
//! Bytes come in at the door, are understood by a dialect, become an operation on the core.

pub mod api;
pub mod config;
pub mod console;
mod depot;
pub mod dialects;
mod echo;
pub mod forwarding;
mod http;
mod hub;
pub mod logs;
pub mod metrics;
pub mod push;
mod schedules;
mod traces;
pub mod webhooks;

pub use depot::DepotError;
pub use hub::{EchoError, FINISHED_WITHIN, GONE_WITHIN, Hub, StartError, State};
pub use outgate_core::backup;
pub use outgate_door::systemd;
