//! What a caller may know of how it is seen.

use std::net::IpAddr;

use crate::connection::Facts;

/// How a caller is seen, in the words that it is told in. From the channel binding it can tell
/// whether somebody sits between: it derives its own, and the two are the same only if both ends
/// are of the same TLS connection (RFC 9266).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whoami {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// What TLS agreed on; `None` without.
    pub tls: Option<WhoamiTls>,
}

/// The part that TLS gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhoamiTls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher: String,
    /// What ALPN agreed on.
    pub alpn: Option<String>,
    /// The name that was asked for.
    pub server_name: Option<String>,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// `EXPORTER-Channel-Binding` (RFC 9266) in lower-case hexadecimal, 64 digits; `None` where
    /// TLS 1.2 has no extended master secret.
    pub channel_binding: Option<String>,
    /// SHA-256 of the caller's own certificate (DER), in lower-case hexadecimal.
    pub client_certificate_sha256: Option<String>,
}

impl From<&Facts> for Whoami {
    fn from(facts: &Facts) -> Self {
        let tls = facts.tls.as_deref().map(|tls| WhoamiTls {
            version: tls.version,
            cipher: tls.cipher.clone(),
            alpn: tls.alpn.clone(),
            server_name: tls.server_name.clone(),
            resumed: tls.resumed,
            channel_binding: tls.channel_binding.map(|bytes| hexadecimal(&bytes)),
            client_certificate_sha256: tls.client_chain.first().map(|certificate| {
                let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
                hexadecimal(digest.as_ref())
            }),
        });
        Self {
            address: facts.peer.ip(),
            port: facts.peer.port(),
            tls,
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls_pki_types::CertificateDer;

    use super::*;
    use crate::connection::TlsFacts;

    #[test]
    fn a_caller_without_tls_sees_its_address() {
        let facts = Facts {
            peer: "192.0.2.1:4711".parse().unwrap(),
            local: "192.0.2.2:80".parse().unwrap(),
            tls: None,
        };
        let whoami = Whoami::from(&facts);
        assert_eq!(whoami.address.to_string(), "192.0.2.1");
        assert_eq!((whoami.port, whoami.tls), (4711, None));
    }

    #[test]
    fn bytes_are_told_in_hexadecimal() {
        let facts = Facts {
            peer: "192.0.2.1:4711".parse().unwrap(),
            local: "192.0.2.2:443".parse().unwrap(),
            tls: Some(Arc::new(TlsFacts {
                version: "TLSv1.3",
                cipher: String::new(),
                alpn: None,
                server_name: None,
                client_chain: [CertificateDer::from(b"abc".to_vec())].into(),
                channel_binding: Some([0xa5; 32]),
                resumed: false,
            })),
        };
        let tls = Whoami::from(&facts).tls.unwrap();
        assert_eq!(tls.channel_binding, Some("a5".repeat(32)));
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(tls.client_certificate_sha256.as_deref(), Some(abc));
    }
}
