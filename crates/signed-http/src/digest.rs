//! Digests of contents (RFC 9530).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::digest::{Algorithm, SHA256, SHA512, digest};
use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};

use crate::signature::FIELDS_MAX_BYTES;

/// The algorithms that count (RFC 9530 §5); the older ones are no protection.
const ALGORITHMS: [(&str, &Algorithm); 2] = [("sha-256", &SHA256), ("sha-512", &SHA512)];
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Why a content is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The message does not say.
    #[error("the message has no digest of its content by SHA-256 or SHA-512")]
    Missing,
    /// The field cannot be read.
    #[error("the digest of the content cannot be read")]
    Unreadable,
    /// Another content.
    #[error("the content is not the one that the digest is of")]
    Different,
}

/// `Content-Digest` of a content, by SHA-256.
pub fn content_digest(content: &[u8]) -> HeaderValue {
    let text = format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, content)));
    // Letters, digits and signs of Base64 are fit for any field.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// Whether the content is the one that `Content-Digest` says: by each algorithm that counts, of
/// which there must be one.
///
/// # Errors
/// [`DigestError`].
pub fn check_content(fields: &HeaderMap, content: &[u8]) -> Result<(), DigestError> {
    let lines: Vec<&[u8]> = fields
        .get_all(CONTENT_DIGEST)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let text = lines.join(&b", "[..]);
    if text.is_empty() {
        return Err(DigestError::Missing);
    }
    if text.len() > FIELDS_MAX_BYTES {
        return Err(DigestError::Unreadable);
    }
    let said: Dictionary = Parser::new(&text)
        .parse()
        .map_err(|_| DigestError::Unreadable)?;
    let mut checked = false;
    for (name, algorithm) in ALGORITHMS {
        let Some(entry) = said.get(name) else {
            continue;
        };
        let ListEntry::Item(Item {
            bare_item: BareItem::ByteSequence(bytes),
            ..
        }) = entry
        else {
            return Err(DigestError::Unreadable);
        };
        if digest(algorithm, content).as_ref() != bytes.as_slice() {
            return Err(DigestError::Different);
        }
        checked = true;
    }
    if checked {
        Ok(())
    } else {
        Err(DigestError::Missing)
    }
}
