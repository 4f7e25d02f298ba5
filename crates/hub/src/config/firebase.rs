//! Whether and how Firebase's Realtime Database is served.

use outgate_firebase::Key;
use outgate_firebase::rules::{Rule, RuleError, Rules};
use serde::Deserialize;

use super::{ConfigError, value, within};

/// The most namespaces.
const MAX_NAMESPACES: usize = 64;

/// The most host names.
const MAX_NAMES: usize = 64;

/// How the Realtime Database is served; not at all without a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firebase {
    /// The databases, each a tree of its own. Who names none gets the first.
    pub namespaces: Vec<String>,
    /// What follows a namespace in the names that the hub is asked by: `.firebaseio.example`.
    pub suffixes: Vec<String>,
    /// Who may read and write where.
    pub rules: Rules,
    /// The most bytes of a namespace, 1 MiB to 4 GiB.
    pub bytes: usize,
    /// The most bytes of a request, 64 KiB to 16 MiB.
    pub request_bytes: usize,
    /// The most bytes that wait for one who listens, beside what they are being told, 64 KiB to
    /// 1 GiB. Who lets more wait is disconnected.
    pub waiting_bytes: usize,
    /// The most listens of a namespace, 1 to 10,000,000.
    pub listens: usize,
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    namespaces: Vec<String>,
    names: Vec<String>,
    mebibytes: Option<u32>,
    request_kibibytes: Option<u32>,
    waiting_kibibytes: Option<u32>,
    listens: Option<u32>,
    rules: Vec<WrittenRule>,
}

/// Who may do what at a path and below.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenRule {
    path: String,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    write: Vec<String>,
}

impl Written {
    /// Fills in the defaults and checks the ranges.
    pub(super) fn checked(self) -> Result<Firebase, ConfigError> {
        let is_name = |name: &String| {
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !name.is_empty() && Key::new(name).is_ok() && name.bytes().all(is_of_name)
        };
        if self.namespaces.len() > MAX_NAMESPACES || !self.namespaces.iter().all(is_name) {
            let right = format!("at most {MAX_NAMESPACES} names of letters, digits and -");
            return value("firebase.namespaces", right);
        }
        let suffix = |name: String| name.strip_prefix('*').map(str::to_ascii_lowercase);
        let suffixes: Option<Vec<String>> = self.names.into_iter().map(suffix).collect();
        let suffixes = suffixes.filter(|suffixes| {
            suffixes.len() <= MAX_NAMES && suffixes.iter().all(|suffix| suffix.starts_with('.'))
        });
        let Some(suffixes) = suffixes else {
            let right = format!("at most {MAX_NAMES} names like *.firebaseio.example");
            return value("firebase.names", right);
        };
        let unit = |key, given, default, unit: usize, range| {
            let number = within(key, given, default, range)?;
            Ok::<_, ConfigError>(usize::try_from(number).unwrap_or(usize::MAX) * unit)
        };
        Ok(Firebase {
            namespaces: self.namespaces,
            suffixes,
            rules: rules(&self.rules)?,
            bytes: unit("firebase.mebibytes", self.mebibytes, 64, 1 << 20, 1..=4_096)?,
            request_bytes: unit(
                "firebase.request-kibibytes",
                self.request_kibibytes,
                1_024,
                1 << 10,
                64..=16_384,
            )?,
            waiting_bytes: unit(
                "firebase.waiting-kibibytes",
                self.waiting_kibibytes,
                4_096,
                1 << 10,
                64..=1_048_576,
            )?,
            listens: unit("firebase.listens", self.listens, 100_000, 1, 1..=10_000_000)?,
        })
    }
}

fn rules(written: &[WrittenRule]) -> Result<Rules, ConfigError> {
    let rules = written
        .iter()
        .map(|rule| Rule::new(&rule.path, &rule.read, &rule.write))
        .collect::<Result<_, RuleError>>()
        .and_then(Rules::new);
    rules.or_else(|error| value("firebase.rules", error.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Overrides};

    #[test]
    fn nothing_is_served_without_a_namespace() {
        let config = Config::new("", Overrides::default()).unwrap();
        assert!(config.firebase.namespaces.is_empty());
    }

    #[test]
    fn what_is_no_name_no_rule_or_out_of_range_is_refused() {
        for text in [
            "namespaces = ['a.b']",
            "namespaces = ['']",
            "names = ['firebaseio.example']",
            "names = ['*firebaseio.example']",
            "mebibytes = 0",
            "request-kibibytes = 16385",
            "listens = 0",
            "rules = [{ path = 'a', read = ['everybody'] }]",
            "rules = [{ path = 'a.b' }]",
            "rules = [{ path = 'a', writes = ['device'] }]",
        ] {
            let text = format!("[firebase]\n{text}\n");
            assert!(Config::new(&text, Overrides::default()).is_err(), "{text}");
        }
        let right = "[firebase]\nnamespaces = ['pos']\nnames = ['*.firebaseio.example']
            [[firebase.rules]]\npath = 'sites/{site}'\nread = ['device']";
        assert!(Config::new(right, Overrides::default()).is_ok());
    }
}
