//! The bytes to send.

use super::{CONTENT_HANDSHAKE, HANDSHAKE_CLIENT_HELLO, Version};

/// Longest server name, in bytes (RFC 1035 §2.3.4).
pub const NAME_MAX: usize = 253;

/// Suites that servers of the last thirty years have in common, best first (IANA numbers).
const CIPHER_SUITES: [u16; 19] = [
    0xc02f, 0xc02b, 0xc030, 0xc02c, // ECDHE with AES-GCM
    0xc027, 0xc023, 0xc013, 0xc009, 0xc014, 0xc00a, // ECDHE with AES-CBC
    0x009c, 0x009d, 0x003c, 0x002f, 0x0035, // RSA with AES
    0x0033, 0x0039, // DHE with AES
    0x000a, // RSA with 3DES
    0x00ff, // renegotiation indication (RFC 5746 §3.3)
];
/// x25519, secp256r1, secp384r1, secp521r1 (RFC 8422 §5.1.1).
const GROUPS: [u16; 4] = [0x001d, 0x0017, 0x0018, 0x0019];
/// RSA-PSS, ECDSA and RSA PKCS #1 with SHA-256 to SHA-512, both with SHA-1 (RFC 8446 §4.2.3).
const SIGNATURES: [u16; 11] = [
    0x0804, 0x0805, 0x0806, 0x0403, 0x0503, 0x0603, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201,
];

/// An offer of one version and everything older.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    version: Version,
    server_name: Option<String>,
    random: [u8; 32],
}

impl ClientHello {
    /// Offers `version` at most. `server_name` goes into the server name indication; `None` for a
    /// bare address. `random` is drawn by the caller.
    pub fn new(
        version: Version,
        server_name: Option<&str>,
        random: [u8; 32],
    ) -> Result<Self, HelloError> {
        if let Some(name) = server_name
            && (name.is_empty() || name.len() > NAME_MAX || !name.is_ascii())
        {
            return Err(HelloError::ServerName);
        }
        Ok(Self {
            version,
            server_name: server_name.map(str::to_owned),
            random,
        })
    }

    /// The whole record, under 600 bytes (RFC 5246 §7.4.1.2).
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(600);
        body.extend(self.version.to_bytes());
        body.extend(self.random);
        body.push(0); // no session to resume
        vector(&mut body, |suites| {
            for suite in CIPHER_SUITES {
                suites.extend(suite.to_be_bytes());
            }
        });
        body.extend([1, 0]); // no compression
        if self.version > Version::Ssl30 {
            vector(&mut body, |extensions| self.extensions(extensions));
        }

        let mut message = vec![HANDSHAKE_CLIENT_HELLO, 0];
        vector(&mut message, |out| out.extend(&body));

        // Old servers want the record to say TLS 1.0 whatever is offered (RFC 5246 appendix E.1).
        let record_version = self.version.min(Version::Tls10).to_bytes();
        let mut record = vec![CONTENT_HANDSHAKE, record_version[0], record_version[1]];
        vector(&mut record, |out| out.extend(&message));
        record
    }

    fn extensions(&self, out: &mut Vec<u8>) {
        if let Some(name) = &self.server_name {
            // RFC 6066 §3
            extension(out, 0, |out| {
                vector(out, |out| {
                    out.push(0);
                    vector(out, |out| out.extend(name.as_bytes()));
                });
            });
        }
        extension(out, 10, |out| numbers(out, &GROUPS));
        extension(out, 11, |out| out.extend([1, 0])); // uncompressed points
        if self.version == Version::Tls12 {
            extension(out, 13, |out| numbers(out, &SIGNATURES));
        }
        extension(out, 23, |_| {}); // extended master secret (RFC 7627)
    }
}

/// Why there is no such hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not a name that may be sent.
    #[error("a server name has 1 to {NAME_MAX} ASCII characters")]
    ServerName,
}

fn extension(out: &mut Vec<u8>, number: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    out.extend(number.to_be_bytes());
    vector(out, fill);
}

fn numbers(out: &mut Vec<u8>, numbers: &[u16]) {
    vector(out, |out| {
        for number in numbers {
            out.extend(number.to_be_bytes());
        }
    });
}

/// What `fill` writes, behind its length in two bytes. Nothing here comes near 65,535 bytes.
fn vector(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0, 0]);
    fill(out);
    let length = u16::try_from(out.len() - start - 2).unwrap_or(u16::MAX);
    out[start..start + 2].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_hello_is_laid_out_as_rfc_6101_says() {
        let bytes = ClientHello::new(Version::Ssl30, None, [7; 32])
            .unwrap()
            .encode();
        assert_eq!(bytes[..11], [22, 3, 0, 0, 81, 1, 0, 0, 77, 3, 0]);
        assert_eq!(bytes[11..43], [7; 32]);
        assert_eq!(bytes[43..46], [0, 0, 38]);
        assert_eq!(bytes[84..], [1, 0]);
    }

    #[test]
    fn the_offered_version_stands_in_the_hello_and_not_in_the_record() {
        let bytes = ClientHello::new(Version::Tls12, None, [0; 32])
            .unwrap()
            .encode();
        assert_eq!(bytes[1..3], [3, 1]);
        assert_eq!(bytes[9..11], [3, 3]);
    }

    #[test]
    fn the_server_name_is_laid_out_as_rfc_6066_says() {
        let bytes = ClientHello::new(Version::Tls11, Some("a.example"), [0; 32])
            .unwrap()
            .encode();
        let extension = b"\x00\x00\x00\x0e\x00\x0c\x00\x00\x09a.example";
        assert!(
            bytes
                .windows(extension.len())
                .any(|window| window == extension)
        );
    }

    #[test]
    fn every_length_field_adds_up() {
        let name = "n".repeat(NAME_MAX);
        let bytes = ClientHello::new(Version::Tls12, Some(&name), [0; 32])
            .unwrap()
            .encode();
        assert_eq!(
            usize::from(u16::from_be_bytes([bytes[3], bytes[4]])),
            bytes.len() - 5
        );
        assert_eq!(
            usize::from(u16::from_be_bytes([bytes[7], bytes[8]])),
            bytes.len() - 9
        );
        assert!(bytes.len() < 600);
    }

    #[test]
    fn a_name_that_cannot_be_sent_is_refused() {
        for name in ["", "ä.example", &"n".repeat(254)] {
            let hello = ClientHello::new(Version::Tls12, Some(name), [0; 32]);
            assert_eq!(hello, Err(HelloError::ServerName));
        }
    }
}
