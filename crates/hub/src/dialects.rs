//! Wire protocols, each translated to and from the device model. A file a dialect.

pub mod mqtt;
