//! Tokens to be signed, and the public keys by which others verify them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::algorithm::Algorithm;

/// What is to be signed of a token of that kind, by the key of that name.
#[must_use]
pub fn unsigned(
    algorithm: Algorithm,
    key: &str,
    kind: &str,
    claims: &Map<String, Value>,
) -> String {
    let header = json!({ "alg": algorithm.as_str(), "typ": kind, "kid": key });
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    let claims = serde_json::to_string(claims).unwrap_or_default();
    format!("{}.{}", part(header.to_string()), part(claims))
}

/// The token: what was signed, with the signature in the form of RFC 7518 §3.4 or RFC 8037 §3.1.
#[must_use]
pub fn signed(unsigned: &str, signature: &[u8]) -> String {
    format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The public key of that name as a key set has it (RFC 7517 §4, RFC 8037 §2): of ES256 an
/// uncompressed point, of EdDSA the 32 bytes. None for what is no such key.
#[must_use]
pub fn public_key(algorithm: Algorithm, key: &str, public: &[u8]) -> Option<Value> {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let common = json!({ "kid": key, "use": "sig", "alg": algorithm.as_str() });
    let of_kind = match (algorithm, public) {
        (Algorithm::Es256, [4, point @ ..]) if point.len() == 64 => {
            let (x, y) = point.split_at_checked(32)?;
            json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
        }
        (Algorithm::EdDsa, public) if public.len() == 32 => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": text(public) })
        }
        (
            Algorithm::Es256
            | Algorithm::EdDsa
            | Algorithm::Es384
            | Algorithm::Rs256
            | Algorithm::Ps256,
            _,
        ) => return None,
    };
    let parts = [of_kind, common].into_iter();
    let parts = parts.filter_map(|part| part.as_object().cloned()).flatten();
    Some(Value::Object(parts.collect()))
}
