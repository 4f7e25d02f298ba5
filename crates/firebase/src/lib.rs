//! Firebase's Realtime Database as its clients speak it (the WebSocket protocol in version 5, and
//! what the REST interface asks), for servers: bytes to values and back, and the tree of values.
//!
//! | step | here |
//! |---|---|
//! | messages out of the pieces that clients cut them into, and back | [`frame`] |
//! | requests, answers and pushes | [`wire`] |
//! | what one connection has left to be written when it closes, and how long it may be silent | [`session`] |
//! | keys and paths | [`path`] |
//! | values, with priorities; what is written, with what the server is to fill in | [`node`], [`draft`] |
//! | what tells two values apart in 28 characters | [`hash`] |
//! | which children are asked for | [`query`] |
//! | the tree, its bounds, and what each listener is to be told of a change | [`database`] |
//! | who may read and write where | [`rules`] |
//! | what Remote Config's templates may say | [`template`] |
//!
//! Nothing here moves bytes, reads a clock or waits; the caller does. What a peer sends is bounded
//! by [`path::KEY_MAX`], [`path::DEPTH_MAX`], and what the caller says.

pub mod database;
pub mod draft;
pub mod frame;
pub mod hash;
pub mod node;
pub mod path;
pub mod query;
pub mod rules;
pub mod session;
pub mod template;
pub mod wire;

pub use self::database::{Bounds, Database};
pub use self::draft::Draft;
pub use self::node::{Form, Node};
pub use self::path::{Key, Path};
pub use self::query::Query;
