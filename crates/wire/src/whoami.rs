//! What a server says of whoever asks: `GET /whoami` of the hub, in JSON.
//!
//! Both ends of a TLS connection derive the same channel binding (RFC 9266), and nobody else does.
//! A server that tells its own therefore lets a client see whether somebody between opens TLS and
//! closes it again, whatever the certificate says.

use serde::{Deserialize, Serialize};

/// Where the hub answers.
pub const PATH: &str = "/whoami";
/// The version of the answer's form.
pub const VERSION: u32 = 1;
/// Longest answer that is read, in bytes.
pub const ANSWER_MAX: usize = 65_536;
/// Most header fields of an answer that are looked at.
pub const HEADERS_MAX: usize = 100;
/// The exporter's label (RFC 9266 §2); its context is the empty string.
pub const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";
/// The exporter's length in bytes (RFC 9266 §2).
pub const BINDING_LEN: usize = 32;

/// What the server saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// [`VERSION`].
    pub version: u32,
    /// The reflexive address: the caller's as it arrives there.
    pub address: String,
    /// The caller's port as it arrives there.
    pub port: u16,
    /// What TLS agreed on; `None` where the question came without.
    pub tls: Option<Tls>,
    /// The request.
    pub http: Http,
}

/// What TLS agreed on, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// The cipher suite by its IANA name.
    pub cipher: String,
    /// What ALPN agreed on.
    pub alpn: Option<String>,
    /// The name that was asked for.
    pub server_name: Option<String>,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// SHA-256 of the caller's own certificate (DER), in lower-case hexadecimal.
    pub client_certificate_sha256: Option<String>,
    /// The channel binding in lower-case hexadecimal; `None` where TLS 1.2 has no extended master
    /// secret (RFC 9266 §4.2).
    pub channel_binding: Option<String>,
}

/// The request as it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub version: String,
    /// Name and value of each field, those of one name in the order of arrival; the values of
    /// credentials are left out.
    pub headers: Vec<(String, String)>,
}

/// Why an answer tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWhoami {
    /// It is none.
    #[error("the answer is not that of /whoami")]
    Other,
    /// It is longer than [`ANSWER_MAX`] bytes, or has more than [`HEADERS_MAX`] header fields.
    #[error("the answer is too long")]
    TooLong,
}

impl Whoami {
    /// Reads an answer.
    pub fn read(body: &[u8]) -> Result<Self, NotWhoami> {
        if body.len() > ANSWER_MAX {
            return Err(NotWhoami::TooLong);
        }
        let answer: Self = serde_json::from_slice(body).map_err(|_| NotWhoami::Other)?;
        if answer.version != VERSION {
            return Err(NotWhoami::Other);
        }
        if answer.http.headers.len() > HEADERS_MAX {
            return Err(NotWhoami::TooLong);
        }
        Ok(answer)
    }

    /// Whether the server is at the other end of the TLS connection that has this channel binding.
    pub fn is_other_end(&self, binding: &[u8; BINDING_LEN]) -> bool {
        let own = hexadecimal(binding);
        let seen = self
            .tls
            .as_ref()
            .and_then(|tls| tls.channel_binding.as_ref());
        seen.is_some_and(|seen| seen.eq_ignore_ascii_case(&own))
    }

    /// Header fields that were added or changed on the way, as the server saw them. `sent` are
    /// those that were sent, their names in lower case.
    pub fn added<'a>(&'a self, sent: &'a [(String, String)]) -> impl Iterator<Item = String> + 'a {
        let headers = self.http.headers.iter();
        let added = headers.filter(move |(name, value)| {
            let same = |(known, text): &(String, String)| {
                name.eq_ignore_ascii_case(known) && value == text
            };
            !sent.iter().any(same)
        });
        added.map(|(name, value)| format!("{name}: {value}"))
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(binding: Option<String>) -> Whoami {
        Whoami {
            version: VERSION,
            address: "192.0.2.7".to_owned(),
            port: 4711,
            tls: Some(Tls {
                version: "TLSv1.3".to_owned(),
                cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
                alpn: Some("http/1.1".to_owned()),
                server_name: Some("hub.example".to_owned()),
                resumed: false,
                client_certificate_sha256: None,
                channel_binding: binding,
            }),
            http: Http {
                version: "HTTP/1.1".to_owned(),
                headers: vec![
                    ("host".to_owned(), "hub.example".to_owned()),
                    ("via".to_owned(), "1.1 squid".to_owned()),
                ],
            },
        }
    }

    proptest! {
        #[test]
        fn the_two_ends_of_one_connection_know_each_other_and_no_others(
            own: [u8; BINDING_LEN], other: [u8; BINDING_LEN],
        ) {
            prop_assume!(own != other);
            let body = serde_json::to_vec(&answer(Some(hexadecimal(&own)))).unwrap();
            let read = Whoami::read(&body).unwrap();
            prop_assert!(read.is_other_end(&own));
            prop_assert!(!read.is_other_end(&other));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Whoami::read(&bytes);
        }
    }

    #[test]
    fn an_end_without_tls_or_without_a_binding_is_not_the_other_end() {
        assert!(!answer(None).is_other_end(&[0; BINDING_LEN]));
        let mut clear = answer(None);
        clear.tls = None;
        assert!(!clear.is_other_end(&[0; BINDING_LEN]));
    }

    #[test]
    fn what_was_not_sent_was_added_on_the_way() {
        let sent = [("Host".to_owned(), "hub.example".to_owned())];
        let added: Vec<String> = answer(None).added(&sent).collect();
        assert_eq!(added, ["via: 1.1 squid"]);
    }

    #[test]
    fn other_versions_other_answers_and_too_much_are_not_read() {
        let mut other = answer(None);
        other.version = 2;
        let body = serde_json::to_vec(&other).unwrap();
        assert_eq!(Whoami::read(&body), Err(NotWhoami::Other));
        assert_eq!(Whoami::read(b"<html>"), Err(NotWhoami::Other));
        let mut long = answer(None);
        let field = long.http.headers[0].clone();
        long.http.headers.resize(HEADERS_MAX + 1, field);
        let body = serde_json::to_vec(&long).unwrap();
        assert_eq!(Whoami::read(&body), Err(NotWhoami::TooLong));
        let blank = vec![b' '; ANSWER_MAX + 1];
        assert_eq!(Whoami::read(&blank), Err(NotWhoami::TooLong));
    }
}
