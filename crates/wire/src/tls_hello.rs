//! A hand-made ClientHello for TLS 1.2 and older, and a reader for what a server says to it.
//!
//! Modern TLS libraries do not speak TLS 1.1 and older at all, so they cannot say "this server
//! speaks only TLS 1.1". Sending one [`ClientHello`] and reading one [`ServerFirst`] can. No
//! handshake is ever completed with it.

mod client;
mod server;

pub use client::{ClientHello, HelloError, NAME_MAX};
pub use server::{ReadError, ServerFirst, alert_name};

/// The most bytes of an answer that are looked at: the largest record (RFC 5246 §6.2.1).
pub const ANSWER_MAX: usize = 5 + 16_384;

/// A version as these records carry it, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// SSL 3.0 (RFC 6101).
    Ssl30,
    /// TLS 1.0 (RFC 2246).
    Tls10,
    /// TLS 1.1 (RFC 4346).
    Tls11,
    /// TLS 1.2 (RFC 5246). A TLS 1.3 server also says so here.
    Tls12,
}

impl Version {
    /// The two bytes of the wire.
    pub const fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Ssl30 => [3, 0],
            Self::Tls10 => [3, 1],
            Self::Tls11 => [3, 2],
            Self::Tls12 => [3, 3],
        }
    }

    /// The version these two bytes mean, if any of ours.
    pub const fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        match bytes {
            [3, 0] => Some(Self::Ssl30),
            [3, 1] => Some(Self::Tls10),
            [3, 2] => Some(Self::Tls11),
            [3, 3] => Some(Self::Tls12),
            _ => None,
        }
    }
}

/// Record content type of an alert (RFC 5246 §6.2.1).
const CONTENT_ALERT: u8 = 21;
/// Record content type of a handshake message (RFC 5246 §6.2.1).
const CONTENT_HANDSHAKE: u8 = 22;
/// Handshake type of a ClientHello (RFC 5246 §7.4).
const HANDSHAKE_CLIENT_HELLO: u8 = 1;
/// Handshake type of a ServerHello (RFC 5246 §7.4).
const HANDSHAKE_SERVER_HELLO: u8 = 2;
