//! How programs are served that were written for AWS IoT Core.

use std::collections::BTreeMap;

use outgate_aws::policy::Policy;
use serde::Deserialize;

use super::{ConfigError, file, value};

/// The most policy documents.
const MAX_POLICIES: usize = 64;

/// The most characters of a region's or a policy's name.
const MAX_NAME: usize = 128;

/// How programs are served that were written for AWS IoT Core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    /// The region for which requests are signed; what is signed is not accepted without one.
    pub region: Option<String>,
    /// Policy documents by name: what a device may whose policy is of that name.
    pub policies: BTreeMap<String, Policy>,
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    region: Option<String>,
    policies: BTreeMap<String, String>,
}

impl Written {
    /// Reads the documents. None may have the name of one of `plain`.
    pub(super) fn checked(
        self,
        plain: &BTreeMap<String, file::Policy>,
    ) -> Result<Aws, ConfigError> {
        let is_name = |name: &String| {
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_of_name)
        };
        if !self.region.as_ref().is_none_or(is_name) {
            return value("aws.region", "a name like eu-north-1");
        }
        if self.policies.len() > MAX_POLICIES || !self.policies.keys().all(is_name) {
            let right = format!("at most {MAX_POLICIES}, with names like fort");
            return value("aws.policies", right);
        }
        let mut policies = BTreeMap::new();
        for (name, text) in self.policies {
            if plain.contains_key(&name) || name == outgate_core::identity::DEFAULT_POLICY {
                let right = format!("no name of another policy, as {name} is");
                return value("aws.policies", right);
            }
            match Policy::parse(&text) {
                Ok(policy) => policies.insert(name, policy),
                Err(error) => {
                    let cause = std::error::Error::source(&error);
                    let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
                    return value("aws.policies", format!("{name}: {error}{cause}"));
                }
            };
        }
        Ok(Aws {
            region: self.region,
            policies,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Overrides};

    const EVERYTHING: &str = r#"{"Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}}"#;

    fn read(text: &str) -> Result<Config, String> {
        let read = Config::new(text, Overrides::default());
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn documents_are_read_under_their_names() {
        let text = format!("[aws]\nregion = 'eu-north-1'\npolicies.fort = '''{EVERYTHING}'''");
        let aws = read(&text).unwrap().aws;
        assert_eq!(aws.region.as_deref(), Some("eu-north-1"));
        assert!(aws.policies.contains_key("fort"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_key() {
        for (text, says) in [
            ("[aws]\nregion = 'a b'", "aws.region"),
            ("[aws]\npolicies.fort = '{}'", "aws.policies"),
            ("[aws]\npolicies.'a b' = '{}'", "aws.policies"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        for other in ["fort", "own-subtree"] {
            let text = format!(
                "[mqtt.policies.fort]\npublish = []\n[aws]\npolicies.{other} = '''{EVERYTHING}'''"
            );
            let error = read(&text).unwrap_err();
            assert!(error.contains("another policy"), "{error}");
        }
    }
}
