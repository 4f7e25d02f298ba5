//! A scenario, as it stands in a file.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// The most scenarios in one file.
const MAX_SCENARIOS: usize = 500;

/// A site with something wrong, and what a check should say of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// What it is called on the command line: lower-case words joined by `-`.
    pub name: String,
    /// What is wrong, in one sentence.
    pub title: String,
    /// The product that stands at the site: one of [`PRODUCTS`](crate::PRODUCTS), a built-in
    /// profile, or a path.
    #[serde(default = "lab_product")]
    pub product: String,
    /// Values of the product's settings.
    #[serde(default)]
    pub set: std::collections::BTreeMap<String, String>,
    /// Names for its wildcards.
    #[serde(default)]
    pub sample: std::collections::BTreeMap<String, String>,
    /// Names for the parties and DHCP options that it leads to.
    #[serde(default)]
    pub roles: std::collections::BTreeMap<String, String>,
    /// More arguments for the check.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What is wrong.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// The causes that a check should name, the first one first; none when all is well.
    #[serde(default)]
    pub expect: Vec<Expected>,
}

/// A cause that a check should name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expected {
    /// Its kind, as in the check's JSON.
    pub cause: String,
    /// Its owner, as in the check's JSON; any, when none is given.
    pub owner: Option<String>,
    /// What its subject contains; anything, when none is given.
    pub subject: Option<String>,
}

fn lab_product() -> String {
    "lab-box".to_owned()
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    scenario: Vec<Scenario>,
}

/// Reads a file of scenarios in TOML.
///
/// # Errors
/// It is not one, a name is used twice or is not made of lower-case words, or there are more than
/// 500.
pub fn read(text: &str) -> Result<Vec<Scenario>, BadScenarios> {
    let file: File = toml::from_str(text).map_err(|source| BadScenarios::Toml { source })?;
    if file.scenario.len() > MAX_SCENARIOS {
        return Err(BadScenarios::TooMany);
    }
    let mut names = std::collections::BTreeSet::new();
    for scenario in &file.scenario {
        let name = scenario.name.as_str();
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(word) || !names.insert(name) {
            return Err(BadScenarios::Name {
                name: name.to_owned(),
            });
        }
    }
    Ok(file.scenario)
}

/// A text holds no scenarios.
#[derive(Debug, thiserror::Error)]
pub enum BadScenarios {
    /// It is not TOML of this form.
    #[error("failed to read scenarios")]
    Toml {
        /// What is wrong, and where.
        source: toml::de::Error,
    },
    /// A name cannot be used.
    #[error("{name:?} is used twice, or is not made of lower-case letters, digits and `-`")]
    Name {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("more than {MAX_SCENARIOS} scenarios")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_read_with_its_faults_and_causes() {
        let read = read(
            r#"
            [[scenario]]
            name = "a"
            title = "A name is blocked."
            faults = [{ kind = "blocked", way = "drop", name = "a.example", port = 443 }]
            expect = [{ cause = "silent" }]
            "#,
        )
        .unwrap();
        assert_eq!(read[0].product, "lab-box");
        assert!(matches!(&read[0].faults[0], Fault::Blocked(one) if one.port == Some(443)));
        assert_eq!(read[0].expect[0].cause, "silent");
    }

    #[test]
    fn what_is_no_scenario_is_refused() {
        for bad in [
            "scenario = 1",
            "[[scenario]]\nname = 'A b'\ntitle = ''",
            "[[scenario]]\nname = 'a'\ntitle = ''\n[[scenario]]\nname = 'a'\ntitle = ''",
            "[[scenario]]\nname = 'a'\ntitle = ''\nfaults = [{ kind = 'unheard-of' }]",
            "[[scenario]]\nname = 'a'\ntitle = ''\nfaults = [{ kind = 'blocked', way = 'drop', prot = 1 }]",
            "[[scenario]]\nname = 'a'\ntitle = ''\nmore = 1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
