//! What is said to those who cannot be let in, in their own protocol.

use std::net::SocketAddr;

use crate::connection::Protocol;
use crate::happening::Refused;

/// The most bytes of an MQTT CONNECT packet that must be seen to answer it in its version: type,
/// length (at most 4), name (at most 2 + 6), version (MQTT 5.0, section 3.1).
pub(crate) const CONNECT_ENOUGH: usize = 1 + 4 + 8 + 1;

/// When an HTTP client may try again, in seconds, and over how many more the tries are spread so
/// that not everybody comes back at once.
const RETRY_AFTER: (u16, u16) = (15, 30);

/// RFC 9113: an empty SETTINGS frame, then GOAWAY with the code `ENHANCE_YOUR_CALM` and no stream
/// that was acted on, so that every request may be sent again elsewhere.
const HTTP2: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b";

/// The farewell for a client that speaks `protocol` and began with `first`.
pub(crate) fn farewell(
    protocol: Protocol,
    first: &[u8],
    why: Refused,
    peer: SocketAddr,
) -> Vec<u8> {
    match protocol {
        Protocol::Http1 => http1(why, peer),
        Protocol::Http2 => HTTP2.to_vec(),
        Protocol::Mqtt => mqtt(first, why),
    }
}

fn http1(why: Refused, peer: SocketAddr) -> Vec<u8> {
    let reason = match why {
        Refused::FullForSource => "There are too many connections from your address.\n",
        Refused::Full
        | Refused::TooSlow(_)
        | Refused::WentAway(_)
        | Refused::BadProxyHeader
        | Refused::NotTls
        | Refused::BadHandshake
        | Refused::UnknownProtocol => "There are too many connections.\n",
    };
    let (least, spread) = RETRY_AFTER;
    let after = least + peer.port() % spread;
    let length = reason.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {after}\r\nConnection: close\r\n\
         Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{reason}"
    )
    .into_bytes()
}

/// A CONNACK: in MQTT 5.0 `Quota exceeded` or `Server busy` (section 3.2.2.2), before that
/// `Server unavailable` (MQTT 3.1.1, section 3.2.2.3).
fn mqtt(first: &[u8], why: Refused) -> Vec<u8> {
    let code = if why == Refused::FullForSource {
        0x97
    } else {
        0x89
    };
    match version(first) {
        Some(5) => vec![0x20, 3, 0, code, 0],
        Some(_) | None => vec![0x20, 2, 0, 3],
    }
}

/// The version in a CONNECT packet, as far as it is there.
fn version(connect: &[u8]) -> Option<u8> {
    let after_length = 1
        + connect
            .get(1..5)?
            .iter()
            .position(|byte| byte & 0x80 == 0)?
        + 1;
    let name = connect.get(after_length..after_length + 2)?;
    let &[high, low] = name else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    connect.get(after_length + 2 + length).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mqtt_is_answered_in_its_own_version() {
        let new = b"\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0";
        assert_eq!(mqtt(new, Refused::FullForSource), [0x20, 3, 0, 0x97, 0]);
        assert_eq!(mqtt(new, Refused::Full), [0x20, 3, 0, 0x89, 0]);
        let old = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\0";
        assert_eq!(mqtt(old, Refused::Full), [0x20, 2, 0, 3]);
    }

    #[test]
    fn a_length_of_several_bytes_is_skipped() {
        assert_eq!(version(b"\x10\x80\x01\0\x04MQTT\x05"), Some(5));
        assert_eq!(version(b"\x10\x80\x80\x80\x01\0\x04MQTT\x05"), Some(5));
    }

    #[test]
    fn what_is_no_connect_packet_has_no_version() {
        assert_eq!(version(b"\x10"), None);
        assert_eq!(version(b"\x10\xff\xff\xff\xff\0\x04MQTT\x05"), None);
        assert_eq!(version(b"\x10\x05\xff\xffMQTT\x05"), None);
    }

    #[test]
    fn the_length_of_the_http_farewell_is_that_of_its_body() {
        let peer = "192.0.2.1:65535".parse().unwrap();
        let text = String::from_utf8(http1(Refused::Full, peer)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
    }
}
