//! From what the clock on the wall shows to moments: when a schedule comes next.
//!
//! The clock on the wall is put forward and back. A schedule that names its hours comes once for
//! each time that it names: one that the clock leaves out comes when the clock has been put
//! forward (several that are left out come together, once), and one that the clock shows twice
//! comes the first time. A schedule that comes by the hour follows the time that passes instead:
//! what the clock leaves out is left out, and what it shows twice comes twice. That is how Vixie
//! cron deals with both kinds.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use outgate_wire::cron::Cron;

use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// How many days ahead a schedule is looked for. The rarest day there is, a certain weekday on a
/// 29 February, is at most 40 years away.
const MAX_DAYS: u32 = 41 * 366;

/// How long after the beginning of a day a change of its clock does not matter to that day any
/// more. No clock has ever been put back by half a day.
const SOON: jiff::SignedDuration = jiff::SignedDuration::from_hours(36);

/// The most bytes of a zone's name.
const MAX_ZONE: usize = 64;

/// A time zone by its name in IANA's database: `Europe/Stockholm`, `UTC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// What the clock on the wall shows there at `moment`, with its distance from UTC: RFC 3339.
    #[must_use]
    pub fn shown(&self, moment: Timestamp) -> String {
        let Ok(moment) = jiff::Timestamp::from_millisecond(moment.as_millis()) else {
            return moment.to_string();
        };
        let offset = self.rules.to_offset(moment);
        moment.display_with_offset(offset).to_string()
    }
}

impl FromStr for Zone {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let right = "the name of a time zone, as Europe/Stockholm or UTC";
            Refusal::invalid("zone", right)
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
        if text.len() > MAX_ZONE || !text.bytes().all(is_name) {
            return Err(wrong());
        }
        let rules = TimeZone::get(text).map_err(|_| wrong())?;
        let name = rules.iana_name().ok_or_else(wrong)?.to_owned();
        Ok(Self { name, rules })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The first moment after `after` at which `cron` comes in `zone`; nothing when it never does.
#[must_use]
pub fn next(cron: &Cron, zone: &Zone, after: Timestamp) -> Option<Timestamp> {
    let after = jiff::Timestamp::from_millisecond(after.as_millis()).ok()?;
    // The clock may have been put back over midnight.
    let mut day = zone.rules.to_datetime(after).date().yesterday().ok()?;
    for _ in 0..MAX_DAYS {
        if let Some(found) = first_on(cron, zone, day, after) {
            // Where it is put back over midnight, the next day may have begun before.
            let tomorrow = day.tomorrow().ok();
            let sooner = tomorrow.and_then(|day| first_on(cron, zone, day, after));
            let first = sooner.map_or(found, |sooner| sooner.min(found));
            return Some(Timestamp::from_millis(first.as_millisecond()));
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// The first moment after `after` for which `cron` comes on that day.
fn first_on(
    cron: &Cron,
    zone: &Zone,
    day: Date,
    after: jiff::Timestamp,
) -> Option<jiff::Timestamp> {
    let weekday = day.weekday().to_sunday_zero_offset();
    let number = |number: i8| u32::try_from(number).unwrap_or_default();
    if !cron.comes_on(number(day.month()), number(day.day()), number(weekday)) {
        return None;
    }
    let midnight = day.to_datetime(jiff::civil::Time::midnight());
    let later = |moment: &jiff::Timestamp| *moment > after;
    let mut times = cron
        .times()
        .map(|(hour, minute)| i64::from(hour * 60 + minute).minutes());
    if let Some(begin) = quiet(zone, midnight) {
        // What the clock shows goes on with the time that passes.
        return times.find_map(|time| begin.checked_add(time).ok().filter(later));
    }
    let moments = times.filter_map(|time| {
        let shown = midnight.checked_add(time).ok()?;
        let [first, second] = moments_of(zone, shown, cron.is_by_the_hour());
        first.filter(later).or(second.filter(later))
    });
    moments.min()
}

/// When a day begins on which the clock is neither put forward nor back, nor soon after.
fn quiet(zone: &Zone, midnight: DateTime) -> Option<jiff::Timestamp> {
    let AmbiguousOffset::Unambiguous { offset } =
        zone.rules.to_ambiguous_timestamp(midnight).offset()
    else {
        return None;
    };
    let begin = offset.to_timestamp(midnight).ok()?;
    let change = zone.rules.following(begin).next();
    let soon = |change: jiff::Timestamp| change.duration_since(begin) < SOON;
    let is_soon = change.is_some_and(|change| soon(change.timestamp()));
    (!is_soon).then_some(begin)
}

/// The moments for which the clock on the wall shows `shown`, or would.
fn moments_of(zone: &Zone, shown: DateTime, is_by_the_hour: bool) -> [Option<jiff::Timestamp>; 2] {
    match zone.rules.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(shown).ok(), None],
        AmbiguousOffset::Gap { .. } if is_by_the_hour => [None, None],
        AmbiguousOffset::Gap { before, .. } => {
            // As if the clock had not been put forward; that was at this moment or before.
            let as_before = before.to_timestamp(shown).ok();
            let end = as_before.and_then(|moment| {
                let just_after = moment.checked_add(1.millisecond()).ok()?;
                zone.rules.preceding(just_after).next()
            });
            [end.map(|change| change.timestamp()), None]
        }
        AmbiguousOffset::Fold { before, after } => {
            let second = is_by_the_hour.then(|| after.to_timestamp(shown).ok());
            [before.to_timestamp(shown).ok(), second.flatten()]
        }
    }
}

#[cfg(test)]
mod tests;
