//! Text around DER (RFC 7468), as people hand it in.

use x509_parser::pem::Pem;

use crate::refusal::Refusal;

/// The most bytes of a text in PEM.
pub(super) const MAX_PEM: usize = 16_384;

/// The contents of the one block in `text`, which has one of the `labels`.
pub(super) fn one(text: &str, labels: &[&str]) -> Result<Vec<u8>, Refusal> {
    let refusal = || {
        let label = labels.first().copied().unwrap_or_default();
        Refusal::invalid("pem", format!("one block -----BEGIN {label}-----"))
    };
    if text.len() > MAX_PEM {
        return Err(Refusal::TooLarge {
            what: "bytes of PEM",
            limit: MAX_PEM as u64,
        });
    }
    let mut blocks = Pem::iter_from_buffer(text.as_bytes());
    match (blocks.next(), blocks.next()) {
        (Some(Ok(block)), None) if labels.contains(&block.label.as_str()) => Ok(block.contents),
        _ => Err(refusal()),
    }
}
