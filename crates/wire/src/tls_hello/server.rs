//! The first record that comes back.

use super::{CONTENT_ALERT, CONTENT_HANDSHAKE, HANDSHAKE_SERVER_HELLO, Version};

/// Bytes of a record before its fragment (RFC 5246 §6.2.1).
const RECORD_HEADER: usize = 5;
/// Longest fragment of a plaintext record (RFC 5246 §6.2.1).
const FRAGMENT_MAX: usize = 16_384;
/// Handshake header, version, random and the length of the session id (RFC 5246 §7.4.1.3).
const SERVER_HELLO_FIXED: usize = 4 + 2 + 32 + 1;
/// Longest session id (RFC 5246 §7.4.1.3).
const SESSION_ID_MAX: usize = 32;

/// What a server says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFirst {
    /// It agrees, to this version and cipher suite.
    Hello {
        /// The highest version that both speak.
        version: Version,
        /// IANA number of the suite.
        cipher_suite: u16,
    },
    /// It refuses, or warns.
    Alert {
        /// 1 warning, 2 fatal.
        level: u8,
        /// RFC 8446 §6; see [`alert_name`].
        description: u8,
    },
}

impl ServerFirst {
    /// Reads the bytes that have come so far; `None` when more must come first. At most
    /// [`ANSWER_MAX`](super::ANSWER_MAX) bytes are ever wanted, in practice under 100.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, ReadError> {
        let Some(content) = bytes.first() else {
            return Ok(None);
        };
        if !matches!(*content, CONTENT_ALERT | CONTENT_HANDSHAKE) {
            return Err(ReadError::NotTls);
        }
        if bytes.get(1).is_some_and(|major| *major != 3) {
            return Err(ReadError::NotTls);
        }
        let Some((header, rest)) = bytes.split_first_chunk::<RECORD_HEADER>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length == 0 || length > FRAGMENT_MAX {
            return Err(ReadError::Length { length });
        }
        let fragment = &rest[..rest.len().min(length)];
        let complete = fragment.len() == length;
        if *content == CONTENT_ALERT {
            return match fragment {
                [level, description, ..] => Ok(Some(Self::Alert {
                    level: *level,
                    description: *description,
                })),
                _ if complete => Err(ReadError::Length { length }),
                _ => Ok(None),
            };
        }
        match server_hello(fragment)? {
            Some(hello) => Ok(Some(hello)),
            None if complete => Err(ReadError::Fragmented),
            None => Ok(None),
        }
    }
}

/// Why bytes are not a server's first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The first bytes are those of another protocol.
    #[error("the answer is not TLS")]
    NotTls,
    /// A record without content, or a longer one than may be.
    #[error("the answer is a TLS record of {length} bytes, which may not be")]
    Length {
        /// Its stated length.
        length: usize,
    },
    /// A handshake message other than a ServerHello.
    #[error("the answer is TLS handshake message {handshake_type}, not a ServerHello")]
    NotServerHello {
        /// Its type.
        handshake_type: u8,
    },
    /// A ServerHello with a version that is none of SSL 3.0 to TLS 1.2, or a session id that is
    /// too long.
    #[error("the ServerHello is malformed")]
    Malformed,
    /// A ServerHello spread over several records, which no server does.
    #[error("the ServerHello does not fit its record")]
    Fragmented,
}

/// The name of an alert (RFC 8446 appendix B.2, RFC 5246 §7.2).
pub const fn alert_name(description: u8) -> &'static str {
    match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown",
    }
}

fn server_hello(fragment: &[u8]) -> Result<Option<ServerFirst>, ReadError> {
    if let Some(handshake_type) = fragment.first()
        && *handshake_type != HANDSHAKE_SERVER_HELLO
    {
        return Err(ReadError::NotServerHello {
            handshake_type: *handshake_type,
        });
    }
    let Some((fixed, rest)) = fragment.split_first_chunk::<SERVER_HELLO_FIXED>() else {
        return Ok(None);
    };
    let version = Version::from_bytes([fixed[4], fixed[5]]).ok_or(ReadError::Malformed)?;
    let session_id = usize::from(fixed[SERVER_HELLO_FIXED - 1]);
    if session_id > SESSION_ID_MAX {
        return Err(ReadError::Malformed);
    }
    let Some([high, low]) = rest.get(session_id..session_id + 2) else {
        return Ok(None);
    };
    let cipher_suite = u16::from_be_bytes([*high, *low]);
    Ok(Some(ServerFirst::Hello {
        version,
        cipher_suite,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::ANSWER_MAX, *};

    fn hello(version: [u8; 2], session_id: &[u8], suite: u16) -> Vec<u8> {
        let mut body = vec![2, 0, 0, 0, version[0], version[1]];
        body.extend([9; 32]);
        body.push(u8::try_from(session_id.len()).unwrap());
        body.extend(session_id);
        body.extend(suite.to_be_bytes());
        body.push(0);
        let length = u8::try_from(body.len()).unwrap();
        body[3] = length - 4;
        let mut record = vec![22, version[0], version[1], 0, length];
        record.extend(body);
        record
    }

    #[test]
    fn a_server_hello_names_version_and_suite() {
        let answer = ServerFirst::read(&hello([3, 2], &[5; 32], 0xc013));
        let expected = ServerFirst::Hello {
            version: Version::Tls11,
            cipher_suite: 0xc013,
        };
        assert_eq!(answer, Ok(Some(expected)));
    }

    #[test]
    fn the_alert_openssl_sends_for_an_old_version_is_read() {
        let answer = ServerFirst::read(&[21, 3, 1, 0, 2, 2, 70]);
        assert_eq!(
            answer,
            Ok(Some(ServerFirst::Alert {
                level: 2,
                description: 70
            }))
        );
        assert_eq!(alert_name(70), "protocol_version");
    }

    #[test]
    fn every_beginning_of_an_answer_asks_for_more() {
        for answer in [hello([3, 1], &[], 0x002f), vec![21, 3, 1, 0, 2, 2, 40]] {
            for end in 0..answer.len() - 1 {
                assert_eq!(ServerFirst::read(&answer[..end]), Ok(None), "{end}");
            }
        }
    }

    #[test]
    fn other_protocols_are_not_tls() {
        for banner in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"SSH-2.0-x\r\n",
            b"220 mail\r\n",
        ] {
            assert_eq!(ServerFirst::read(banner), Err(ReadError::NotTls));
        }
    }

    #[test]
    fn answers_that_may_not_be_are_refused() {
        let cases: [(&[u8], ReadError); 4] = [
            (
                &[22, 3, 1, 0xff, 0xff],
                ReadError::Length { length: 65_535 },
            ),
            (&[21, 3, 1, 0, 0], ReadError::Length { length: 0 }),
            (
                &[22, 3, 1, 0, 4, 11, 0, 0, 0],
                ReadError::NotServerHello { handshake_type: 11 },
            ),
            (&[22, 3, 1, 0, 4, 2, 0, 0, 70], ReadError::Fragmented),
        ];
        for (bytes, error) in cases {
            assert_eq!(ServerFirst::read(bytes), Err(error));
        }
        assert_eq!(
            ServerFirst::read(&hello([4, 0], &[], 1)),
            Err(ReadError::NotTls)
        );
        assert_eq!(
            ServerFirst::read(&hello([3, 9], &[], 1)),
            Err(ReadError::Malformed)
        );
        assert_eq!(
            ServerFirst::read(&hello([3, 3], &[1; 33], 1)),
            Err(ReadError::Malformed)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ServerFirst::read(&bytes);
        }

        #[test]
        fn no_record_panics_or_wants_more_than_the_bound(
            content in 21_u8..=22,
            length: u16,
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut record = vec![content, 3, 3];
            record.extend(length.to_be_bytes());
            record.extend(bytes);
            record.resize(ANSWER_MAX, 0);
            prop_assert_ne!(ServerFirst::read(&record), Ok(None));
        }

        #[test]
        fn a_hello_is_read_whatever_it_holds(
            minor in 0_u8..=3,
            session_id in proptest::collection::vec(any::<u8>(), 0..=32),
            suite: u16,
        ) {
            let answer = ServerFirst::read(&hello([3, minor], &session_id, suite));
            let version = Version::from_bytes([3, minor]).unwrap();
            prop_assert_eq!(answer, Ok(Some(ServerFirst::Hello { version, cipher_suite: suite })));
        }
    }
}
