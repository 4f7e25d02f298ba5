//! The part of `deny.toml` that we check ourselves.

use anyhow::{Context, Result};
use toml::{Table, Value};

/// What `deny.toml` says.
pub(super) struct Rules {
    /// The platforms whose dependencies count.
    pub(super) targets: Vec<String>,
    /// The licences that are allowed, exceptions written as in `X WITH Y`.
    pub(super) licences: Vec<String>,
    /// Name and version of what may be there besides another version.
    pub(super) skipped: Vec<(String, String)>,
}

impl Rules {
    /// Reads `deny.toml`.
    ///
    /// # Errors
    ///
    /// When it is no TOML or lacks what we need.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse()?;
        let skipped = entries(&table, "bans", "skip")?.iter().map(|skip| {
            let package = skip
                .get("crate")
                .and_then(Value::as_str)
                .context("no `crate`")?;
            skip.get("reason")
                .context("a skipped version needs a `reason`")?;
            let (name, version) = package
                .split_once('@')
                .with_context(|| format!("no version: {package}"))?;
            Ok((name.to_owned(), version.to_owned()))
        });
        Ok(Self {
            targets: strings(entries(&table, "graph", "targets")?)?,
            licences: strings(entries(&table, "licenses", "allow")?)?,
            skipped: skipped.collect::<Result<_>>()?,
        })
    }

    /// Whether this version does not count when versions are counted.
    pub(super) fn skips(&self, name: &str, version: &str) -> bool {
        self.skipped
            .iter()
            .any(|(skipped, wanted)| skipped == name && is_version(wanted, version))
    }
}

/// Whether `version` is the one that is `wanted`, of which the last parts may be left out.
pub(super) fn is_version(wanted: &str, version: &str) -> bool {
    version
        .strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn entries<'a>(table: &'a Table, section: &str, key: &str) -> Result<&'a Vec<Value>> {
    let list = table
        .get(section)
        .and_then(|section| section.get(key))
        .and_then(Value::as_array);
    list.with_context(|| format!("no list `{key}` in [{section}]"))
}

fn strings(values: &[Value]) -> Result<Vec<String>> {
    let strings = values.iter().map(|value| value.as_str().map(str::to_owned));
    strings
        .collect::<Option<_>>()
        .context("a list of strings was expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_can_be_read_and_allows_no_copyleft() {
        let rules = Rules::parse(include_str!("../../../deny.toml")).unwrap();
        assert!(rules.licences.iter().any(|licence| licence == "MIT"));
        for family in ["GPL", "MPL", "EUPL", "SSPL"] {
            assert!(
                !rules
                    .licences
                    .iter()
                    .any(|licence| licence.contains(family)),
                "{family}"
            );
        }
    }

    #[test]
    fn a_skipped_version_without_a_reason_is_refused() {
        let text = "[graph]\ntargets = []\n[licenses]\nallow = []\n\
            [bans]\nskip = [{ crate = \"a@1\" }]\n";
        let error = Rules::parse(text).err().unwrap().to_string();
        assert!(error.contains("reason"), "{error}");
    }

    #[test]
    fn a_version_matches_whole_parts_only() {
        assert!(is_version("0.52", "0.52.1"));
        assert!(is_version("1.2.3", "1.2.3"));
        assert!(!is_version("1", "10.0.0"));
    }
}
