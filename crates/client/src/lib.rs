//! A typed client of the hub's administration API, and the contexts it is used in.
//!
//! A [`Context`] says which hub, who asks and whom to trust; [`Contexts`] is the file that several
//! of them are kept in. A [`Client`] made from one has a method an operation of the API. Its types
//! are what goes over the wire, and what `outgate … --json` prints.

mod api;
mod context;
mod error;
mod pages;
mod random;
mod sse;
mod tail;
mod token;
mod transport;
mod trust;

pub use api::*;
pub use context::{Context, ContextError, Contexts, MAX_CONTEXTS, Trust};
pub use error::{Error, Problem};
pub use pages::{MAX_ITEMS, Part};
pub use sse::{MAX_EVENT_BYTES, MAX_LINE, SseError};
pub use tail::{Tail, Tailed};
pub use token::{MAX_TOKEN, Token};
pub use transport::{Client, MAX_ANSWER};
pub use trust::{Fingerprint, TrustError, fingerprints};
