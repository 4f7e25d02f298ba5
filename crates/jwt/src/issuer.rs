//! One issuer's keys: where they are found (OpenID Connect Discovery 1.0), when they are to be
//! fetched, and for how long they count. The fetching is the caller's.

use serde_json::Value;

use crate::claims::Claims;
use crate::keys::KeySet;
use crate::strict;
use crate::verify::{Demands, Refused, verify};

/// The most bytes of an issuer's description.
pub const MAX_DISCOVERY: usize = 64 * 1024;

/// The most bytes of an address.
const MAX_ADDRESS: usize = 2_048;

/// The least time between two fetches, in seconds: whoever makes up names of keys has the issuer
/// asked no more often.
pub const FETCH_EVERY: i64 = 60;

/// For how long keys count without being fetched anew, in seconds, whatever the issuer says.
pub const KEYS_LAST: std::ops::RangeInclusive<i64> = 300..=86_400;

/// For how much longer they count while they cannot be fetched, in seconds.
pub const KEYS_LINGER: i64 = 3_600;

/// What describes an issuer lies below its name.
const DESCRIBED_AT: &str = "/.well-known/openid-configuration";

/// Where an issuer's description is (§4.1); none for what is no issuer's name: `https`, without a
/// login, a query or a fragment.
#[must_use]
pub fn description_of(issuer: &str) -> Option<String> {
    let named = is_secure(issuer) && !issuer.contains(['?', '#']);
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    named.then(|| format!("{issuer}{DESCRIBED_AT}"))
}

/// Where the keys of an issuer are, by its description (§4.2). None when it is no description, is
/// that of another issuer (§4.3), or its keys do not come over `https`.
#[must_use]
pub fn keys_of(issuer: &str, description: &[u8]) -> Option<String> {
    if description.len() > MAX_DISCOVERY {
        return None;
    }
    let described = strict::object(description)?;
    let text = |name| described.get(name).and_then(Value::as_str);
    if text("issuer")? != issuer {
        return None;
    }
    let keys = text("jwks_uri")?;
    (is_secure(keys) && !keys.contains('#')).then(|| keys.to_owned())
}

fn is_secure(address: &str) -> bool {
    let is_wrong =
        |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'"' | b'<' | b'>');
    let rest = address.strip_prefix("https://");
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    address.len() <= MAX_ADDRESS
        && !address.bytes().any(is_wrong)
        && host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
}

/// What is known of an issuer's keys.
#[derive(Clone, Debug, Default)]
pub struct IssuerKeys {
    known: Option<Known>,
    /// When they were last asked for, whatever came of it.
    asked: Option<i64>,
}

#[derive(Clone, Debug)]
struct Known {
    keys: KeySet,
    since: i64,
    lasts: i64,
}

/// Why a token is not taken, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It is not what it must be.
    Refused(Refused),
    /// The keys are to be fetched, and the token verified again.
    Fetch,
    /// There are no keys, and none are to be had now: nobody knows what the token is.
    Away,
}

impl IssuerKeys {
    /// As [`verify`], by the keys that are known at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn verify(&self, token: &str, demands: &Demands<'_>, now: i64) -> Result<Claims, NotTaken> {
        let otherwise = |what| {
            if self.may_fetch(now) {
                NotTaken::Fetch
            } else {
                what
            }
        };
        let Some(known) = self.known.as_ref().filter(|known| known.counts(now)) else {
            return Err(otherwise(NotTaken::Away));
        };
        if !known.is_fresh(now) && self.may_fetch(now) {
            return Err(NotTaken::Fetch);
        }
        verify(token, &known.keys, demands, now).map_err(|refused| match refused {
            Refused::UnknownKey => otherwise(NotTaken::Refused(refused)),
            Refused::TooLong
            | Refused::Malformed
            | Refused::Header
            | Refused::Algorithm
            | Refused::Kind
            | Refused::Signature
            | Refused::Issuer
            | Refused::Audience
            | Refused::Ended
            | Refused::NotYet
            | Refused::Longevity
            | Refused::Subject => NotTaken::Refused(refused),
        })
    }

    /// They are being fetched at `now`.
    pub fn on_fetch(&mut self, now: i64) {
        self.asked = Some(now);
    }

    /// They were fetched at `now`, and count for so many seconds, within [`KEYS_LAST`]. Those from
    /// before count no more. A set without a key that can be used changes nothing.
    pub fn on_keys(&mut self, keys: KeySet, lasts: i64, now: i64) {
        if keys.is_empty() {
            return;
        }
        let lasts = lasts.clamp(*KEYS_LAST.start(), *KEYS_LAST.end());
        let since = now;
        self.known = Some(Known { keys, since, lasts });
    }

    fn may_fetch(&self, now: i64) -> bool {
        // Also where the clock was put back.
        let soon = |asked: i64| (0..FETCH_EVERY).contains(&now.saturating_sub(asked));
        !self.asked.is_some_and(soon)
    }
}

impl Known {
    fn is_fresh(&self, now: i64) -> bool {
        (0..self.lasts).contains(&now.saturating_sub(self.since))
    }

    fn counts(&self, now: i64) -> bool {
        now.saturating_sub(self.since) < self.lasts.saturating_add(KEYS_LINGER)
    }
}
