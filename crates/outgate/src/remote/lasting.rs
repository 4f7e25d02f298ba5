//! How long something lasts, and when it is, as people write it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds: `90s`, `15m`, `12h`, `30d`, or a bare number of them.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
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

/// A moment in RFC 3339: as it is, the start of a day in UTC (`2026-11-22`), or so long ago by this
/// machine's clock (`2h`).
pub(crate) fn moment(text: &str) -> Result<String, String> {
    if let Ok(seconds) = seconds(text) {
        let ago = i64::try_from(seconds).ok().map(time::Duration::seconds);
        let ago = ago.and_then(|ago| OffsetDateTime::now_utc().checked_sub(ago));
        let written = ago.and_then(|ago| ago.format(&Rfc3339).ok());
        return written.ok_or_else(|| "not so long ago".to_owned());
    }
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    match OffsetDateTime::parse(&whole, &Rfc3339) {
        Ok(_) => Ok(whole),
        Err(_) => Err("2h, 2026-11-22, or 2026-11-22T09:30:00Z".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_so_long_ago() {
        assert_eq!(moment("2026-11-22").unwrap(), "2026-11-22T00:00:00Z");
        let exact = "2026-11-22T09:30:00.5+01:00";
        assert_eq!(moment(exact).unwrap(), exact);
        let ago = OffsetDateTime::parse(&moment("2h").unwrap(), &Rfc3339).unwrap();
        assert!(ago + time::Duration::hours(2) <= OffsetDateTime::now_utc());
        for wrong in ["", "yesterday", "2026-13-01", "09:30", "9999999999999d"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
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
