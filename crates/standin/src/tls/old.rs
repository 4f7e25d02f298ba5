//! What a server that speaks nothing newer than TLS 1.1 answers to a first message.
//!
//! No library here speaks TLS 1.1 any more, nor should one. A client learns all it needs from the
//! first answer, and that can be written by hand.

/// Bytes of a record's head: type, version, length (RFC 4346 §6.2.1).
pub(super) const RECORD_HEAD: usize = 5;

/// The longest record that is read, in bytes (RFC 4346 §6.2.1: 2^14 of content).
pub(super) const MAX_RECORD: usize = RECORD_HEAD + (1 << 14);

const TLS_1_1: [u8; 2] = [3, 2];
const TLS_1_2: [u8; 2] = [3, 3];

/// A fatal alert `protocol_version` (RFC 4346 §7.2.2). The record says TLS 1.2, as OpenSSL's does:
/// it repeats the client's version as long as none is agreed on.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];

/// `TLS_RSA_WITH_AES_128_CBC_SHA`, which clients that go from TLS 1.1 to 1.2 offer (RFC 5246 §9).
const CIPHER_SUITE: [u8; 2] = [0, 0x2f];

/// Extension `supported_versions` (RFC 8446 §4.2.1).
const SUPPORTED_VERSIONS: [u8; 2] = [0, 43];

/// Extension `renegotiation_info` (RFC 5746 §3.2).
const RENEGOTIATION_INFO: [u8; 2] = [0xff, 0x01];

/// The cipher suite that stands for that extension (RFC 5746 §3.3).
const RENEGOTIATION_SUITE: [u8; 2] = [0x00, 0xff];

/// The bytes to send to a client whose first record held `content`.
pub(super) fn answer(content: &[u8]) -> Vec<u8> {
    match Hello::read(content) {
        Some(hello) if hello.offers_tls_1_1 => server_hello(hello.renegotiates_safely),
        Some(_) | None => PROTOCOL_VERSION.to_vec(),
    }
}

/// What matters here of a `ClientHello` (RFC 5246 §7.4.1.2).
struct Hello {
    offers_tls_1_1: bool,
    /// The client insists on safe renegotiation, and has to be told that the server does too.
    renegotiates_safely: bool,
}

impl Hello {
    /// `None` if the bytes are no `ClientHello`.
    fn read(mut rest: &[u8]) -> Option<Self> {
        // Type client_hello, three bytes of length.
        if take(&mut rest, 4)?[0] != 1 {
            return None;
        }
        let newest = take(&mut rest, 2)?;
        let _random = take(&mut rest, 32)?;
        let _session = take_vector(&mut rest, 1)?;
        let mut suites = take_vector(&mut rest, 2)?.chunks_exact(2);
        let _compressions = take_vector(&mut rest, 1)?;
        // Without the extension only the newest is said, and a client of before 1.3 that says 1.2
        // may well take 1.1. Whoever says less than 1.1 would not.
        let mut hello = Self {
            offers_tls_1_1: newest == TLS_1_1 || newest == TLS_1_2,
            renegotiates_safely: suites.any(|suite| suite == RENEGOTIATION_SUITE),
        };
        let mut extensions = take_vector(&mut rest, 2).unwrap_or_default();
        while !extensions.is_empty() {
            let kind = take(&mut extensions, 2)?;
            let mut data = take_vector(&mut extensions, 2)?;
            if kind == SUPPORTED_VERSIONS {
                let mut versions = take_vector(&mut data, 1)?.chunks_exact(2);
                hello.offers_tls_1_1 = versions.any(|version| version == TLS_1_1);
            }
            hello.renegotiates_safely |= kind == RENEGOTIATION_INFO;
        }
        Some(hello)
    }
}

fn server_hello(renegotiates_safely: bool) -> Vec<u8> {
    let mut body = TLS_1_1.to_vec();
    body.extend([0x5a; 32]); // Random: nothing is ever derived from it.
    body.push(0); // No session.
    body.extend(CIPHER_SUITE);
    body.push(0); // No compression.
    if renegotiates_safely {
        body.extend([0, 5, RENEGOTIATION_INFO[0], RENEGOTIATION_INFO[1], 0, 1, 0]);
    }

    let length = u8::try_from(body.len()).unwrap_or_default();
    let mut record = vec![22, TLS_1_1[0], TLS_1_1[1], 0, length + 4];
    record.extend([2, 0, 0, length]); // Type server_hello.
    record.extend(body);
    record
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

/// A vector with its length in front, in one byte or two.
fn take_vector<'a>(rest: &mut &'a [u8], length_bytes: usize) -> Option<&'a [u8]> {
    let length = take(rest, length_bytes)?
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    take(rest, length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello(newest: [u8; 2], versions: Option<&[u8]>) -> Vec<u8> {
        let mut hello = vec![1, 0, 0, 0];
        hello.extend(newest);
        hello.extend([0; 32]);
        hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
        if let Some(versions) = versions {
            let length = u8::try_from(versions.len()).unwrap();
            hello.extend([0, length + 5, 0, 43, 0, length + 1, length]);
            hello.extend(versions);
        }
        hello
    }

    #[test]
    fn who_offers_tls_1_1_is_answered_with_it() {
        for hello in [
            hello(TLS_1_1, None),
            hello(TLS_1_2, None),
            hello(TLS_1_2, Some(&[3, 4, 3, 3, 3, 2])),
        ] {
            assert_eq!(answer(&hello)[..11], [22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2]);
        }
    }

    #[test]
    fn who_renegotiates_safely_is_told_that_the_server_does_too() {
        let mut hello = hello(TLS_1_2, None);
        hello[42] = 0xff; // The one cipher suite.
        assert!(answer(&hello).ends_with(&[0, 5, 0xff, 1, 0, 1, 0]));
    }

    #[test]
    fn who_offers_only_newer_or_only_older_versions_is_refused() {
        for hello in [
            hello(TLS_1_2, Some(&[3, 4, 3, 3])),
            hello([3, 1], None),
            b"GET / HTTP/1.1".to_vec(),
        ] {
            assert_eq!(answer(&hello), PROTOCOL_VERSION);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>) {
            answer(&content);
        }
    }
}
