//! When a schedule comes, as it is written for cron: five fields, or a word for the usual ones.
//!
//! The grammar is that of crontab(5) of Vixie cron: `*`, numbers, names of months and weekdays,
//! ranges, steps after `*` or a range, lists; Sunday is 0 and 7. What it leaves open is refused
//! rather than guessed: ranges that go backwards, a step after a single number, a sixth field.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What is wrong with such a text, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CronError(String);

/// The most bytes of such a text.
pub const MAX_TEXT: usize = 256;

/// The words for the usual ones, as Vixie cron has them.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What one of the five fields may be.
struct Kind {
    name: &'static str,
    numbers: RangeInclusive<u32>,
    /// Names for numbers, from the first number on.
    names: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "the minute",
        numbers: 0..=59,
        names: &[],
    },
    Kind {
        name: "the hour",
        numbers: 0..=23,
        names: &[],
    },
    Kind {
        name: "the day of the month",
        numbers: 1..=31,
        names: &[],
    },
    Kind {
        name: "the month",
        numbers: 1..=12,
        names: MONTHS,
    },
    Kind {
        name: "the weekday",
        numbers: 0..=7,
        names: WEEKDAYS,
    },
];

/// A field as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Field {
    /// A bit for each number that is meant.
    bits: u64,
    /// Whether it begins with `*`.
    is_open: bool,
}

/// When a schedule comes, on the clock on the wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

impl Cron {
    /// The text it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it comes by the hour (the field of the hour begins with `*`), and so follows the
    /// time that passes; else it names its hours, and follows the clock on the wall.
    #[must_use]
    pub fn is_by_the_hour(&self) -> bool {
        self.hours.is_open
    }

    /// Whether it comes on such a day. When the day of the month and the weekday are both given,
    /// and neither begins with `*`, one of them is enough: so it is in Vixie cron, and in POSIX.
    /// Weekdays count from Sunday, 0.
    #[must_use]
    pub fn comes_on(&self, month: u32, day: u32, weekday: u32) -> bool {
        let (by_day, by_weekday) = (self.days.has(day), self.weekdays.has(weekday));
        let is_day = if self.days.is_open || self.weekdays.is_open {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        };
        self.months.has(month) && is_day
    }

    /// The hours and minutes at which it comes on its days, in order.
    pub fn times(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let hours = (0..24).filter(|hour| self.hours.has(*hour));
        hours.flat_map(|hour| {
            let minutes = (0..60).filter(|minute| self.minutes.has(*minute));
            minutes.map(move |minute| (hour, minute))
        })
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        if text.len() > MAX_TEXT {
            return Err(wrong(format!("at most {MAX_TEXT} bytes")));
        }
        let word = WORDS.iter().find(|(word, _)| *word == text);
        let fields: Vec<&str> = word
            .map_or(text, |(_, meant)| meant)
            .split([' ', '\t'])
            .filter(|field| !field.is_empty())
            .collect();
        let &[minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(wrong(
                "five fields (minute, hour, day of the month, month, weekday), or @hourly, \
                 @daily, @weekly, @monthly, @yearly",
            ));
        };
        let [minute, hour, day, month, weekday] = &KINDS;
        let mut weekdays = weekday.read(weekdays)?;
        // Sunday is 7 as well.
        weekdays.bits |= weekdays.bits >> 7 & 1;
        Ok(Self {
            minutes: minute.read(minutes)?,
            hours: hour.read(hours)?,
            days: day.read(days)?,
            months: month.read(months)?,
            weekdays,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Field {
    fn has(self, number: u32) -> bool {
        self.bits
            .checked_shr(number)
            .is_some_and(|bits| bits & 1 == 1)
    }
}

impl Kind {
    fn read(&self, text: &str) -> Result<Field, CronError> {
        let mut field = Field {
            bits: 0,
            is_open: text.starts_with('*'),
        };
        for part in text.split(',') {
            for number in self.part(part)? {
                field.bits |= 1_u64.checked_shl(number).unwrap_or_default();
            }
        }
        Ok(field)
    }

    /// The numbers that one part of a list means.
    fn part(&self, text: &str) -> Result<impl Iterator<Item = u32> + use<>, CronError> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (numbers, is_single) = match range.split_once('-') {
            _ if range == "*" => (self.numbers.clone(), false),
            Some((first, last)) => (self.number(first)?..=self.number(last)?, false),
            None => {
                let number = self.number(range)?;
                (number..=number, true)
            }
        };
        if numbers.is_empty() {
            return Err(self.wrong(range, "a range that goes upwards"));
        }
        let step = match step {
            None => 1,
            Some(_) if is_single => {
                return Err(self.wrong(text, "a step only after * or a range"));
            }
            Some(step) => digits(step)
                .filter(|step| (1..=*self.numbers.end()).contains(step))
                .ok_or_else(|| self.wrong(step, &format!("1 to {}", self.numbers.end())))?,
        };
        Ok(numbers.step_by(step as usize))
    }

    fn number(&self, text: &str) -> Result<u32, CronError> {
        let named = |name: &&str| name.eq_ignore_ascii_case(text);
        let named = self.names.iter().position(named);
        let named = named.and_then(|place| u32::try_from(place).ok());
        named
            .map(|place| place + self.numbers.start())
            .or_else(|| digits(text))
            .filter(|number| self.numbers.contains(number))
            .ok_or_else(|| {
                let (first, last) = (self.numbers.start(), self.numbers.end());
                let names = match (self.names.first(), self.names.last()) {
                    (Some(first), Some(last)) => format!(", or {first} to {last}"),
                    (Some(_) | None, None) | (None, Some(_)) => String::new(),
                };
                self.wrong(text, &format!("{first} to {last}{names}"))
            })
    }

    fn wrong(&self, text: &str, right: &str) -> CronError {
        let text = text.escape_debug();
        wrong(format!("{}: {right}, not \"{text}\"", self.name))
    }
}

/// A number in decimal digits and nothing else.
fn digits(text: &str) -> Option<u32> {
    let is_plain = (1..=2).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

fn wrong(why: impl Into<String>) -> CronError {
    CronError(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(numbers: impl IntoIterator<Item = u32>) -> u64 {
        numbers
            .into_iter()
            .fold(0, |bits, number| bits | 1 << number)
    }

    #[test]
    fn fields_mean_what_crontab_says() {
        let cron: Cron = "*/20 9-17/4,23 1,15 jan-mar,DEC Mon-fri".parse().unwrap();
        assert_eq!(cron.minutes.bits, bits([0, 20, 40]));
        assert_eq!(cron.hours.bits, bits([9, 13, 17, 23]));
        assert_eq!(cron.days.bits, bits([1, 15]));
        assert_eq!(cron.months.bits, bits([1, 2, 3, 12]));
        assert_eq!(cron.weekdays.bits, bits(1..=5));
        assert!(!cron.is_by_the_hour());
        let sunday: Cron = "0 */6 * * 5-7".parse().unwrap();
        assert_eq!(sunday.weekdays.bits, bits([0, 5, 6, 7]));
        assert!(sunday.is_by_the_hour());
        for (word, meant) in WORDS {
            let (word, meant): (Cron, Cron) = (word.parse().unwrap(), meant.parse().unwrap());
            assert_eq!((word.hours, word.days), (meant.hours, meant.days));
        }
    }

    #[test]
    fn of_two_kinds_of_days_one_is_enough_unless_one_is_left_open() {
        let either: Cron = "0 0 13 * fri".parse().unwrap();
        assert!(either.comes_on(1, 13, 2) && either.comes_on(1, 14, 5));
        assert!(!either.comes_on(1, 14, 2));
        let both: Cron = "0 0 */2 * fri".parse().unwrap();
        assert!(both.comes_on(1, 13, 5) && !both.comes_on(1, 13, 2) && !both.comes_on(1, 14, 5));
        let month: Cron = "0 0 * 2 *".parse().unwrap();
        assert!(month.comes_on(2, 1, 0) && !month.comes_on(3, 1, 0));
    }

    #[test]
    fn what_cron_leaves_open_is_refused_and_said() {
        for (text, why) in [
            ("", "five fields"),
            ("* * * *", "five fields"),
            ("0 * * * * *", "five fields"),
            ("@reboot", "five fields"),
            ("60 * * * *", "the minute: 0 to 59, not \"60\""),
            ("* 24 * * *", "the hour: 0 to 23"),
            ("* * 0 * *", "the day of the month: 1 to 31"),
            ("* * * 13 *", "the month: 1 to 12, or jan to dec"),
            ("* * * * 8", "the weekday: 0 to 7, or sun to sat"),
            ("* * * * fri-mon", "a range that goes upwards"),
            ("5/15 * * * *", "a step only after * or a range"),
            ("*/0 * * * *", "the minute: 1 to 59"),
            ("*/60 * * * *", "the minute: 1 to 59"),
            ("1,,2 * * * *", "the minute: 0 to 59, not \"\""),
            ("1- * * * *", "the minute: 0 to 59, not \"\""),
            ("-1 * * * *", "the minute"),
            ("+1 * * * *", "the minute"),
            ("001 * * * *", "the minute"),
            ("** * * * *", "the minute"),
            ("0 0 L * *", "the day of the month"),
            ("0 0 ? * *", "the day of the month"),
            ("٣ * * * *", "the minute"),
        ] {
            let refusal = text.parse::<Cron>().unwrap_err().to_string();
            assert!(refusal.contains(why), "{text:?}: {refusal}");
        }
        let long = format!("{}1 * * * *", "1,".repeat(MAX_TEXT / 2));
        assert!(long.parse::<Cron>().is_err());
    }
}
