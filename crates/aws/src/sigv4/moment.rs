//! When a signature was made, and for how long it is good.

use time::{Date, Month, OffsetDateTime, Time};

/// How far the clock of who signs may be off, either way, in seconds; and for how long a signature
/// without an end is good.
pub const WINDOW: u64 = 5 * 60;

/// The longest that a signature may say it is good, in seconds: seven days, as AWS has it.
pub const MAX_EXPIRES: u64 = 7 * 24 * 3600;

/// Characters of a date.
pub(super) const DATE_LENGTH: usize = "YYYYMMDD".len();

/// Why a signature is not good now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// It is of a time that is still to come.
    #[error("the request is signed at a time that is still to come")]
    Early,
    /// Its time is over.
    #[error("the request is signed too long ago, or its time is over")]
    Late,
}

/// Reads `YYYYMMDD'T'HHMMSS'Z'`, from 1970 on.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let date = digits(date, DATE_LENGTH)?;
    let time = digits(time, "HHMMSS".len())?;
    let small = |number: u32| u8::try_from(number).ok();
    let month = Month::try_from(small(date / 100 % 100)?).ok()?;
    let year = i32::try_from(date / 10_000).ok()?;
    let date = Date::from_calendar_date(year, month, small(date % 100)?).ok()?;
    let time = Time::from_hms(
        small(time / 10_000)?,
        small(time / 100 % 100)?,
        small(time % 100)?,
    );
    let at = OffsetDateTime::new_utc(date, time.ok()?);
    u64::try_from(at.unix_timestamp()).ok()
}

/// Reads for how many seconds a signature is good.
pub(super) fn expires(text: &str) -> Option<u64> {
    let seconds = u64::from(digits(text, text.len())?);
    (1..=MAX_EXPIRES).contains(&seconds).then_some(seconds)
}

pub(super) fn in_time(at: u64, expires: Option<u64>, now: u64) -> Result<(), NotNow> {
    if now.saturating_add(WINDOW) < at {
        return Err(NotNow::Early);
    }
    if now >= at.saturating_add(expires.unwrap_or(WINDOW)) {
        return Err(NotNow::Late);
    }
    Ok(())
}

/// The number that `length` digits make.
fn digits(text: &str, length: usize) -> Option<u32> {
    let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
