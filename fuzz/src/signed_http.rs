//! Whoever is on the local network may send any signature.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use outgate_signed_http::{Message, Policy, Refused, Request, Signer, check_content};

/// Reads the three lines of `data` as `Signature-Input`, `Signature` and `Content-Digest` of a
/// request.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a signature that holds, which
/// nobody can have made for this key.
pub fn signed_http(data: &[u8]) {
    let mut fields = HeaderMap::new();
    let names = ["signature-input", "signature", "content-digest"];
    for (name, line) in names.into_iter().zip(data.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            fields.insert(name, value);
        }
    }
    let request = Message::Request(Request {
        method: "POST",
        scheme: "http",
        authority: "till.local",
        path: "/a",
        query: Some("b=c"),
        fields: &fields,
    });
    let policy = Policy {
        tag: "lan-v1",
        components: &[],
        max_age: Duration::MAX,
        skew: Duration::from_secs(1),
        nonce: false,
    };
    let key = Signer::from_seed("till-1", &[1; 32])
        .map(|it| it.verifying_key())
        .ok();
    let verified = policy.verify(&request, SystemTime::UNIX_EPOCH, |_| key);
    assert!(verified.is_err() || key.is_none());
    if let Err(Refused::Forged(keyid)) = verified {
        assert!(keyid.is_ascii());
    }
    let _ = check_content(&fields, data);
}
