//! Product versions, compared as the product's own scheme does.

use std::cmp::Ordering;
use std::fmt;

use crate::decode::FromText;
use crate::diagnostic::quote;

/// The most parts that a version may have.
pub const MAX_PARTS: usize = 8;

/// A dotted version: numbers compared one by one, so `0.129.7` is above `0.9.12`. Missing parts
/// count as 0, so `7.0` equals `7.0.0.0`.
#[derive(Debug, Clone)]
pub struct Version(Vec<u64>);

impl Version {
    /// How many parts it was written with, 1 to 8.
    pub fn parts(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.pad(&parts.join("."))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let longest = self.0.len().max(other.0.len());
        let part = |version: &Self, at: usize| version.0.get(at).copied().unwrap_or(0);
        (0..longest)
            .map(|at| part(self, at).cmp(&part(other, at)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl FromText for Version {
    const EXPECTED: &'static str = "a dotted version such as \"0.129.7\"";
    const PATTERN: &'static str = "^[0-9]+(\\.[0-9]+)*$";

    fn from_text(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u64>().ok()).flatten()
        };
        let parts: Option<Vec<u64>> = text.split('.').map(number).collect();
        match parts {
            Some(parts) if parts.len() <= MAX_PARTS => Ok(Self(parts)),
            _ => Err(format!("{} is not a version", quote(text))),
        }
    }
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

/// Two characters before one, so that `<=` is not read as `<`.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("=", Comparison::Equal),
];

/// The most comparisons in a range.
const MAX_COMPARISONS: usize = 8;

/// Which versions are meant: comparisons that all hold, such as `>=7.0.0.9, <7.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange(Vec<(Comparison, Version)>);

impl VersionRange {
    /// Whether a version is among them. No version means the newest: newer than all that the
    /// manifest names, so a range with an upper bound does not contain it.
    pub fn contains(&self, version: Option<&Version>) -> bool {
        self.0.iter().all(|(comparison, bound)| {
            let order = version.map_or(Ordering::Greater, |version| version.cmp(bound));
            match comparison {
                Comparison::Less => order.is_lt(),
                Comparison::LessOrEqual => order.is_le(),
                Comparison::Greater => order.is_gt(),
                Comparison::GreaterOrEqual => order.is_ge(),
                Comparison::Equal => order.is_eq(),
            }
        })
    }

    /// The versions that the comparisons name.
    pub fn bounds(&self) -> impl Iterator<Item = &Version> {
        self.0.iter().map(|(_, version)| version)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |wanted: Comparison| {
            COMPARISONS
                .iter()
                .find(|(_, one)| *one == wanted)
                .map_or("", |(sign, _)| sign)
        };
        let comparisons: Vec<String> = self
            .0
            .iter()
            .map(|(one, version)| format!("{}{version}", sign(*one)))
            .collect();
        f.pad(&comparisons.join(", "))
    }
}

impl FromText for VersionRange {
    const EXPECTED: &'static str = "comparisons such as \"<=0.129.7\" or \">=7.0, <7.2\"";
    const PATTERN: &'static str = "^\\s*[<>=]";

    fn from_text(text: &str) -> Result<Self, String> {
        let comparison = |part: &str| {
            let part = part.trim();
            let (version, one) = COMPARISONS
                .iter()
                .find_map(|(sign, one)| part.strip_prefix(sign).map(|rest| (rest, *one)))
                .ok_or_else(|| format!("{} does not start with <, <=, >, >= or =", quote(part)))?;
            Ok((one, Version::from_text(version.trim())?))
        };
        if text.split(',').count() > MAX_COMPARISONS {
            return Err(format!("more than {MAX_COMPARISONS} comparisons"));
        }
        text.split(',')
            .map(comparison)
            .collect::<Result<_, String>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn parts_are_compared_as_numbers_and_missing_ones_are_zero() {
        assert!(version("0.129.7") > version("0.9.12"));
        assert!(version("7.0.0.19") > version("7.0.0.8"));
        assert_eq!(version("7.0"), version("7.0.0.0"));
    }

    #[test]
    fn the_newest_version_lies_above_every_bound() {
        let range = |text: &str| VersionRange::from_text(text).unwrap();
        assert!(range(">=7.0.0.19").contains(None) && range(">7").contains(None));
        assert!(!range("<=7.0.0.8").contains(None) && !range("=7").contains(None));
        assert!(range(">=7.0, <7.2").contains(Some(&version("7.1.9"))));
        assert!(!range(">=7.0, <7.2").contains(Some(&version("7.2"))));
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for wrong in [
            "",
            "7.",
            ".7",
            "7.x",
            "-1",
            "+1",
            "1.2.3.4.5.6.7.8.9",
            "99999999999999999999",
        ] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
        for wrong in ["7.0", "~7", "<", "<=7,"] {
            assert!(VersionRange::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
