//! Whether a token is what it must be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::claims::{Claims, seconds};
use crate::keys::{KeySet, MAX_KEY_NAME};
use crate::strict;

/// The most bytes of a token.
pub const MAX_TOKEN: usize = 8 * 1024;

/// The furthest that clocks may be apart, in seconds.
pub const MAX_LEEWAY: i64 = 60;

/// The most bytes of whom a token speaks of.
const MAX_SUBJECT: usize = 256;

/// The most audiences of a token.
const MAX_AUDIENCES: usize = 64;

/// What of a header would bring a key, name a place to get one from, or change how the rest is read
/// (RFC 7515 §4.1, RFC 7516 §4.1, RFC 7797 §3). `x5t` only names a certificate, and is not looked at.
const NOT_TAKEN: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// What a token must be.
#[derive(Clone, Debug)]
pub struct Demands<'a> {
    /// Who must have issued it.
    pub issuer: &'a str,
    /// For whom it must be: one of these is enough.
    pub audiences: &'a [&'a str],
    /// By what it may be signed.
    pub algorithms: &'a [Algorithm],
    /// What its `typ` may be, small or capital, with or without `application/` (RFC 7515 §4.1.9).
    pub kinds: &'a [&'a str],
    /// Whether it may have no `typ`.
    pub unnamed_kind: bool,
    /// How far the issuer's clock may be off, in seconds, at most [`MAX_LEEWAY`].
    pub leeway: i64,
    /// How far off its end may be at the most, in seconds.
    pub longest: i64,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More than [`MAX_TOKEN`] bytes.
    #[error("the token is too long")]
    TooLong,
    /// It is not three parts of base 64, the first two of them objects without a name twice; or what
    /// it says is of another type than it must be.
    #[error("the token cannot be read")]
    Malformed,
    /// Its header has something that is never taken.
    #[error("the token's header has something that is not taken")]
    Header,
    /// It is signed by what is not taken.
    #[error("the token is signed by an algorithm that is not taken")]
    Algorithm,
    /// It is a token for something else.
    #[error("the token is of another kind")]
    Kind,
    /// No key of the set has its name and kind.
    #[error("the token is signed by a key that is not known")]
    UnknownKey,
    /// The signature does not hold.
    #[error("the token's signature does not hold")]
    Signature,
    /// Another issuer's.
    #[error("the token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the token is for somebody else")]
    Audience,
    /// It is over.
    #[error("the token has ended")]
    Ended,
    /// It does not hold yet, or says that it was made in the future.
    #[error("the token does not hold yet")]
    NotYet,
    /// It ends later than any may, or never.
    #[error("the token ends too late or never")]
    Longevity,
    /// It speaks of nobody.
    #[error("the token speaks of nobody")]
    Subject,
}

/// What a token says, if it is what it must be at `now`, in seconds since 1970.
///
/// # Errors
/// [`Refused`]; what a token says is looked at only once its signature has been found right.
pub fn verify(
    token: &str,
    keys: &KeySet,
    demands: &Demands<'_>,
    now: i64,
) -> Result<Claims, Refused> {
    if token.len() > MAX_TOKEN {
        return Err(Refused::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Refused::Malformed)?;
    let header = strict::object(&decoded(header)?).ok_or(Refused::Malformed)?;
    let (claims, signature) = (decoded(claims)?, decoded(signature)?);
    let algorithm = algorithm(&header, demands)?;
    let name = match header.get("kid") {
        None => None,
        Some(Value::String(name)) if name.len() <= MAX_KEY_NAME => Some(name.as_str()),
        Some(_) => return Err(Refused::Malformed),
    };
    let mut fitting = keys.for_token(algorithm, name).peekable();
    if fitting.peek().is_none() {
        return Err(Refused::UnknownKey);
    }
    if !fitting.any(|key| key.has_signed(algorithm, signed.as_bytes(), &signature)) {
        return Err(Refused::Signature);
    }
    let claims = strict::object(&claims).ok_or(Refused::Malformed)?;
    judge(&claims, demands, now)?;
    Ok(Claims(claims))
}

fn decoded(part: &str) -> Result<Vec<u8>, Refused> {
    let decoded = URL_SAFE_NO_PAD.decode(part);
    decoded.map_err(|_| Refused::Malformed)
}

fn algorithm(header: &Map<String, Value>, demands: &Demands<'_>) -> Result<Algorithm, Refused> {
    if NOT_TAKEN.iter().any(|name| header.contains_key(*name)) {
        return Err(Refused::Header);
    }
    let named = header.get("alg").and_then(Value::as_str);
    let algorithm: Algorithm = named
        .and_then(|named| named.parse().ok())
        .filter(|algorithm| demands.algorithms.contains(algorithm))
        .ok_or(Refused::Algorithm)?;
    let is_taken = match header.get("typ") {
        None => demands.unnamed_kind,
        Some(Value::String(kind)) => {
            let kind = kind.to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            let mut taken = demands.kinds.iter();
            taken.any(|taken| taken.eq_ignore_ascii_case(kind))
        }
        Some(_) => return Err(Refused::Malformed),
    };
    if is_taken {
        Ok(algorithm)
    } else {
        Err(Refused::Kind)
    }
}

fn judge(claims: &Map<String, Value>, demands: &Demands<'_>, now: i64) -> Result<(), Refused> {
    match claims.get("iss") {
        Some(Value::String(issuer)) if issuer == demands.issuer => {}
        Some(_) | None => return Err(Refused::Issuer),
    }
    is_for(claims.get("aud"), demands.audiences)?;
    let leeway = demands.leeway.clamp(0, MAX_LEEWAY);
    let time = |name| match claims.get(name) {
        None => Ok(None),
        Some(value) => seconds(value).map(Some).ok_or(Refused::Malformed),
    };
    let ends = time("exp")?.ok_or(Refused::Longevity)?;
    if ends.saturating_add(leeway) <= now {
        return Err(Refused::Ended);
    }
    let latest = now.saturating_add(demands.longest).saturating_add(leeway);
    if ends > latest {
        return Err(Refused::Longevity);
    }
    let from = [time("nbf")?, time("iat")?].into_iter().flatten().max();
    if from.is_some_and(|from| from.saturating_sub(leeway) > now) {
        return Err(Refused::NotYet);
    }
    match claims.get("sub") {
        Some(Value::String(whom)) if (1..=MAX_SUBJECT).contains(&whom.len()) => Ok(()),
        Some(_) | None => Err(Refused::Subject),
    }
}

/// Whether one of those for whom a token is (RFC 7519 §4.1.3) is one of `wanted`.
fn is_for(said: Option<&Value>, wanted: &[&str]) -> Result<(), Refused> {
    let is_wanted = |one: &str| wanted.contains(&one);
    let found = match said {
        Some(Value::String(one)) => is_wanted(one),
        Some(Value::Array(several)) if several.len() <= MAX_AUDIENCES => {
            let texts: Option<Vec<_>> = several.iter().map(Value::as_str).collect();
            let texts = texts.ok_or(Refused::Malformed)?;
            texts.into_iter().any(is_wanted)
        }
        Some(_) => return Err(Refused::Malformed),
        None => false,
    };
    if found {
        Ok(())
    } else {
        Err(Refused::Audience)
    }
}
