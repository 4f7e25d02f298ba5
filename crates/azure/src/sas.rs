//! Shared access signatures of IoT Hub and of its provisioning service: a resource and an end,
//! signed with a symmetric key.
//!
//! `SharedAccessSignature sr={resource}&sig={signature}&se={end}[&skn={policy}]`, where the
//! signature is the HMAC-SHA256 of the resource, a line feed and the end, both exactly as they were
//! sent: clients percent-encode the resource each in their own way. The pairs come in any order.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use ring::hmac;

use crate::UNRESERVED;

/// The most bytes of a token that are looked at. A resource of the longest names and a signature
/// have less than half of it.
pub const TOKEN_MAX_BYTES: usize = 2048;

/// What stands before the pairs.
const SCHEME: &str = "SharedAccessSignature ";

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 32;

/// A token as it was sent, not yet verified. It does not print its signature: whoever has that may
/// use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The resource, a line feed and the end, as sent: what was signed.
    signed: String,
    resource: String,
    signature: [u8; SIGNATURE_BYTES],
    expires: u64,
    policy: Option<String>,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as a token does.
    #[error("it does not begin with \"SharedAccessSignature \"")]
    Scheme,
    /// It is longer than [`TOKEN_MAX_BYTES`].
    #[error("it is longer than {TOKEN_MAX_BYTES} bytes")]
    TooLong,
    /// A pair is not there, or cannot be read.
    #[error("`{0}` is missing or cannot be read")]
    Pair(&'static str),
    /// A pair comes twice.
    #[error("`{0}` comes twice")]
    Twice(&'static str),
}

impl Token {
    /// Reads a token, with or without white space around it. Pairs that nobody knows are passed
    /// over.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        let text = text.trim();
        let pairs = match text.split_at_checked(SCHEME.len()) {
            Some((scheme, pairs)) if scheme.eq_ignore_ascii_case(SCHEME) => pairs,
            Some(_) | None => return Err(TokenError::Scheme),
        };
        let (mut sr, mut sig, mut se, mut skn) = (None, None, None, None);
        for pair in pairs.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (place, name) = match name.trim_start() {
                "sr" => (&mut sr, "sr"),
                "sig" => (&mut sig, "sig"),
                "se" => (&mut se, "se"),
                "skn" => (&mut skn, "skn"),
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(TokenError::Twice(name));
            }
        }
        let sr = sr.ok_or(TokenError::Pair("sr"))?;
        let se = se.ok_or(TokenError::Pair("se"))?;
        let signature = sig.and_then(signature).ok_or(TokenError::Pair("sig"))?;
        let policy = match skn {
            None | Some("") => None,
            Some(name) => Some(decoded(name).ok_or(TokenError::Pair("skn"))?),
        };
        Ok(Self {
            signed: format!("{sr}\n{se}"),
            resource: decoded(sr)
                .filter(|it| !it.is_empty())
                .ok_or(TokenError::Pair("sr"))?,
            signature,
            expires: seconds(se).ok_or(TokenError::Pair("se"))?,
            policy,
        })
    }

    /// When it ends, in seconds since 1970: it is good before that, not then.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The shared access policy whose key has signed it; a device's own key, if none is named.
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// What was signed: the resource, a line feed and the end, as sent.
    #[must_use]
    pub fn signed(&self) -> &str {
        &self.signed
    }

    /// The HMAC-SHA256 that was shown of it. Compare it in constant time.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The first part of its resource: the name of a hub, or the scope of a provisioning service.
    #[must_use]
    pub fn host(&self) -> &str {
        self.resource
            .split_once('/')
            .map_or(self.resource.as_str(), |(host, _)| host)
    }

    /// Whether it is for what stands at `path` below its host: its resource is that or something
    /// above it. Names in it may be encoded once more, as Node's SDK does.
    #[must_use]
    pub fn covers(&self, path: &[&str]) -> bool {
        let mut parts = self.resource.trim_end_matches('/').split('/').skip(1);
        let mut path = path.iter();
        parts.all(|part| {
            path.next()
                .is_some_and(|name| part == *name || decoded(part).as_deref() == Some(*name))
        })
    }

    /// Whether `key` has signed it, taking the same time wherever it differs.
    #[must_use]
    pub fn is_signed_with(&self, key: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("resource", &self.resource)
            .field("expires", &self.expires)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// A token for `resource` (not encoded) that ends at `expires`, in seconds since 1970, signed with
/// `key`: with that of the shared access policy `policy`, if one is named.
#[must_use]
pub fn sign(resource: &str, expires: u64, key: &[u8], policy: Option<&str>) -> String {
    let sr = utf8_percent_encode(resource, UNRESERVED).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = STANDARD.encode(hmac::sign(&key, format!("{sr}\n{expires}").as_bytes()));
    let sig = utf8_percent_encode(&tag, UNRESERVED);
    let mut token = format!("{SCHEME}sr={sr}&sig={sig}&se={expires}");
    if let Some(policy) = policy {
        // Writing to a text cannot fail.
        let _ = write!(token, "&skn={}", utf8_percent_encode(policy, UNRESERVED));
    }
    token
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

fn signature(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let bytes = STANDARD.decode(decoded(text)?).ok()?;
    bytes.try_into().ok()
}

/// Digits only: `+5` is a number to Rust, and was not signed as one.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The key of the tokens below, which Azure's SDKs have made.
    const KEY: &[u8] = b"key of thirty-two bytes, more less";
    const PYTHON: &str = "SharedAccessSignature sr=hub.example%2Fdevices%2Ftill-1\
        &sig=Nwy3TfjweuiziuZ4OW5LSN564oPPQ8zSI%2F1iTflm7TQ%3D&se=1700003600";
    const NODE_POLICY: &str = "SharedAccessSignature sr=hub.example%2Fdevices%2Ftill%253A1\
        &sig=u43ePbuTwpwnRjeuKobN9KNyRmSiQfWr5PjS3n5oULM%3D&skn=a%20policy&se=1700003600";
    const NODE_MODULE: &str = "SharedAccessSignature \
        sr=hub.example/devices/till%3A1/modules/m\
        &sig=o65flWLbv0ia3dTITOu%2BoLvdxcA43ezPVshpUwSFb0c%3D&se=1700003600";

    #[test]
    fn a_token_of_python_s_sdk_holds_for_its_device_and_no_other() {
        let token = Token::parse(PYTHON).unwrap();
        assert!(token.is_signed_with(KEY));
        assert_eq!(token.host(), "hub.example");
        assert_eq!(token.expires(), 1_700_003_600);
        assert_eq!(token.policy(), None);
        assert!(token.covers(&["devices", "till-1"]));
        assert!(token.covers(&["devices", "till-1", "modules", "m"]));
        assert!(!token.covers(&["devices", "till-10"]));
        assert!(!token.covers(&["devices"]));
        assert!(!token.covers(&[]));
    }

    #[test]
    fn tokens_of_node_s_sdk_hold_however_it_encodes_their_resource() {
        let token = Token::parse(NODE_POLICY).unwrap();
        assert!(token.is_signed_with(KEY));
        assert_eq!(token.policy(), Some("a policy"));
        assert!(token.covers(&["devices", "till:1"]));
        let token = Token::parse(NODE_MODULE).unwrap();
        assert!(token.is_signed_with(KEY));
        assert!(token.covers(&["devices", "till:1", "modules", "m"]));
        assert!(!token.covers(&["devices", "till:1", "modules", "n"]));
        assert!(!token.covers(&["devices", "till:1"]));
    }

    #[test]
    fn a_policy_s_token_for_the_whole_hub_is_for_each_device() {
        let token = sign("hub.example", 5, KEY, Some("device"));
        let token = Token::parse(&token).unwrap();
        assert!(token.covers(&["devices", "till-1"]) && token.covers(&[]));
        assert_eq!(token.host(), "hub.example");
        let devices = Token::parse(&sign("hub.example/devices/", 5, KEY, None)).unwrap();
        assert!(devices.covers(&["devices", "till-1"]));
        assert!(!devices.covers(&["twins", "till-1"]));
    }

    #[test]
    fn a_text_that_says_something_twice_or_not_at_all_is_no_token() {
        let without = |pair: &str| PYTHON.replace(pair, "");
        for (text, error) in [
            ("sr=a&sig=b&se=1".to_owned(), TokenError::Scheme),
            (without("&se=1700003600"), TokenError::Pair("se")),
            (without("1700003600"), TokenError::Pair("se")),
            (
                without("hub.example%2Fdevices%2Ftill-1"),
                TokenError::Pair("sr"),
            ),
            (without("TQ%3D"), TokenError::Pair("sig")),
            (PYTHON.replace("se=1", "se=+1"), TokenError::Pair("se")),
            (format!("{PYTHON}&se=1700009999"), TokenError::Twice("se")),
            (format!("{PYTHON}&sr=other"), TokenError::Twice("sr")),
            ("a".repeat(TOKEN_MAX_BYTES + 1), TokenError::TooLong),
        ] {
            assert_eq!(Token::parse(&text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_token_does_not_print_what_lets_its_holder_in() {
        let printed = format!("{:?}", Token::parse(PYTHON).unwrap());
        assert!(printed.contains("till-1"), "{printed}");
        assert!(!printed.contains("signature"), "{printed}");
    }

    proptest! {
        #[test]
        fn what_is_signed_is_read_and_holds_for_its_key_alone(
            host in "[a-z][a-z0-9.-]{0,40}",
            device in "[A-Za-z0-9][A-Za-z0-9._:@=~-]{0,127}",
            expires in any::<u64>(),
            key in proptest::collection::vec(any::<u8>(), 1..64),
            policy in proptest::option::of("[ -~]{1,64}"),
        ) {
            let text = sign(&format!("{host}/devices/{device}"), expires, &key, policy.as_deref());
            let token = Token::parse(&text).unwrap();
            prop_assert!(token.is_signed_with(&key));
            prop_assert_eq!(token.host(), host.as_str());
            prop_assert_eq!(token.expires(), expires);
            prop_assert_eq!(token.policy(), policy.as_deref());
            prop_assert!(token.covers(&["devices", &device]));
            let mut other = key;
            other[0] ^= 1;
            prop_assert!(!token.is_signed_with(&other));
        }

        #[test]
        fn a_token_with_anything_changed_says_the_same_or_does_not_hold(
            place in 0..PYTHON.len(),
            with in "[ -~]",
        ) {
            let mut text = PYTHON.to_owned();
            text.replace_range(place..=place, &with);
            if let Ok(token) = Token::parse(&text) {
                let same = Some(&token) == Token::parse(PYTHON).ok().as_ref();
                prop_assert!(same || !token.is_signed_with(KEY));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = Token::parse(&format!("{SCHEME}{text}"));
        }
    }
}
