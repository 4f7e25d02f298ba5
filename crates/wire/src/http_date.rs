//! The `Date` header of HTTP (RFC 9110 §5.6.7): a server's clock, to a second's precision.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const SECONDS_PER_DAY: u64 = 86_400;
/// The last second of the year 9999; most calendars of software end there.
const LAST_SECOND: u64 = 253_402_300_799;

/// Reads the form that every server must send, such as `Sun, 06 Nov 1994 08:49:37 GMT`, for the
/// years 1970 to 9999. The two obsolete forms are not read; nor is the day of the week.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (_day_name, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = number(parts.next()?, 2)?;
    let month_name = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month_name)? + 1;
    let year = number(parts.next()?, 4)?;
    let mut clock = parts.next()?.split(':');
    let hour = number(clock.next()?, 2)?;
    let minute = number(clock.next()?, 2)?;
    let second = number(clock.next()?, 2)?;
    // A leap second may be written as 60.
    let clock_fits = hour < 24 && minute < 60 && second <= 60 && clock.next().is_none();
    if parts.next()? != "GMT" || parts.next().is_some() || !clock_fits || year < 1970 {
        return None;
    }
    let month = u64::try_from(month).ok()?;
    if day == 0 || day > days_in(month, year) {
        return None;
    }
    let days = days_before_year(year) - days_before_year(1970)
        + (1..month).map(|month| days_in(month, year)).sum::<u64>()
        + day
        - 1;
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    if seconds > LAST_SECOND {
        return None;
    }
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Days from the year 1 to the start of a later year of the Gregorian calendar.
const fn days_before_year(year: u64) -> u64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

const fn days_in(month: u64, year: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let time = parse(text)?;
        Some(
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs(),
        )
    }

    #[test]
    fn the_example_of_rfc_9110_is_read() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    }

    #[test]
    fn known_days_have_their_seconds() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Sun, 07 Feb 2106 06:28:15 GMT", 4_294_967_295),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 29 Feb 2100 00:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            // A leap second that would be the first second of the year 10000.
            "Fri, 31 Dec 9999 23:59:60 GMT",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn days_follow_each_other(day in 0_u64..2_900_000) {
            let [year, month, day_of_month] = calendar(day);
            let text = format!(
                "Xxx, {day_of_month:02} {} {year:04} 00:00:00 GMT",
                MONTHS[usize::try_from(month).unwrap() - 1],
            );
            prop_assert_eq!(seconds(&text), Some(day * SECONDS_PER_DAY));
        }
    }

    /// Civil date of a day since 1970, by the algorithm of Howard Hinnant.
    fn calendar(day: u64) -> [u64; 3] {
        let z = day + 719_468;
        let era = z / 146_097;
        let of_era = z % 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        [year, month, of_year - (153 * shifted + 2) / 5 + 1]
    }
}
