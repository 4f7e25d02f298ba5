//! Signatures of version 4 ("AWS Signature Version 4 for API requests"), verified.
//!
//! A request is signed in its query, as MQTT over WebSocket is, or in its headers. Either names an
//! access key, a time, and the headers that were signed; the secret that goes with the access key
//! says whether all of it is so. Which access keys there are is the caller's.

mod canonical;
mod moment;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use ring::digest::{SHA256, digest};
use ring::hmac;

use canonical::Canonical;
pub use moment::{MAX_EXPIRES, NotNow, WINDOW};

/// The most bytes of a query, or of an `Authorization` header, that are looked at. A security token
/// is the longest part.
pub const MAX_BYTES: usize = 16 * 1024;

/// The most headers that a request may sign.
pub const MAX_SIGNED_HEADERS: usize = 64;

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What an access key's scope ends with.
const TERMINATOR: &str = "aws4_request";

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 32;

/// The service whose requests carry a security token that was not signed.
const DEVICE_GATEWAY: &str = "iotdevicegateway";

/// A request, as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it stands in the request line.
    pub path: &'a str,
    /// Its query, without the question mark, as it stands in the request line.
    pub query: &'a str,
    /// Its headers, in order.
    pub headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of its body.
    pub body_sha256: [u8; 32],
}

/// SHA-256 of no body at all.
#[must_use]
pub fn no_body() -> [u8; 32] {
    sha256(b"")
}

/// A signature as it was sent, not yet verified. It does not print itself: a query that is signed
/// lets in whoever has it, as long as it lasts.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    access_key: String,
    date: String,
    region: String,
    service: String,
    /// `YYYYMMDD'T'HHMMSS'Z'`, as sent.
    moment: String,
    /// That in seconds since 1970.
    at: u64,
    expires: Option<u64>,
    signed_headers: Vec<String>,
    security_token: Option<String>,
    signature: [u8; SIGNATURE_BYTES],
    place: Place,
}

/// Where a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Query,
    Header,
}

/// Why a request has no signature that could be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It has none, or more than one kind.
    #[error("the request is not signed")]
    Unsigned,
    /// It is longer than [`MAX_BYTES`].
    #[error("the signature and what belongs to it are longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It is of another algorithm.
    #[error("the signature is not one of {ALGORITHM}")]
    Algorithm,
    /// A part is missing, comes twice, or cannot be read.
    #[error("`{0}` is missing, comes twice, or cannot be read")]
    Part(&'static str),
    /// The host was not signed, or headers not as they must be: in order, in lower case, once.
    #[error("the signed headers are not as they must be, or `host` is not among them")]
    SignedHeaders,
}

/// The parts of a signature, before they are read.
#[derive(Default)]
struct Parts<'a> {
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    token: Option<Cow<'a, str>>,
}

impl Signed {
    /// Reads the signature of a request, in its query or its headers.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn of(request: &Request<'_>) -> Result<Self, SignatureError> {
        let authorization = only(request.headers, "authorization")?;
        let in_query = request
            .query
            .split('&')
            .any(|pair| name_of(pair).eq_ignore_ascii_case("X-Amz-Signature"));
        match (authorization, in_query) {
            (Some(text), false) if text.starts_with("AWS4-") => Self::in_header(request, text),
            (None, true) => Self::in_query(request.query),
            (Some(_) | None, _) => Err(SignatureError::Unsigned),
        }
    }

    fn in_query(query: &str) -> Result<Self, SignatureError> {
        if query.len() > MAX_BYTES {
            return Err(SignatureError::TooLong);
        }
        let (mut parts, mut algorithm) = (Parts::default(), None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (place, name) = match decoded(name)?.as_ref() {
                "X-Amz-Algorithm" => (&mut algorithm, "X-Amz-Algorithm"),
                "X-Amz-Credential" => (&mut parts.credential, "X-Amz-Credential"),
                "X-Amz-Date" => (&mut parts.date, "X-Amz-Date"),
                "X-Amz-SignedHeaders" => (&mut parts.signed_headers, "X-Amz-SignedHeaders"),
                "X-Amz-Signature" => (&mut parts.signature, "X-Amz-Signature"),
                "X-Amz-Expires" => (&mut parts.expires, "X-Amz-Expires"),
                "X-Amz-Security-Token" => (&mut parts.token, "X-Amz-Security-Token"),
                _ => continue,
            };
            if place.replace(decoded(value)?).is_some() {
                return Err(SignatureError::Part(name));
            }
        }
        if algorithm.as_deref() != Some(ALGORITHM) {
            return Err(SignatureError::Algorithm);
        }
        Self::read(parts, Place::Query)
    }

    fn in_header(request: &Request<'_>, text: &str) -> Result<Self, SignatureError> {
        if text.len() > MAX_BYTES {
            return Err(SignatureError::TooLong);
        }
        let fields = text
            .strip_prefix(ALGORITHM)
            .ok_or(SignatureError::Algorithm)?;
        let fields = fields.strip_prefix(' ').ok_or(SignatureError::Algorithm)?;
        let mut parts = Parts {
            date: only(request.headers, "x-amz-date")?.map(Cow::Borrowed),
            token: only(request.headers, "x-amz-security-token")?.map(Cow::Borrowed),
            ..Parts::default()
        };
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').unwrap_or_default();
            let (place, name) = match name {
                "Credential" => (&mut parts.credential, "Credential"),
                "SignedHeaders" => (&mut parts.signed_headers, "SignedHeaders"),
                "Signature" => (&mut parts.signature, "Signature"),
                _ => continue,
            };
            if place.replace(Cow::Borrowed(value)).is_some() {
                return Err(SignatureError::Part(name));
            }
        }
        Self::read(parts, Place::Header)
    }

    fn read(parts: Parts<'_>, place: Place) -> Result<Self, SignatureError> {
        let missing = SignatureError::Part;
        let credential = parts.credential.ok_or(missing("Credential"))?;
        let mut scope = credential.split('/');
        let mut step = || scope.next().filter(|step| !step.is_empty());
        let (Some(access_key), Some(date), Some(region), Some(service), Some(TERMINATOR), None) =
            (step(), step(), step(), step(), step(), step())
        else {
            return Err(missing("Credential"));
        };
        let moment = parts.date.ok_or(missing("X-Amz-Date"))?;
        let at = moment::seconds(&moment).ok_or(missing("X-Amz-Date"))?;
        if moment.get(..date.len()) != Some(date) || date.len() != moment::DATE_LENGTH {
            return Err(missing("Credential"));
        }
        let expires = match parts.expires {
            None => None,
            Some(text) => Some(moment::expires(&text).ok_or(missing("X-Amz-Expires"))?),
        };
        let signature = parts.signature.as_deref().and_then(from_hex);
        Ok(Self {
            access_key: access_key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            at,
            moment: moment.into_owned(),
            expires,
            signed_headers: signed_headers(&parts.signed_headers.unwrap_or_default())?,
            security_token: parts.token.map(Cow::into_owned),
            signature: signature.ok_or(missing("Signature"))?,
            place,
        })
    }

    /// Whose secret must have signed it.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The region for which it is.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The service for which it is: `iotdevicegateway`, `iotdata`.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The token that goes with an access key that does not last. Over MQTT it was not signed: it
    /// is to be compared with the one that belongs to the access key.
    #[must_use]
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }

    /// Whether it is good at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn in_time(&self, now: u64) -> Result<(), NotNow> {
        moment::in_time(self.at, self.expires, now)
    }

    /// Whether `secret` has signed `request`, taking the same time wherever the two differ.
    #[must_use]
    pub fn is_signed_with(&self, secret: &[u8], request: &Request<'_>) -> bool {
        let key = self.signing_key(secret);
        // AWS IoT's own clients add the token afterwards, others sign it as all else.
        let without = self.service == DEVICE_GATEWAY && self.security_token.is_some();
        let ways = [true, false].into_iter().take(if without { 2 } else { 1 });
        ways.fold(false, |found, with_token| {
            let canonical = Canonical {
                request,
                signed_headers: &self.signed_headers,
                in_query: self.place == Place::Query,
                with_token,
            };
            let holds = canonical.text().is_some_and(|text| {
                let signed = self.string_to_sign(&text);
                hmac::verify(&key, signed.as_bytes(), &self.signature).is_ok()
            });
            found | holds
        })
    }

    fn string_to_sign(&self, canonical: &str) -> String {
        format!(
            "{ALGORITHM}\n{}\n{}/{}/{}/{TERMINATOR}\n{}",
            self.moment,
            self.date,
            self.region,
            self.service,
            hex(&sha256(canonical.as_bytes()))
        )
    }

    fn signing_key(&self, secret: &[u8]) -> hmac::Key {
        let secret = [b"AWS4", secret].concat();
        let begin = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let steps = [&self.date, &self.region, &self.service];
        let steps = steps.into_iter().map(String::as_str).chain([TERMINATOR]);
        steps.fold(begin, |key, step| {
            let tag = hmac::sign(&key, step.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
        })
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("access_key", &self.access_key)
            .field("moment", &self.moment)
            .field("region", &self.region)
            .field("service", &self.service)
            .field("signed_headers", &self.signed_headers)
            .finish_non_exhaustive()
    }
}

/// The value of a header that may be there once.
fn only<'a>(
    headers: &[(&str, &'a str)],
    name: &'static str,
) -> Result<Option<&'a str>, SignatureError> {
    let mut named = headers
        .iter()
        .filter(|(its, _)| its.eq_ignore_ascii_case(name));
    match (named.next(), named.next()) {
        (first, None) => Ok(first.map(|(_, value)| *value)),
        (_, Some(_)) => Err(SignatureError::Part(name)),
    }
}

fn signed_headers(text: &str) -> Result<Vec<String>, SignatureError> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let in_order = names.iter().zip(names.iter().skip(1)).all(|(a, b)| a < b);
    let plain = |name: &String| {
        let sound =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        !name.is_empty() && name.chars().all(sound)
    };
    let sound = in_order
        && names.len() <= MAX_SIGNED_HEADERS
        && names.iter().all(plain)
        && names.iter().any(|name| name == "host");
    sound.then_some(names).ok_or(SignatureError::SignedHeaders)
}

fn name_of(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

fn decoded(text: &str) -> Result<Cow<'_, str>, SignatureError> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| SignatureError::Part("the query"))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let digits = digits.filter(|digits| digits.len() == 2 * SIGNATURE_BYTES)?;
    let mut bytes = [0; SIGNATURE_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |sum, digit| sum << 4 | digit);
    }
    Some(bytes)
}
