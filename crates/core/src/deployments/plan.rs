//! How a deployment goes: in which phases, when, and what stops it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::window::Windows;
use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// The most phases of a deployment.
pub const MAX_PHASES: usize = 16;

/// The parts of the whole that a [`Share`] counts: hundredths of a percent.
const WHOLE: u16 = 10_000;

/// A part of some devices: above nothing, at most all of them, to a hundredth of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(u16);

impl Share {
    /// All of them.
    pub const ALL: Self = Self(WHOLE);

    /// How many of `count` it is, the next whole one above.
    fn of(self, count: usize) -> usize {
        let parts = count.saturating_mul(usize::from(self.0));
        parts.div_ceil(usize::from(WHOLE))
    }

    /// Whether `part` of `count` are so many; of none, any share is reached.
    fn is_reached(self, part: u64, count: u64) -> bool {
        part.saturating_mul(u64::from(WHOLE)) >= count.saturating_mul(u64::from(self.0))
    }
}

impl FromStr for Share {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::invalid("share", "0.01% to 100%, as `5%` or `0.5%`");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most| {
            let all = text.bytes().all(|byte| byte.is_ascii_digit());
            all && (1..=most).contains(&text.len())
        };
        if !digits(whole, 3) || !digits(part, 2) {
            return Err(wrong());
        }
        let tens = if part.len() == 1 { 10 } else { 1 };
        let read = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let parts = read(whole)? * 100 + read(part)? * tens;
        match u16::try_from(parts) {
            Ok(parts @ 1..=WHOLE) => Ok(Self(parts)),
            Ok(_) | Err(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match (part, part % 10) {
            (0, _) => write!(f, "{whole}%"),
            (_, 0) => write!(f, "{whole}.{}%", part / 10),
            (_, _) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl TryFrom<String> for Share {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

/// How many devices a deployment is for in each of its phases, with those before: shares that
/// rise, the last of which is all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Share>", into = "Vec<Share>")]
pub struct Phases(Vec<Share>);

impl Default for Phases {
    fn default() -> Self {
        Self(vec![Share::ALL])
    }
}

impl TryFrom<Vec<Share>> for Phases {
    type Error = Refusal;

    fn try_from(shares: Vec<Share>) -> Result<Self, Refusal> {
        let rise = shares.is_sorted_by(|one, next| one < next);
        let all = shares.last() == Some(&Share::ALL);
        if rise && all && shares.len() <= MAX_PHASES {
            return Ok(Self(shares));
        }
        let why = format!("up to {MAX_PHASES} shares that rise, the last of them 100%");
        Err(Refusal::invalid("phases", why))
    }
}

impl From<Phases> for Vec<Share> {
    fn from(phases: Phases) -> Self {
        phases.0
    }
}

impl Phases {
    /// Each of them.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.0
    }

    /// The place of the last.
    pub(super) fn last(&self) -> u32 {
        u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// In which phase the one at `place` is, of `count`.
    pub(super) fn of(&self, place: usize, count: usize) -> u32 {
        let before = self.0.iter().filter(|share| share.of(count) <= place);
        u32::try_from(before.count()).map_or(self.last(), |phase| phase.min(self.last()))
    }
}

/// At how many failures a deployment stops by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StopAt {
    /// At so many.
    Count(u32),
    /// When they are this share of the devices that have come to an end.
    Share(Share),
}

impl FromStr for StopAt {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.ends_with('%') {
            return text.parse().map(Self::Share);
        }
        match text.parse() {
            Ok(count) if count > 0 => Ok(Self::Count(count)),
            Ok(_) | Err(_) => {
                let why = "a number of devices as `3`, or a share of those that have ended as `5%`";
                Err(Refusal::invalid("stop_at_failures", why))
            }
        }
    }
}

impl fmt::Display for StopAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl TryFrom<String> for StopAt {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl From<StopAt> for String {
    fn from(stop: StopAt) -> Self {
        stop.to_string()
    }
}

/// How a deployment goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How many devices it is for, in each of its phases.
    #[serde(default)]
    pub phases: Phases,
    /// How many devices of a phase must have ended well before the next begins.
    #[serde(default = "all")]
    pub next_at: Share,
    /// When devices are offered the release; always without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// At how many failures it stops; never without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_at: Option<StopAt>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            phases: Phases::default(),
            next_at: Share::ALL,
            windows: None,
            stop_at: None,
        }
    }
}

fn all() -> Share {
    Share::ALL
}

/// How many devices have come to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// On the release.
    pub well: u64,
    /// Not, though it was for them.
    pub failed: u64,
}

impl Ends {
    /// Those that have come since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            well: self.well.saturating_sub(before.well),
            failed: self.failed.saturating_sub(before.failed),
        }
    }
}

impl Plan {
    /// Whether so many failures stop it, counted from `from` on.
    pub(super) fn stops(&self, ends: Ends, from: Ends) -> bool {
        let ends = ends.since(from);
        let many = match self.stop_at {
            None => false,
            Some(StopAt::Count(most)) => ends.failed >= u64::from(most),
            Some(StopAt::Share(share)) => share.is_reached(ends.failed, ends.well + ends.failed),
        };
        many && ends.failed > 0
    }

    /// Whether `now` is in one of its windows.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        let windows = self.windows.as_ref();
        windows.is_none_or(|windows| windows.are_open(now))
    }

    /// Whether a phase of `devices` that it is for, of which so many have ended well, is done.
    pub(super) fn is_done(&self, well: u64, devices: u64) -> bool {
        self.next_at.is_reached(well, devices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    fn phases(texts: &[&str]) -> Result<Phases, Refusal> {
        let shares: Vec<_> = texts.iter().map(|text| share(text)).collect();
        shares.try_into()
    }

    #[test]
    fn a_share_is_read_as_it_is_written() {
        for text in ["1%", "0.5%", "0.01%", "12.25%", "100%"] {
            assert_eq!(share(text).to_string(), text);
        }
        assert_eq!(share("5.50%"), share("5.5%"));
        for wrong in [
            "", "%", "5", "0%", "0.00%", "100.01%", "101%", "-1%", "+1%", "1.%", ".5%", "1.234%",
            "1e1%", " 5%", "9999%",
        ] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn phases_rise_to_all() {
        assert!(phases(&["1%", "10%", "100%"]).is_ok());
        for wrong in [
            &["1%"] as &[_],
            &["10%", "1%", "100%"],
            &["50%", "50%", "100%"],
            &[],
        ] {
            assert!(phases(wrong).is_err(), "{wrong:?}");
        }
        let many: Vec<_> = (1..=MAX_PHASES).map(|n| format!("{n}%")).collect();
        let mut many: Vec<_> = many.iter().map(String::as_str).collect();
        many.push("100%");
        assert!(phases(&many).is_err());
    }

    #[test]
    fn each_device_is_of_one_phase_and_the_first_has_one_at_least() {
        let phases = phases(&["1%", "10%", "100%"]).unwrap();
        for (count, sizes) in [
            (1_000, [10, 90, 900]),
            (150, [2, 13, 135]),
            (12, [1, 1, 10]),
            (3, [1, 0, 2]),
            (1, [1, 0, 0]),
        ] {
            let mut found = [0; 3];
            for place in 0..count {
                found[phases.of(place, count) as usize] += 1;
            }
            assert_eq!(found, sizes, "{count}");
        }
    }

    #[test]
    fn failures_stop_by_count_or_by_share_of_those_that_have_ended() {
        let ends = |well, failed| Ends { well, failed };
        let nothing = Ends::default();
        for (stop, at, stops) in [
            ("3", ends(0, 2), false),
            ("3", ends(1_000, 3), true),
            ("5%", ends(20, 1), false),
            ("5%", ends(19, 1), true),
            ("5%", ends(0, 0), false),
            ("5%", ends(0, 1), true),
            ("100%", ends(1, 5), false),
        ] {
            let stop_at = Some(stop.parse().unwrap());
            let plan = Plan {
                stop_at,
                ..Plan::default()
            };
            assert_eq!(plan.stops(at, nothing), stops, "{stop} {at:?}");
            assert!(!plan.stops(at, at), "what was forgiven stops it again");
        }
        assert!(!Plan::default().stops(ends(0, 9), nothing));
        for wrong in ["", "0", "-1", "0%", "many"] {
            assert!(wrong.parse::<StopAt>().is_err(), "{wrong}");
        }
    }
}
