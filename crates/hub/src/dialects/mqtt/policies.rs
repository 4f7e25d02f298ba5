//! What devices may say to each other: nothing but what their policies allow.

use std::collections::BTreeMap;

use outgate_core::id::{DeviceId, SiteId};
use outgate_mqtt::policy::{self, Names, Policy, Template};
use outgate_mqtt::topics::TopicFilter;

use super::settings::DEFAULT_POLICY;
use crate::config;

/// The policies by name.
#[derive(Debug, Default)]
pub(super) struct Policies(BTreeMap<String, Policy>);

/// A device, as policies see it.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// Which.
    pub(super) device: DeviceId,
    /// Where it stands.
    pub(super) site: SiteId,
    /// Its policy's name.
    pub(super) policy: String,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A template cannot be used.
    #[error("mqtt.policies.{policy}: {template:?} cannot be used")]
    Template {
        /// Of which policy.
        policy: String,
        /// Which template.
        template: String,
        /// What is wrong.
        source: policy::PolicyError,
    },
    /// A policy cannot be used as a whole.
    #[error("mqtt.policies.{policy} cannot be used")]
    Policy {
        /// Which policy.
        policy: String,
        /// What is wrong.
        source: policy::PolicyError,
    },
}

impl Policies {
    /// Takes policies as they are configured, and [`DEFAULT_POLICY`] unless it is among them.
    ///
    /// # Errors
    /// The first mistake.
    pub(super) fn new(configured: &BTreeMap<String, config::Policy>) -> Result<Self, PolicyError> {
        let own = config::Policy {
            publish: vec!["devices/{device}/#".to_owned()],
            subscribe: vec!["devices/{device}/#".to_owned()],
        };
        let mut policies =
            BTreeMap::from([(DEFAULT_POLICY.to_owned(), read(DEFAULT_POLICY, &own)?)]);
        for (name, policy) in configured {
            policies.insert(name.clone(), read(name, policy)?);
        }
        Ok(Self(policies))
    }

    /// Whether a device may publish to `topic`.
    pub(super) fn permit_publish(&self, subject: &Subject, topic: &str) -> bool {
        self.of(subject)
            .is_some_and(|policy| policy.permits_publish(subject.names(), topic))
    }

    /// Whether a device may subscribe to everything that `filter` means.
    pub(super) fn permit_subscribe(&self, subject: &Subject, filter: &TopicFilter) -> bool {
        self.of(subject)
            .is_some_and(|policy| policy.permits_subscribe(subject.names(), filter))
    }

    /// A policy that is no longer configured gives nothing; the device's own topics stay.
    fn of(&self, subject: &Subject) -> Option<&Policy> {
        self.0.get(&subject.policy)
    }
}

impl Subject {
    fn names(&self) -> Names<'_> {
        Names {
            device: self.device.as_str(),
            site: self.site.as_str(),
        }
    }
}

fn read(name: &str, configured: &config::Policy) -> Result<Policy, PolicyError> {
    let templates = |texts: &[String]| {
        let read = texts.iter().map(|text| {
            Template::new(text).map_err(|source| PolicyError::Template {
                policy: name.to_owned(),
                template: text.clone(),
                source,
            })
        });
        read.collect::<Result<Vec<_>, _>>()
    };
    let (publish, subscribe) = (
        templates(&configured.publish)?,
        templates(&configured.subscribe)?,
    );
    Policy::new(publish, subscribe).map_err(|source| PolicyError::Policy {
        policy: name.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_with_a_bad_template_is_refused() {
        for template in ["a#", "", "$share/g/a", "a/{devise}"] {
            let policy = config::Policy {
                publish: vec![template.to_owned()],
                subscribe: Vec::new(),
            };
            let policies = BTreeMap::from([("p".to_owned(), policy)]);
            assert!(Policies::new(&policies).is_err(), "{template}");
        }
    }

    #[test]
    fn a_device_whose_policy_is_gone_may_nothing() {
        let policies = Policies::new(&BTreeMap::new()).unwrap();
        let mut subject = Subject {
            device: "d".parse().unwrap(),
            site: "s".parse().unwrap(),
            policy: DEFAULT_POLICY.to_owned(),
        };
        assert!(policies.permit_publish(&subject, "devices/d/notes"));
        assert!(!policies.permit_publish(&subject, "devices/e/notes"));
        subject.policy = "gone".to_owned();
        assert!(!policies.permit_publish(&subject, "devices/d/notes"));
    }
}
