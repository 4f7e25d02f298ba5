//! Whether the moments are those of croner, which somebody else wrote, on another reader of the
//! database of zones. It is not asked where the two differ on purpose: a `*` with a step for the
//! day of the month or the weekday beside the other (crontab(5) counts it as left open), and a
//! step or an open minute beside named hours (there these follow the time that passes).

use std::str::FromStr as _;

use croner::Cron as Croner;
use jiff_of_croner::tz::TimeZone as CronersZone;
use proptest::prelude::*;

use super::{Cron, Timestamp, next, zone};

/// Zones whose clocks are put forward and back, by an hour or by half of one.
const ZONES: [&str; 5] = [
    "UTC",
    "Europe/Stockholm",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
];

/// The first minute of 2015, and how many minutes from then on are tried: before and after the
/// year in which Brazil gave up putting its clocks forward.
const BEGIN: i64 = 1_420_070_400_000;
const MINUTES: i64 = 15 * 366 * 24 * 60;

/// Numbers and ranges.
fn plain(numbers: std::ops::Range<u32>) -> impl Strategy<Value = String> {
    let (first, last) = (numbers.start, numbers.end - 1);
    let one = prop_oneof![
        (first..=last).prop_map(|number| number.to_string()),
        (first..=last, first..=last).prop_map(|(one, other)| format!(
            "{}-{}",
            one.min(other),
            one.max(other)
        )),
    ];
    proptest::collection::vec(one, 1..3).prop_map(|parts| parts.join(","))
}

/// As [`plain`], or a range with a step.
fn list(numbers: std::ops::Range<u32>) -> impl Strategy<Value = String> {
    let (first, last) = (numbers.start, numbers.end - 1);
    let stepped = (first..=last, first..=last, 1..=last)
        .prop_map(|(one, other, step)| format!("{}-{}/{step}", one.min(other), one.max(other)));
    prop_oneof![plain(numbers), stepped]
}

/// The minute and the hour.
fn times() -> impl Strategy<Value = String> {
    let open_minute = prop_oneof![
        Just("*".to_owned()),
        (1..60_u32).prop_map(|step| format!("*/{step}")),
        list(0..60),
    ];
    let open_hour = prop_oneof![
        Just("*".to_owned()),
        (1..24_u32).prop_map(|step| format!("*/{step}")),
    ];
    prop_oneof![
        (plain(0..60), plain(0..24)).prop_map(|(minute, hour)| format!("{minute} {hour}")),
        (plain(0..60), 0..5_u32).prop_map(|(minute, hour)| format!("{minute} {hour}")),
        (open_minute, open_hour).prop_map(|(minute, hour)| format!("{minute} {hour}")),
    ]
}

fn days() -> impl Strategy<Value = String> {
    let open = || Just("*".to_owned());
    let month = prop_oneof![3 => open(), 1 => list(1..13)];
    let both = (
        prop_oneof![2 => open(), 1 => list(1..29)],
        month,
        prop_oneof![2 => open(), 1 => list(0..7)],
    );
    both.prop_map(|(day, month, weekday)| format!("{day} {month} {weekday}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_moments_are_those_that_croner_finds(
        times in times(),
        days in days(),
        in_zone in proptest::sample::select(&ZONES[..]),
        minute in 0..MINUTES,
    ) {
        let text = format!("{times} {days}");
        let (ours, ours_in): (Cron, _) = (text.parse().unwrap(), zone(in_zone));
        let theirs = Croner::from_str(&text).unwrap();
        let theirs_in = CronersZone::get(in_zone).unwrap();
        let mut at = Timestamp::from_millis(BEGIN + minute * 60_000);
        for _ in 0..8 {
            let begin = jiff_of_croner::Timestamp::from_millisecond(at.as_millis()).unwrap();
            let begin = begin.to_zoned(theirs_in.clone());
            let expected = theirs.find_next_occurrence(&begin, false).unwrap();
            let found = next(&ours, &ours_in, at).unwrap();
            let found_there = ours_in.shown(found);
            prop_assert_eq!(
                found.as_millis(),
                expected.timestamp().as_millisecond(),
                "{} in {} after {}: {} and {}", text, in_zone, ours_in.shown(at), found_there, expected
            );
            at = found;
        }
    }
}
