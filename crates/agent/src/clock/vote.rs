//! Whom of several servers to believe: more than half of them, where they agree.

use std::time::Duration;

use super::Reading;

/// How far apart two servers may be beside what the ways to them may explain: both may be off a little.
const APART: Duration = Duration::from_millis(500);

/// The most exact of those with whom more than half of all agree; one that is alone agrees with itself.
pub(super) fn elected(readings: &[Reading]) -> Option<&Reading> {
    let agree = |one: &Reading, other: &Reading| {
        (one.began - other.began).unsigned_abs() <= one.error + other.error + APART
    };
    let votes = |one: &Reading| readings.iter().filter(|other| agree(one, other)).count();
    let elected = readings
        .iter()
        .filter(|one| votes(one) * 2 > readings.len());
    elected.min_by_key(|one| one.error)
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn says(server: &str, seconds: i64, error_millis: u64) -> Reading {
        Reading {
            server: server.to_owned(),
            began: OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap(),
            error: Duration::from_millis(error_millis),
        }
    }

    fn elect(readings: &[Reading]) -> Option<&str> {
        elected(readings).map(|one| one.server.as_str())
    }

    #[test]
    fn one_that_is_alone_is_believed() {
        assert_eq!(elect(&[says("a", 0, 5)]), Some("a"));
        assert_eq!(elect(&[]), None);
    }

    #[test]
    fn two_that_differ_are_both_not() {
        assert_eq!(elect(&[says("a", 0, 5), says("b", 3_600, 5)]), None);
        assert_eq!(elect(&[says("a", 0, 50), says("b", 0, 5)]), Some("b"));
    }

    #[test]
    fn one_of_three_that_lies_is_outvoted_however_near_it_is() {
        let three = [says("a", 0, 50), says("liar", 86_400, 1), says("c", 0, 20)];
        assert_eq!(elect(&three), Some("c"));
    }

    #[test]
    fn a_long_way_explains_a_difference() {
        assert_eq!(elect(&[says("a", 0, 1_000), says("b", 1, 10)]), Some("b"));
        assert_eq!(elect(&[says("a", 0, 100), says("b", 1, 10)]), None);
    }
}
