//! Which files the agent fetches and sends by itself when the hub asks.

use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;
use super::file::{within, wrong};

const MEBIBYTE: u64 = 1024 * 1024;
/// The largest file unless something else is said: 1 GiB.
const MEBIBYTES: u64 = 1024;
/// The most patterns of names.
const PATTERNS_MAX: usize = 64;

/// Which files the agent fetches and sends by itself when the hub asks. Commands for which there is
/// no folder are the device's software's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Where files come to.
    pub incoming: Option<PathBuf>,
    /// Where files are sent from.
    pub outgoing: Option<PathBuf>,
    /// Which names may come and go, with `*` for any characters; any if there are none.
    pub allow: Vec<String>,
    /// The most bytes of a file, 1 MiB to 64 GiB.
    pub bytes: u64,
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    r#in: Option<PathBuf>,
    out: Option<PathBuf>,
    allow: Vec<String>,
    mebibytes: Option<u64>,
}

impl Written {
    pub(super) fn checked(self) -> Result<Files, ConfigError> {
        let mebibytes = self.mebibytes.unwrap_or(MEBIBYTES);
        let bytes = within("files.mebibytes", mebibytes, 1..=64 * 1024)? * MEBIBYTE;
        let folders = [("files.in", &self.r#in), ("files.out", &self.out)];
        for (key, folder) in folders {
            if folder.as_ref().is_some_and(|folder| !folder.is_absolute()) {
                return wrong(key, "a path from the root");
            }
        }
        if self.allow.len() > PATTERNS_MAX {
            return wrong("files.allow", "64 patterns at the most");
        }
        Ok(Files {
            incoming: self.r#in,
            outgoing: self.out,
            allow: self.allow,
            bytes,
        })
    }
}

impl Files {
    /// Whether a file of that name may come and go.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        let mut patterns = self.allow.iter();
        self.allow.is_empty() || patterns.any(|pattern| matches(pattern, name))
    }
}

/// Whether `text` is as `pattern` says, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = rest.split('*').collect();
    // After the last asterisk, at the end.
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place leaves the most for what follows.
        let Some(at) = text.find(part) else {
            return false;
        };
        text = text.get(at + part.len()..).unwrap_or_default();
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_any_characters() {
        for (pattern, text, right) in [
            ("staff.csv", "staff.csv", true),
            ("staff.csv", "staff.csv2", false),
            ("*", "anything/at all", true),
            ("logs/*", "logs/a/b.txt", true),
            ("logs/*", "log/a", false),
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.exe", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), right, "{pattern} {text}");
        }
    }
}
