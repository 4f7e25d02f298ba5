//! Wire protocols, each translated to and from the device model. A file a dialect.

pub(crate) mod assets;
pub(crate) mod authzen;
pub(crate) mod aws;
pub(crate) mod azure;
pub mod blob;
mod caller;
pub(crate) mod device;
mod document;
pub mod firebase;
pub mod live;
mod login;
pub(crate) mod mender;
pub mod mqtt;
pub mod otlp;
pub mod push;
pub(crate) mod renewal;
pub(crate) mod signalr;

pub use document::document;

/// What the dialects call themselves where sessions are told of: who comes in by one of them stays,
/// and is told to go elsewhere when the hub goes down. Over OTLP and
/// plain HTTP nobody stays.
pub(crate) const DIALECTS: [&str; 5] = [
    aws::mqtt::VIA,
    azure::mqtt::VIA,
    firebase::VIA,
    mqtt::VIA,
    signalr::VIA,
];
