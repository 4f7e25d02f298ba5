//! MQTT 3.1.1 and 5.0 for servers: packets, connections, sessions, topics; no input or output.
//!
//! Everything here turns bytes into values and values into bytes, or keeps the state that the
//! protocol asks for. Nothing opens a socket, reads a clock, draws a random number or waits: the
//! caller passes bytes and times in. The crate's `clippy.toml` holds this.
//!
//! - [`packet`]: the fifteen control packets, read strictly and written.
//! - [`connection`]: one connection of a client to a server.
//! - [`session`]: what the server keeps of a client beyond its connection.
//! - [`topics`]: topic names and filters; who subscribes to what; what is retained.
//! - [`policy`]: who may publish and subscribe where.
//! - [`text`]: what MQTT calls a UTF-8 encoded string.
//!
//! "[MQTT-…]" in a comment names a normative statement of MQTT Version 5.0, OASIS Standard, 7 March
//! 2019; "[3.1.1: MQTT-…]" one of MQTT Version 3.1.1.

pub mod connection;
pub mod packet;
pub mod policy;
pub mod session;
pub mod text;
pub mod topics;
