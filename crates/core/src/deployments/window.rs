//! When devices are offered a release: ranges of local time.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// The most windows of a deployment.
pub const MAX_WINDOWS: usize = 16;

/// The most characters of a zone's name or of a window.
const MAX_TEXT: usize = 64;

/// The minutes of a day.
const DAY: u16 = 24 * 60;

/// Days as they are written, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Ranges of local time in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Windows {
    zone: Zone,
    windows: Vec<Window>,
}

/// Windows as they are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Raw {
    zone: String,
    windows: Vec<String>,
}

/// A zone by its name in IANA's database, or `UTC`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Zone(TimeZone, String);

/// A range of local time on some days of the week: `22:00-04:00`, `mon-fri 22:00-04:00`,
/// `sat,sun 00:00-24:00`. One that ends before it begins ends on the next day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    /// On which days it begins, Monday first.
    days: [bool; 7],
    /// In minutes of the day; the end is out of it.
    from: u16,
    to: u16,
}

impl Windows {
    /// Windows as people write them, in the zone of that name.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for a zone that there is not, and for no window, more than
    /// [`MAX_WINDOWS`] or one that is not well written.
    pub fn read(zone: &str, windows: &[String]) -> Result<Self, Refusal> {
        if !(1..=MAX_WINDOWS).contains(&windows.len()) {
            let why = format!("1 to {MAX_WINDOWS} of them");
            return Err(Refusal::invalid("windows", why));
        }
        let windows = windows.iter().map(|text| text.parse());
        Ok(Self {
            zone: zone.parse()?,
            windows: windows.collect::<Result<_, _>>()?,
        })
    }

    /// Whether `now` is in one of them.
    pub(super) fn are_open(&self, now: Timestamp) -> bool {
        // A moment that the calendar does not reach is in none.
        let Ok(moment) = jiff::Timestamp::from_millisecond(now.as_millis()) else {
            return false;
        };
        let local = self.zone.0.to_datetime(moment);
        let clock = |hour: i8, minute: i8| {
            u16::try_from(i16::from(hour) * 60 + i16::from(minute)).unwrap_or(0)
        };
        let minute = clock(local.hour(), local.minute());
        let today = place(local.weekday());
        let mut windows = self.windows.iter();
        windows.any(|window| window.holds(today, minute))
    }

    /// The zone's name.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone.1
    }

    /// Each of them, as it is written.
    #[must_use]
    pub fn windows(&self) -> Vec<String> {
        self.windows.iter().map(Window::to_string).collect()
    }
}

impl TryFrom<Raw> for Windows {
    type Error = Refusal;

    fn try_from(raw: Raw) -> Result<Self, Refusal> {
        Self::read(&raw.zone, &raw.windows)
    }
}

impl From<Windows> for Raw {
    fn from(windows: Windows) -> Self {
        Self {
            zone: windows.zone().to_owned(),
            windows: windows.windows(),
        }
    }
}

impl FromStr for Zone {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::invalid("zone", "one of IANA's, as `Europe/Stockholm`, or `UTC`");
        if text.len() > MAX_TEXT {
            return Err(wrong());
        }
        let zone = TimeZone::get(text).map_err(|_| wrong())?;
        let name = zone.iana_name().unwrap_or(text).to_owned();
        Ok(Self(zone, name))
    }
}

impl Window {
    fn holds(&self, today: usize, minute: u16) -> bool {
        let begins = |day: usize| self.days.get(day).copied().unwrap_or(false);
        if self.from < self.to {
            return begins(today) && (self.from..self.to).contains(&minute);
        }
        let yesterday = (today + 6) % 7;
        (begins(today) && minute >= self.from) || (begins(yesterday) && minute < self.to)
    }
}

impl FromStr for Window {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let why = "as `22:00-04:00`, `mon-fri 22:00-04:00` or `sat,sun 00:00-24:00`";
            Refusal::invalid("windows", why)
        };
        if text.len() > MAX_TEXT {
            return Err(wrong());
        }
        let (days, range) = match text.split_once(' ') {
            Some((days, range)) => (read_days(days).ok_or_else(wrong)?, range),
            None => ([true; 7], text),
        };
        let (from, to) = range.split_once('-').ok_or_else(wrong)?;
        let from = read_minute(from).filter(|from| *from < DAY);
        match (from, read_minute(to)) {
            (Some(from), Some(to)) if from != to => Ok(Self { days, from, to }),
            (Some(_) | None, Some(_) | None) => Err(wrong()),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != [true; 7] {
            let days = DAYS.iter().zip(self.days).filter(|(_, on)| *on);
            let days: Vec<_> = days.map(|(day, _)| *day).collect();
            write!(f, "{} ", days.join(","))?;
        }
        let clock = |minute: u16| (minute / 60, minute % 60);
        let ((from, from_minute), (to, to_minute)) = (clock(self.from), clock(self.to));
        write!(f, "{from:02}:{from_minute:02}-{to:02}:{to_minute:02}")
    }
}

/// Days as `mon`, `mon-fri` or `sat,sun`; a range may go over the end of the week.
fn read_days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    let day = |text: &str| DAYS.iter().position(|day| *day == text);
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let mut next = first;
        loop {
            *days.get_mut(next)? = true;
            if next == last {
                break;
            }
            next = (next + 1) % DAYS.len();
        }
    }
    Some(days)
}

/// A minute of the day as `04:00`; `24:00` is its end.
fn read_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY).then_some(at)
}

/// The place of a day, Monday's being 0.
fn place(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(zone: &str, window: &str, at: &str) -> bool {
        let windows = Windows::read(zone, &[window.to_owned()]).unwrap();
        let at: jiff::Timestamp = at.parse().unwrap();
        windows.are_open(Timestamp::from_millis(at.as_millisecond()))
    }

    #[test]
    fn a_window_is_of_local_time_and_its_end_is_out_of_it() {
        for (zone, at, open) in [
            ("UTC", "2026-11-23T21:59:59Z", false),
            ("UTC", "2026-11-23T22:00:00Z", true),
            ("UTC", "2026-11-24T03:59:59Z", true),
            ("UTC", "2026-11-24T04:00:00Z", false),
            ("Europe/Stockholm", "2026-11-23T21:00:00Z", true),
            ("Europe/Stockholm", "2026-07-23T20:00:00Z", true),
            ("Europe/Stockholm", "2026-07-23T19:59:59Z", false),
            ("Asia/Kolkata", "2026-11-23T16:30:00Z", true),
            ("Asia/Kolkata", "2026-11-23T16:29:00Z", false),
        ] {
            let found = is_open(zone, "22:00-04:00", at);
            assert_eq!(found, open, "{zone} {at}");
        }
    }

    #[test]
    fn the_days_of_a_window_are_those_on_which_it_begins() {
        // 2026-11-27 is a Friday.
        for (window, at, open) in [
            ("fri 22:00-04:00", "2026-11-27T03:00:00Z", false),
            ("fri 22:00-04:00", "2026-11-27T23:00:00Z", true),
            ("fri 22:00-04:00", "2026-11-28T03:00:00Z", true),
            ("fri 22:00-04:00", "2026-11-28T23:00:00Z", false),
            ("sat,sun 00:00-24:00", "2026-11-27T23:59:00Z", false),
            ("sat,sun 00:00-24:00", "2026-11-28T00:00:00Z", true),
            ("sat-mon 08:00-09:00", "2026-11-30T08:30:00Z", true),
            ("sat-mon 08:00-09:00", "2026-12-01T08:30:00Z", false),
            ("mon-sun 08:00-09:00", "2026-12-01T08:30:00Z", true),
        ] {
            assert_eq!(is_open("UTC", window, at), open, "{window} {at}");
        }
    }

    #[test]
    fn over_both_changes_of_daylight_saving_the_clock_on_the_wall_counts() {
        // In Stockholm 02:00 to 03:00 is left out on 29 March 2026, and there twice on 25 October.
        for (at, open) in [
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:00:00Z", false),
            ("2026-10-25T00:29:00Z", false),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T01:00:00Z", false),
            ("2026-10-25T01:30:00Z", true),
            ("2026-10-25T02:00:00Z", false),
        ] {
            let found = is_open("Europe/Stockholm", "02:30-03:00", at);
            assert_eq!(found, open, "{at}");
        }
    }

    #[test]
    fn what_is_not_well_written_is_refused_and_the_rest_is_written_as_it_was() {
        for right in ["22:00-04:00", "mon,fri 00:00-24:00", "00:00-00:01"] {
            let windows = Windows::read("europe/stockholm", &[right.to_owned()]).unwrap();
            assert_eq!(windows.windows(), [right]);
            assert_eq!(windows.zone(), "Europe/Stockholm");
            let kept = serde_json::to_string(&windows).unwrap();
            assert_eq!(windows, serde_json::from_str(&kept).unwrap());
        }
        for wrong in [
            "",
            "22:00",
            "22:00-22:00",
            "24:00-01:00",
            "22:00-24:01",
            "1:00-2:00",
            "22:60-23:00",
            "noday 01:00-02:00",
            "mon- 01:00-02:00",
            "mon 01:00 -02:00",
            "+1:00-02:00",
        ] {
            assert!(
                Windows::read("UTC", &[wrong.to_owned()]).is_err(),
                "{wrong}"
            );
        }
        let window = ["01:00-02:00".to_owned()];
        for zone in ["", "Europe/Nowhere", "../etc/passwd", &"x".repeat(65)] {
            assert!(Windows::read(zone, &window).is_err(), "{zone}");
        }
        assert!(Windows::read("UTC", &[]).is_err());
        let many = vec![window[0].clone(); MAX_WINDOWS + 1];
        assert!(Windows::read("UTC", &many).is_err());
    }
}
