//! Service signatures of a single blob (Microsoft's "Create a service SAS").
//!
//! They are the query of an address: `sv=2023-11-03&st=…&se=…&sr=b&sp=r&si=gr-1&sig=…`. The
//! signature is the HMAC-SHA256 of the values, not encoded, each on a line of its own in an order
//! that depends on the version `sv`; those that are not there are empty lines.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use ring::hmac;
use time::{Date, Month, PrimitiveDateTime, Time};

use crate::UNRESERVED;

/// The most bytes of a query that are looked at.
pub const QUERY_MAX_BYTES: usize = 4_096;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 32;

/// The oldest version that is known, and those from which on there is more to sign.
const OLDEST: &str = "2015-04-05";
const WITH_RESOURCE: &str = "2018-11-09";
const WITH_SCOPE: &str = "2020-12-06";

/// Declares the fields of a signature by their names in the query.
macro_rules! fields {
    ($($field:ident),*) => {
        /// The values as they were signed, not encoded.
        #[derive(Clone, Default, PartialEq, Eq)]
        struct Fields {
            $($field: Option<String>,)*
        }

        impl Fields {
            /// Where the value of that name belongs.
            fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
                $(if name == stringify!($field) {
                    return Some(&mut self.$field);
                })*
                None
            }
        }
    };
}

fields!(
    sp, st, se, si, sip, spr, sv, sr, snapshot, ses, rscc, rscd, rsce, rscl, rsct
);

/// A signature with what it says, not yet verified. It does not print itself: whoever has it may use
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sas {
    fields: Fields,
    signature: [u8; SIGNATURE_BYTES],
    starts: Option<i64>,
    ends: Option<i64>,
}

/// Which blob a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The account's name, which need not be in the address.
    pub account: &'a str,
    /// The container's.
    pub container: &'a str,
    /// The blob's, not encoded; there may be slashes in it.
    pub blob: &'a str,
}

/// What one may want to do to a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// `r`: read what is in it, and what is known of it.
    Read,
    /// `c`: make it, if it is not there.
    Create,
    /// `w`: make it or put something else in its place.
    Write,
    /// `d`: remove it.
    Delete,
}

/// What a new signature says.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// From when it holds, in seconds since 1970.
    pub starts: i64,
    /// Until when.
    pub ends: i64,
    /// The letters of what it lets do.
    pub permissions: &'a str,
    /// By which stored policy.
    pub policy: &'a str,
}

/// Why a query has no signature that could be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// The query is longer than [`QUERY_MAX_BYTES`].
    #[error("it is longer than {QUERY_MAX_BYTES} bytes")]
    TooLong,
    /// A value is not there, or cannot be read.
    #[error("`{0}` is missing or cannot be read")]
    Value(&'static str),
    /// A value comes twice.
    #[error("a value comes twice")]
    Twice,
    /// It was made by another way of signing: with the key of a user, or for a directory.
    #[error("it is signed in a way that is not taken")]
    Other,
}

impl Sas {
    /// Reads the signature in an address's query, with or without a question mark before it. What
    /// else stands there is passed over.
    ///
    /// # Errors
    /// [`SasError`].
    pub fn parse(query: &str) -> Result<Self, SasError> {
        if query.len() > QUERY_MAX_BYTES {
            return Err(SasError::TooLong);
        }
        let mut fields = Fields::default();
        let mut signature = None;
        for pair in query.trim_start_matches('?').split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if matches!(name, "skoid" | "sdd" | "saoid" | "suoid" | "ss" | "srt") {
                return Err(SasError::Other);
            }
            let place = match name {
                "sig" => Some(&mut signature),
                _ => fields.place(name),
            };
            let Some(place) = place else {
                continue;
            };
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| SasError::Value("a value"))?.into_owned();
            if place.replace(value).is_some() {
                return Err(SasError::Twice);
            }
        }
        let version = fields.sv.as_deref().filter(|sv| is_version(sv));
        version.ok_or(SasError::Value("sv"))?;
        if fields.sr.as_deref() != Some("b") {
            return Err(SasError::Value("sr"));
        }
        let signature = signature.and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.and_then(|bytes| bytes.try_into().ok());
        Ok(Self {
            signature: signature.ok_or(SasError::Value("sig"))?,
            starts: moment_in(fields.st.as_deref(), "st")?,
            ends: moment_in(fields.se.as_deref(), "se")?,
            fields,
        })
    }

    /// The stored policy that it goes by.
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.fields.si.as_deref().filter(|name| !name.is_empty())
    }

    /// From when it holds, in seconds since 1970; from when its policy does, if it says nothing.
    #[must_use]
    pub fn starts(&self) -> Option<i64> {
        self.starts
    }

    /// Until when it holds, in seconds since 1970; as long as its policy does, if it says nothing.
    #[must_use]
    pub fn ends(&self) -> Option<i64> {
        self.ends
    }

    /// Whether it lets do that; as its policy says, if it names no permissions.
    #[must_use]
    pub fn permits(&self, permission: Permission) -> Option<bool> {
        let letters = self.fields.sp.as_deref()?;
        Some(match permission {
            Permission::Read => letters.contains('r'),
            Permission::Create => letters.contains(['c', 'w']),
            Permission::Write => letters.contains('w'),
            Permission::Delete => letters.contains('d'),
        })
    }

    /// Whether it may be used from there: `sip` is one address or two with a hyphen between them.
    #[must_use]
    pub fn is_for(&self, peer: IpAddr) -> bool {
        let Some(range) = self.fields.sip.as_deref() else {
            return true;
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>()) else {
            return false;
        };
        let peer = peer.to_canonical();
        first.is_ipv4() == peer.is_ipv4() && (first..=last).contains(&peer)
    }

    /// What the answer's header of that field is to be (`rsct` and the like), if it says so.
    #[must_use]
    pub fn answered_with(&self, field: Answered) -> Option<&str> {
        match field {
            Answered::CacheControl => self.fields.rscc.as_deref(),
            Answered::ContentDisposition => self.fields.rscd.as_deref(),
            Answered::ContentEncoding => self.fields.rsce.as_deref(),
            Answered::ContentLanguage => self.fields.rscl.as_deref(),
            Answered::ContentType => self.fields.rsct.as_deref(),
        }
    }

    /// Whether `key` has signed it for that blob, taking the same time wherever it differs.
    #[must_use]
    pub fn is_signed_with(&self, key: &[u8], resource: Resource<'_>) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let text = self.fields.text(resource);
        hmac::verify(&key, text.as_bytes(), &self.signature).is_ok()
    }
}

/// A header of the answer that a signature may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// `Cache-Control`
    CacheControl,
    /// `Content-Disposition`
    ContentDisposition,
    /// `Content-Encoding`
    ContentEncoding,
    /// `Content-Language`
    ContentLanguage,
    /// `Content-Type`
    ContentType,
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sas")
            .field("policy", &self.fields.si)
            .field("permissions", &self.fields.sp)
            .field("starts", &self.fields.st)
            .field("ends", &self.fields.se)
            .finish_non_exhaustive()
    }
}

/// The query, without a question mark, of an address that lets do what `terms` say, signed with
/// `key`.
#[must_use]
pub fn sign(terms: Terms<'_>, resource: Resource<'_>, key: &[u8]) -> String {
    let mut fields = Fields::default();
    let pairs = [
        ("sv", VERSION.to_owned()),
        ("st", written(terms.starts)),
        ("se", written(terms.ends)),
        ("sr", "b".to_owned()),
        ("sp", terms.permissions.to_owned()),
        ("si", terms.policy.to_owned()),
    ];
    let mut query = String::new();
    for (name, value) in pairs {
        // Writing to a text cannot fail.
        let _ = write!(query, "{name}={}&", utf8_percent_encode(&value, UNRESERVED));
        if let Some(place) = fields.place(name) {
            *place = Some(value);
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, fields.text(resource).as_bytes());
    let tag = STANDARD.encode(tag);
    query + "sig=" + &utf8_percent_encode(&tag, UNRESERVED).to_string()
}

/// The version that signatures are made by here: one that programs of a few years ago know too.
const VERSION: &str = "2023-11-03";

impl Fields {
    /// What is signed.
    fn text(&self, resource: Resource<'_>) -> String {
        let Resource {
            account,
            container,
            blob,
        } = resource;
        let name = format!("/blob/{account}/{container}/{blob}");
        let version = self.sv.as_deref().unwrap_or_default();
        let of = |field: &'static str, value: &Option<String>| {
            let known = match field {
                "sr" | "snapshot" => version >= WITH_RESOURCE,
                "ses" => version >= WITH_SCOPE,
                _ => true,
            };
            known.then(|| value.clone().unwrap_or_default())
        };
        let lines = [
            of("sp", &self.sp),
            of("st", &self.st),
            of("se", &self.se),
            Some(name),
            of("si", &self.si),
            of("sip", &self.sip),
            of("spr", &self.spr),
            of("sv", &self.sv),
            of("sr", &self.sr),
            of("snapshot", &self.snapshot),
            of("ses", &self.ses),
            of("rscc", &self.rscc),
            of("rscd", &self.rscd),
            of("rsce", &self.rsce),
            of("rscl", &self.rscl),
            of("rsct", &self.rsct),
        ];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        lines.join("\n")
    }
}

/// Versions are dates, and are compared as texts.
fn is_version(text: &str) -> bool {
    date(text).is_some() && text >= OLDEST
}

fn moment_in(text: Option<&str>, name: &'static str) -> Result<Option<i64>, SasError> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => moment(text).map(Some).ok_or(SasError::Value(name)),
    }
}

/// Seconds since 1970 of the forms of ISO 8601 that are taken: `YYYY-MM-DD`, and behind it
/// `Thh:mmZ` or `Thh:mm:ssZ`, with or without a fraction of the second.
fn moment(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once('T').unwrap_or((text, "00:00Z"));
    let clock = clock.strip_suffix('Z')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    number(fraction.get(..fraction.len().min(9))?)?;
    let mut parts = clock.split(':').map(two_digits);
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let clock = Time::from_hms(hour, minute, second).ok()?;
    let none_left = parts.next().is_none();
    none_left.then_some(())?;
    let moment = PrimitiveDateTime::new(date(day)?, clock);
    Some(moment.assume_utc().unix_timestamp())
}

fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let year = parts.next().filter(|year| year.len() == 4)?;
    let month = two_digits(parts.next()?)?;
    let day = two_digits(parts.next()?)?;
    if parts.next().is_some() {
        return None;
    }
    let year = i32::try_from(number(year)?).ok()?;
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()
}

fn two_digits(text: &str) -> Option<u8> {
    let digits = text.len() == 2;
    digits
        .then(|| number(text))?
        .and_then(|it| u8::try_from(it).ok())
}

/// Digits only: `+5` is a number to Rust.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A moment, in seconds since 1970, as signatures have it. One that is in no year of four digits is
/// as near to it as there is one.
fn written(moment: i64) -> String {
    let first = time::macros::datetime!(0000-01-01 00:00 UTC);
    let last = time::macros::datetime!(9999-12-31 23:59:59 UTC);
    let moment = moment.clamp(first.unix_timestamp(), last.unix_timestamp());
    let moment = time::OffsetDateTime::from_unix_timestamp(moment).unwrap_or(last);
    let (year, month, day) = (moment.year(), u8::from(moment.month()), moment.day());
    let (hour, minute, second) = (moment.hour(), moment.minute(), moment.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests;
