//! Times and spans of time for people.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How long it is, in the unit in which it is at least two.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..2 => format!("{} ms", length.as_millis()),
        2..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / MINUTE),
        7_200..172_800 => format!("{} hours", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

/// A moment, to a second.
pub(super) fn moment(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_else(|_| whole.to_string())
}

/// Which side of the right time a clock is on that has to be put forward by so much.
pub(super) fn side(offset_millis: i64) -> String {
    let length = span(Duration::from_millis(offset_millis.unsigned_abs()));
    let side = if offset_millis < 0 { "ahead" } else { "behind" };
    format!("{length} {side}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_in_which_it_is_at_least_two() {
        for (seconds, text) in [
            (1, "1000 ms"),
            (119, "119 s"),
            (121, "2 minutes"),
            (7_200, "2 hours"),
            (5 * 365 * DAY, "1825 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(side(-3_000), "3 s ahead");
        assert_eq!(side(3_000), "3 s behind");
    }
}
