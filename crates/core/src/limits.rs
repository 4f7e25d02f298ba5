//! What one device, and the hub as a whole, may ask for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::files::FileLimits;
use crate::refusal::Refusal;

mod failed_logins;
mod rate;
mod share;
mod turns;

pub use failed_logins::{Attempt, FAILED_LOGINS, FAILED_LOGINS_OF_SOURCE, FailedLogins};
pub use rate::{MAX_REMEMBERED, Rate, Rates};
pub use share::{InUse, Quota, Share};
pub(crate) use turns::Turns;

/// The most bytes of an event's, command's or call's payload (that of Azure IoT Hub).
pub const MAX_EVENT: usize = 262_144;

/// The most bytes of what an event, command or call is about.
pub const MAX_PATH: usize = 256;

/// The most bytes of a media type: twice what RFC 6838, section 4.2, lets its two names have.
pub const MAX_CONTENT_TYPE: usize = 256;

/// The most named texts beside a payload.
pub const MAX_PROPERTIES: usize = 64;

/// The most bytes of all named texts beside a payload together, names and texts.
pub const MAX_PROPERTIES_BYTES: usize = 8_192;

/// How much is taken and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events a second that one device may send in the long run; 0 is none at all.
    pub events_a_second: u32,
    /// Events that one device may send at once after it has been quiet.
    pub event_burst: u32,
    /// Messages to other devices a second that one device may send in the long run; 0 is none at
    /// all.
    pub messages_a_second: u32,
    /// Messages to other devices that one device may send at once after it has been quiet.
    pub message_burst: u32,
    /// Reports of its twin a second that one device may make in the long run; 0 is none at all.
    pub reports_a_second: u32,
    /// Reports that one device may make at once after it has been quiet.
    pub report_burst: u32,
    /// Subscriptions a second that one device may make or renew in the long run; 0 is none at all.
    pub subscriptions_a_second: u32,
    /// Subscriptions that one device may make at once after it has been quiet.
    pub subscription_burst: u32,
    /// Log records a second that one device may send in the long run; 0 is none at all.
    pub logs_a_second: u32,
    /// Log records that one device may send at once after it has been quiet. One request more is
    /// taken whole, and what comes after waits for it.
    pub log_burst: u32,
    /// How long events are kept, unless a consumer has yet to take them.
    pub keep: Duration,
    /// The most bytes of the store. Above, the oldest events are cleared away, or, when a
    /// consumer has yet to take those, new ones are refused.
    pub store_bytes: u64,
    /// How long what devices log is kept.
    pub keep_logs: Duration,
    /// The most bytes of what devices log. Above, the oldest go.
    pub log_bytes: u64,
    /// Bytes of the disk that events leave free, so that revocations and the audit log have room
    /// when nothing else has. Logs leave twice as much free, so that they are refused before
    /// events are.
    pub reserve: u64,
    /// How much is kept of the files of devices.
    pub files: FileLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events_a_second: 1_000,
            event_burst: 2_000,
            messages_a_second: 1_000,
            message_burst: 2_000,
            reports_a_second: 100,
            report_burst: 200,
            subscriptions_a_second: 100,
            // As many as all sessions of a device may have by default, so that it can come back.
            subscription_burst: 4_096,
            logs_a_second: 200,
            // A device that was away for a while brings what it has noted.
            log_burst: 10_000,
            keep: Duration::from_hours(30 * 24),
            store_bytes: 10 << 30,
            keep_logs: Duration::from_hours(14 * 24),
            log_bytes: 2 << 30,
            reserve: 64 << 20,
            files: FileLimits::default(),
        }
    }
}

/// What counts as one source: an IPv4 address, or what one customer is given of IPv6 (a /64).
#[must_use]
pub fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Checks what an event, command or call is about: at most `most` bytes without control
/// characters.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Invalid`].
pub(crate) fn check_path(field: &'static str, path: &str, most: usize) -> Result<(), Refusal> {
    check_size(field, path.len(), most)?;
    check_text(field, path)
}

/// Checks what can be the name of a file below a folder, on whatever system: a path of steps with
/// slashes between them, none of them empty, `.` or `..`; no control characters, no backslashes.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Invalid`].
pub(crate) fn check_file_name(field: &'static str, text: &str) -> Result<(), Refusal> {
    check_path(field, text, MAX_PATH)?;
    let is_step = |step: &str| !matches!(step, "" | "." | "..");
    if text.split('/').all(is_step) && !text.contains('\\') {
        Ok(())
    } else {
        let why = "a path as images/logo.png, without empty steps, `.`, `..` and backslashes";
        Err(Refusal::invalid(field, why))
    }
}

/// Checks a media type: empty, or printable ASCII of at most [`MAX_CONTENT_TYPE`] bytes.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Invalid`].
pub(crate) fn check_content_type(text: &str) -> Result<(), Refusal> {
    check_size("content type", text.len(), MAX_CONTENT_TYPE)?;
    if text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        Ok(())
    } else {
        Err(Refusal::invalid("content type", "printable ASCII"))
    }
}

/// Checks named texts beside a payload. The texts may hold anything, the names no control
/// characters.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Invalid`].
pub(crate) fn check_properties(properties: &BTreeMap<String, String>) -> Result<(), Refusal> {
    check_size("properties", properties.len(), MAX_PROPERTIES)?;
    let bytes = properties.iter().map(|(key, text)| key.len() + text.len());
    check_size(
        "bytes of properties",
        bytes.sum::<usize>(),
        MAX_PROPERTIES_BYTES,
    )?;
    for name in properties.keys() {
        check_text("property name", name)?;
    }
    Ok(())
}

/// Checks a payload's size.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub(crate) fn check_payload(payload: &[u8]) -> Result<(), Refusal> {
    check_size("bytes of payload", payload.len(), MAX_EVENT)
}

fn check_size(what: &'static str, size: usize, most: usize) -> Result<(), Refusal> {
    if size <= most {
        return Ok(());
    }
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    Err(Refusal::TooLarge { what, limit })
}

fn check_text(field: &'static str, text: &str) -> Result<(), Refusal> {
    if text.chars().any(char::is_control) {
        Err(Refusal::invalid(field, "text without control characters"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customers_network_of_version_six_is_one_source() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    #[test]
    fn an_address_written_as_one_of_version_six_is_the_same_source() {
        let mapped = source("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(mapped, "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
