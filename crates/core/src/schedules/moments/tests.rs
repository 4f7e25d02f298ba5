use super::*;

fn moment(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(moment.as_millisecond())
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

/// The next moments after `after`, as the clock on the wall of `in_zone` shows them.
fn upcoming(cron: &str, in_zone: &str, after: &str, count: usize) -> Vec<String> {
    let (cron, zone) = (cron.parse().unwrap(), zone(in_zone));
    let first = next(&cron, &zone, moment(after));
    let all = std::iter::successors(first, |last| next(&cron, &zone, *last));
    all.take(count).map(|moment| zone.shown(moment)).collect()
}

#[track_caller]
fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
    let found = upcoming(cron, zone, after, expected.len());
    assert_eq!(found, expected, "{cron} in {zone}");
}

#[test]
fn a_schedule_comes_when_the_clock_on_the_wall_shows_its_time() {
    check(
        "0 2 * * *",
        "Europe/Stockholm",
        "2026-01-31T12:00:00Z",
        &["2026-02-01T02:00:00+01:00", "2026-02-02T02:00:00+01:00"],
    );
    check(
        "30 8 1 jul *",
        "Europe/Stockholm",
        "2026-01-31T12:00:00Z",
        &["2026-07-01T08:30:00+02:00", "2027-07-01T08:30:00+02:00"],
    );
    check(
        "*/20 9 * * mon-fri",
        "UTC",
        "2026-11-20T09:20:00Z",
        &["2026-11-20T09:40:00+00:00", "2026-11-23T09:00:00+00:00"],
    );
    check(
        "0 0 29 2 *",
        "UTC",
        "2096-03-01T00:00:00Z",
        &["2104-02-29T00:00:00+00:00"],
    );
}

#[test]
fn a_time_that_the_clock_leaves_out_comes_once_when_it_has_been_put_forward() {
    // From 02:00 to 03:00.
    check(
        "30 2 * * *",
        "Europe/Stockholm",
        "2026-03-28T00:00:00Z",
        &[
            "2026-03-28T02:30:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:30:00+02:00",
        ],
    );
    check(
        "*/15 2,3 * * *",
        "America/New_York",
        "2026-03-08T06:59:59Z",
        &[
            "2026-03-08T03:00:00-04:00",
            "2026-03-08T03:15:00-04:00",
            "2026-03-08T03:30:00-04:00",
            "2026-03-08T03:45:00-04:00",
            "2026-03-09T02:00:00-04:00",
        ],
    );
    // By half an hour, from 02:00 to 02:30.
    check(
        "0,15,45 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T14:00:00Z",
        &[
            "2026-10-04T02:30:00+11:00",
            "2026-10-04T02:45:00+11:00",
            "2026-10-05T02:00:00+11:00",
        ],
    );
    // Over midnight: the day of the time that was left out is what counts.
    check(
        "30 0 6 9 *",
        "America/Santiago",
        "2026-09-01T00:00:00Z",
        &["2026-09-06T01:00:00-03:00"],
    );
    // A whole day.
    check(
        "0 12 30 12 *",
        "Pacific/Apia",
        "2011-12-29T00:00:00Z",
        &["2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00"],
    );
}

#[test]
fn a_time_that_the_clock_shows_twice_comes_the_first_time() {
    check(
        "30 2 * * *",
        "Europe/Stockholm",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
    );
    check(
        "0,30 1,2 * * *",
        "America/New_York",
        "2026-11-01T04:00:00Z",
        &[
            "2026-11-01T01:00:00-04:00",
            "2026-11-01T01:30:00-04:00",
            "2026-11-01T02:00:00-05:00",
        ],
    );
    // By half an hour, from 02:00 back to 01:30.
    check(
        "0,15,45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-04T13:30:00Z",
        &[
            "2026-04-05T01:00:00+11:00",
            "2026-04-05T01:15:00+11:00",
            "2026-04-05T01:45:00+11:00",
            "2026-04-06T01:00:00+10:30",
        ],
    );
    // Made in between: the second time is none of its.
    check(
        "30 2 * * *",
        "Europe/Stockholm",
        "2026-10-25T01:05:00Z",
        &["2026-10-26T02:30:00+01:00"],
    );
}

#[test]
fn a_schedule_by_the_hour_follows_the_time_that_passes() {
    check(
        "30 * * * *",
        "Europe/Stockholm",
        "2026-03-29T00:00:00Z",
        &["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"],
    );
    check(
        "30 * * * *",
        "Europe/Stockholm",
        "2026-10-25T00:00:00Z",
        &[
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:30:00+01:00",
        ],
    );
    check(
        "*/15 * * * *",
        "Australia/Lord_Howe",
        "2026-04-04T14:30:00Z",
        &[
            "2026-04-05T01:45:00+11:00",
            "2026-04-05T01:30:00+10:30",
            "2026-04-05T01:45:00+10:30",
            "2026-04-05T02:00:00+10:30",
        ],
    );
    // Back over midnight, to 23:00 of the day before.
    check(
        "0 * * * *",
        "America/Santiago",
        "2026-04-05T01:30:00Z",
        &[
            "2026-04-04T23:00:00-03:00",
            "2026-04-04T23:00:00-04:00",
            "2026-04-05T00:00:00-04:00",
        ],
    );
}

#[test]
fn what_never_comes_is_known_to() {
    for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
        let cron = never.parse().unwrap();
        assert_eq!(
            next(&cron, &zone("UTC"), moment("2026-01-01T00:00:00Z")),
            None
        );
    }
    // The rarest that does: a Monday on a 29 February, with a century without one between.
    check(
        "0 0 29 2 */6",
        "UTC",
        "2072-03-01T00:00:00Z",
        &["2076-02-29T00:00:00+00:00"],
    );
    let end = Timestamp::from_millis(i64::MAX);
    assert_eq!(next(&"* * * * *".parse().unwrap(), &zone("UTC"), end), None);
}

#[test]
fn a_zone_is_one_of_the_database_and_no_path() {
    for name in [
        "UTC",
        "Europe/Stockholm",
        "Etc/GMT+5",
        "America/Port-au-Prince",
    ] {
        assert_eq!(zone(name).as_str(), name);
    }
    let long = "A".repeat(MAX_ZONE + 1);
    for text in [
        "",
        "Europe/Nowhere",
        "../../etc/passwd",
        "/etc/localtime",
        "a b",
        &long,
    ] {
        assert!(text.parse::<Zone>().is_err(), "{text:?}");
    }
}

mod beside_croner;
