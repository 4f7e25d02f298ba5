//! The clock of an HTTP server, from the `Date` of its answer.

use std::time::SystemTime;

use outgate_wire::http_date::parse;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads the bytes as a date.
///
/// # Panics
///
/// When a date that is read is not the one that is written there.
pub fn http_date(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some(time) = parse(text) else { return };
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = seconds.unwrap_or_else(|_| panic!("before 1970: {text}"));
    let (_, written) = text.split_once(", ").unwrap_or_else(|| panic!("{text}"));
    // A leap second is the first second of what follows.
    let leap = written.ends_with(":60 GMT");
    let shown = show(seconds.as_secs() - u64::from(leap));
    let expected = written.replace(":60 GMT", ":59 GMT");
    assert_eq!(shown, expected, "{text}");
}

/// A time as the standard writes it, without the day of the week; the calendar is found day by
/// year and month, so that it shares nothing with what is tested.
fn show(seconds: u64) -> String {
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let (day, month) = (days + 1, MONTHS[month]);
    format!("{day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}
