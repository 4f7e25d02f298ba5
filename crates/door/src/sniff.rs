//! What is spoken, told from the first bytes.

use crate::connection::Protocol;

/// How many bytes are always enough to tell.
pub(crate) const ENOUGH: usize = HTTP2_PREFACE.len();

/// RFC 9113, section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of an MQTT CONNECT packet: its type, and flags that must be zero (MQTT 5.0,
/// section 3.1.1). A connection can start with nothing else.
const MQTT_CONNECT: u8 = 0x10;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// This is spoken.
    Spoken(Protocol),
    /// More bytes are needed to tell.
    Undecided,
    /// Nothing that is spoken here.
    Unknown,
}

/// Tells what is spoken from the `first` bytes of a connection. Once decided it stays so,
/// whatever follows; 24 bytes always decide.
#[must_use]
pub fn sniff(first: &[u8]) -> Sniffed {
    match first.first() {
        None => Sniffed::Undecided,
        Some(&MQTT_CONNECT) => Sniffed::Spoken(Protocol::Mqtt),
        Some(_) if first.starts_with(HTTP2_PREFACE) => Sniffed::Spoken(Protocol::Http2),
        Some(_) if HTTP2_PREFACE.starts_with(first) => Sniffed::Undecided,
        // Every registered method starts with a capital letter (RFC 9110, section 16.1.1); whether
        // the rest is one, HTTP's own reader tells.
        Some(byte) if byte.is_ascii_uppercase() => Sniffed::Spoken(Protocol::Http1),
        Some(_) => Sniffed::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_connect_packet_is_mqtt() {
        check(b"\x10\x0c\0\x04MQTT", Sniffed::Spoken(Protocol::Mqtt));
    }

    #[test]
    fn a_request_line_is_http() {
        check(b"GET / HTTP/1.1", Sniffed::Spoken(Protocol::Http1));
        check(b"PUT /", Sniffed::Spoken(Protocol::Http1));
    }

    #[test]
    fn a_method_that_starts_like_the_preface_is_http() {
        check(b"PROPFIND / HTTP/1.1", Sniffed::Spoken(Protocol::Http1));
        check(b"PR", Sniffed::Undecided);
        check(b"PRI * HTTP/1.1\r\n", Sniffed::Spoken(Protocol::Http1));
    }

    #[test]
    fn the_whole_preface_is_http_2() {
        check(HTTP2_PREFACE, Sniffed::Spoken(Protocol::Http2));
        check(&HTTP2_PREFACE[..23], Sniffed::Undecided);
    }

    #[test]
    fn other_protocols_are_unknown() {
        check(b"SSH-2.0-", Sniffed::Spoken(Protocol::Http1));
        check(b"\x16\x03\x01", Sniffed::Unknown);
        check(b"\r\n\r\n\0\r\nQUIT\n", Sniffed::Unknown);
        check(b"get / HTTP/1.1", Sniffed::Unknown);
    }

    proptest! {
        #[test]
        fn more_bytes_never_change_what_was_decided(bytes in near_the_preface()) {
            let mut before = Sniffed::Undecided;
            for length in 0..=bytes.len() {
                let now = sniff(&bytes[..length]);
                if before != Sniffed::Undecided {
                    prop_assert_eq!(now, before);
                }
                if length >= ENOUGH {
                    prop_assert_ne!(now, Sniffed::Undecided);
                }
                before = now;
            }
        }
    }

    /// Any bytes after some, or all, or none of the preface.
    fn near_the_preface() -> impl Strategy<Value = Vec<u8>> {
        let start = 0..=HTTP2_PREFACE.len();
        let rest = proptest::collection::vec(any::<u8>(), 0..40);
        (start, rest).prop_map(|(start, rest)| [&HTTP2_PREFACE[..start], &rest].concat())
    }

    fn check(first: &[u8], expected: Sniffed) {
        assert_eq!(sniff(first), expected, "{first:?}");
    }
}
