//! How long something lasts, and when it is, as people write it.

use std::borrow::Cow;
use std::time::Duration;

/// Why a text is no moment: what would be one.
pub const MOMENTS: &str = "2h, 2026-11-22, or 2026-11-22T09:30:00Z";

/// A moment as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<'a> {
    /// So long ago: `2h`.
    Ago(Duration),
    /// Anything else, which may be a date of RFC 3339. A day alone is its start in UTC.
    Date(Cow<'a, str>),
}

impl<'a> Written<'a> {
    /// What a text says.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        match seconds(text) {
            Ok(seconds) => Self::Ago(Duration::from_secs(seconds)),
            Err(_) if text.len() == 10 => Self::Date(format!("{text}T00:00:00Z").into()),
            Err(_) => Self::Date(text.into()),
        }
    }
}

/// Seconds: `90s`, `15m`, `12h`, `30d`, or a bare number of them.
///
/// # Errors
/// What is wrong with the text.
pub fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((place, 's')) => (&text[..place], 1),
        Some((place, 'm')) => (&text[..place], 60),
        Some((place, 'h')) => (&text[..place], 3_600),
        Some((place, 'd')) => (&text[..place], 86_400),
        _ => (text, 1),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "a number and s, m, h or d, as in 12h".to_owned())?;
    number
        .checked_mul(unit)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "longer than nothing, and shorter than for ever".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_so_long_ago_or_a_day_or_a_date() {
        assert_eq!(Written::of("2h"), Written::Ago(Duration::from_secs(7_200)));
        let day = Written::Date("2026-11-22T00:00:00Z".into());
        assert_eq!(Written::of("2026-11-22"), day);
        let exact = "2026-11-22T09:30:00.5+01:00";
        assert_eq!(Written::of(exact), Written::Date(exact.into()));
    }

    #[test]
    fn a_number_and_a_unit_are_so_many_seconds() {
        for (text, right) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
            ("0s", None),
            ("", None),
            ("s", None),
            ("1w", None),
            ("-1d", None),
            ("1 d", None),
            ("9999999999999999999d", None),
            ("å", None),
        ] {
            assert_eq!(seconds(text).ok(), right, "{text}");
        }
    }
}
