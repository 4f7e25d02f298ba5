//! Which of two releases is the older one, by their names.
//!
//! A name is a *line* and a version: the line is all before the first digit (`fort-`), and only
//! releases of one line are compared. A version is read as its runs of digits and of letters;
//! whatever stands between them only parts them. Runs are compared one by one: digits as numbers,
//! letters as text in small letters, digits after letters; and where one version has ended, the
//! other is newer if it goes on with digits (`1.2.1` after `1.2`), older if with letters (`1.2-rc1`
//! before `1.2`).

use std::cmp::Ordering;

/// What of a release's name is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    line: String,
    runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Run {
    Letters(String),
    /// Without the noughts in front.
    Digits(String),
}

impl Version {
    /// That of a name; a name without a digit has none, and is older than nothing.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let first = name.find(|c: char| c.is_ascii_digit())?;
        let (line, version) = name.split_at_checked(first)?;
        let mut runs: Vec<Run> = Vec::new();
        let mut parted = true;
        for c in version.chars() {
            match (c.is_ascii_digit(), c.is_alphabetic(), runs.last_mut()) {
                (true, _, Some(Run::Digits(run))) if !parted => run.push(c),
                (_, true, Some(Run::Letters(run))) if !parted => run.extend(c.to_lowercase()),
                (true, _, _) => runs.push(Run::Digits(c.into())),
                (_, true, _) => runs.push(Run::Letters(c.to_lowercase().collect())),
                (false, false, _) => {}
            }
            parted = !c.is_alphanumeric();
        }
        for run in &mut runs {
            if let Run::Digits(digits) = run {
                *digits = digits.trim_start_matches('0').to_owned();
            }
        }
        let line = line.to_owned();
        Some(Self { line, runs })
    }

    /// The product's line.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Whether this one is older than `other`; not when they are of two lines.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.line == other.line && self.order(other) == Ordering::Less
    }

    fn order(&self, other: &Self) -> Ordering {
        let (mut mine, mut theirs) = (self.runs.iter(), other.runs.iter());
        loop {
            let order = match (mine.next(), theirs.next()) {
                (None, None) => return Ordering::Equal,
                (Some(run), None) => return run.after_the_end(),
                (None, Some(run)) => return run.after_the_end().reverse(),
                (Some(mine), Some(theirs)) => mine.order(theirs),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
    }
}

impl Run {
    /// How a version that goes on with this is to one that has ended.
    fn after_the_end(&self) -> Ordering {
        match self {
            Self::Letters(_) => Ordering::Less,
            Self::Digits(_) => Ordering::Greater,
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Letters(mine), Self::Letters(theirs)) => mine.cmp(theirs),
            (Self::Letters(_), Self::Digits(_)) => Ordering::Less,
            (Self::Digits(_), Self::Letters(_)) => Ordering::Greater,
            // The longer number is the larger one.
            (Self::Digits(mine), Self::Digits(theirs)) => {
                mine.len().cmp(&theirs.len()).then_with(|| mine.cmp(theirs))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_older(one: &str, other: &str) -> bool {
        let of = |name| Version::of(name).unwrap();
        of(one).is_older_than(&of(other))
    }

    #[test]
    fn versions_are_in_the_order_in_which_people_count() {
        let ordered = [
            "fort-0.9",
            "fort-1.2-alpha2",
            "fort-1.2-rc1",
            "fort-1.2-rc2",
            "fort-1.2",
            "fort-1.2.1",
            "fort-1.10",
            "fort-2",
            "fort-20260101",
        ];
        for (place, one) in ordered.iter().enumerate() {
            for (later, other) in ordered.iter().enumerate() {
                assert_eq!(is_older(one, other), place < later, "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_written_otherwise_is_the_same_version() {
        for (one, other) in [("v1.02", "v1.2"), ("v1.2", "v1_2"), ("v1.2RC1", "v1.2-rc1")] {
            assert!(!is_older(one, other) && !is_older(other, one), "{one}");
        }
    }

    #[test]
    fn two_lines_are_not_compared_and_a_name_without_digits_has_no_version() {
        assert!(!is_older("fort-1", "till-2") && !is_older("till-2", "fort-1"));
        assert_eq!(Version::of("latest"), None);
    }
}
