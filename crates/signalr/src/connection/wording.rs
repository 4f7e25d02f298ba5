//! What clients are told, in ASP.NET Core's words: some of them look at these.

use super::End;
use crate::ProtocolError;
use crate::handshake::Protocol;

pub(super) const HANDSHAKE_FAILED: &str =
    "An unexpected error occurred during connection handshake.";

pub(super) const HANDSHAKE_LATE: &str = "Handshake was canceled.";

pub(super) const NO_BINARY: &str = "Cannot use the 'messagepack' protocol on the current transport. \
    The transport does not support 'Binary' transfer format.";

pub(super) fn no_protocol(name: &str) -> String {
    format!("The protocol '{name}' is not supported.")
}

pub(super) fn no_version(version: u32, protocol: Protocol) -> String {
    let protocol = protocol.as_str();
    format!("The server does not support version {version} of the '{protocol}' protocol.")
}

/// Why the server closes, in general or in detail.
pub(super) fn closed(end: &End, detailed: bool) -> String {
    let general = "Connection closed with an error.";
    if !detailed {
        return general.to_owned();
    }
    let detail = match end {
        End::Protocol(ProtocolError::TooLong { max }) => {
            format!("The maximum message size of {max}B was exceeded.")
        }
        End::Protocol(error) => error.to_string(),
        End::Lost(gap) => gap.to_string(),
        End::Slow(overrun) => overrun.to_string(),
        End::Client { .. } | End::Silence | End::NoHandshake | End::Refused(_) | End::Server => {
            end.to_string()
        }
    };
    format!("{general} InvalidDataException: {detail}")
}
