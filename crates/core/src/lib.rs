//! The device model, who may act on it, and the disk it lies on.
//!
//! Dialects translate a wire protocol to calls on [`Core`]; the administration API does the same
//! for people and back ends. Nothing here knows a protocol. Whoever acts first proves who they
//! are ([`identity`]), then holds a [`sessions::Session`] for as long as the connection lives;
//! every act goes through it, so that a revocation can stop all of them at once.

pub mod assets;
pub mod audit;
pub mod backup;
pub mod calls;
pub mod clock;
pub mod commands;
pub mod consumers;
pub mod contents;
pub mod deployments;
pub mod events;
pub mod files;
pub mod happening;
pub mod id;
pub mod idempotency;
pub mod identity;
pub mod limits;
pub mod logs;
pub mod messages;
pub mod objects;
pub mod refusal;
pub mod registrations;
pub mod releases;
pub mod reminders;
pub mod schedules;
pub mod secret;
pub mod sessions;
pub mod spaces;
pub mod store;
pub mod support;
pub mod tables;
pub mod templates;
pub mod trees;
pub mod twin;
pub mod webhooks;

mod acting;
mod announcement;
mod open;

pub use clock::{Clock, Timestamp};
pub use limits::Limits;
pub use open::{Core, Settings};
pub use refusal::Refusal;
