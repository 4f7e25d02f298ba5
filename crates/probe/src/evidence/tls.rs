//! Evidence about TLS: version, cipher suite, and the whole chain the server presented.

use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

use crate::ask::TlsVersion;

/// What a TLS handshake showed, as far as it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TlsEvidence {
    /// The name sent in the handshake; `None` for a bare address.
    pub server_name: Option<String>,
    /// The negotiated version; `None` if it did not come that far.
    pub version: Option<TlsVersion>,
    /// The negotiated cipher suite by its IANA name.
    pub cipher_suite: Option<String>,
    /// The protocol the server chose (ALPN).
    pub alpn: Option<String>,
    /// The presented chain, the server's own certificate first, at most 16.
    pub chain: Vec<CertificateEvidence>,
    /// The root stores that vouch for the chain, dates and name left aside.
    pub trusted_by: Vec<RootSource>,
    /// What the lane expected.
    pub expected: ExpectedTrust,
    /// Whether the server asked for a client certificate. None is ever sent.
    pub client_certificate_asked: bool,
    /// What a server that refused TLS 1.2 and 1.3 said to an older handshake.
    pub legacy: Option<LegacyTls>,
}

/// A second handshake beside one that stalled, with short segments of TCP. That it comes further
/// shows that long packets are lost on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShortSegments {
    /// What a segment carried at the most, in bytes.
    pub bytes_at_most: u16,
    /// Whether the server's certificates came.
    pub answered: bool,
}

/// One certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CertificateEvidence {
    /// Distinguished name of the holder.
    pub subject: String,
    /// Distinguished name of the issuer.
    pub issuer: String,
    /// Names the certificate is for (DNS names and addresses), at most 64.
    pub names: Vec<String>,
    /// Start of validity in UTC; `None` if it cannot be read or lies outside the years 0 to 9999.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<OffsetDateTime>,
    /// End of validity, likewise.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<String>")]
    pub not_after: Option<OffsetDateTime>,
    /// Serial number in hexadecimal; empty if the certificate cannot be read.
    pub serial: String,
    /// SHA-256 of the whole certificate in hexadecimal.
    pub sha256: String,
    /// SHA-256 of its SubjectPublicKeyInfo in hexadecimal (what a pin compares); empty if the
    /// certificate cannot be read.
    pub spki_sha256: String,
}

/// Where a root comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RootSource {
    /// Mozilla's list of public roots.
    Mozilla,
    /// This machine's own store.
    System,
    /// Given by the caller.
    Given,
}

/// The kind of trust a lane expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedTrust {
    /// Nothing: any root counts.
    Any,
    /// A public authority.
    Public,
    /// The vendor's own authority.
    Vendor,
    /// A pinned key.
    Pinned,
}

/// What a server said to a handshake of TLS 1.2 or older with every common cipher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub enum LegacyTls {
    /// It chose this version.
    Version {
        /// The highest version it was seen to speak.
        version: TlsVersion,
        /// The cipher suite it chose, as the IANA number.
        cipher_suite: u16,
    },
    /// It refused with an alert.
    Alert {
        /// RFC 8446 §6.
        code: u8,
        /// Its name.
        description: String,
    },
    /// It hung up or said nothing.
    Silence,
    /// What it said is not TLS.
    NotTls,
}
