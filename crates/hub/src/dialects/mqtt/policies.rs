//! What devices may say to each other: nothing but what their policies allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use outgate_aws::policy::{self as document, Action};
use outgate_core::id::{DeviceId, SiteId};
use outgate_core::identity::Principal;
use outgate_mqtt::policy::{self, Names, Policy, Template};
use outgate_mqtt::topics::TopicFilter;

use super::settings::DEFAULT_POLICY;
use crate::config;

/// The policies by name.
#[derive(Debug, Default)]
pub(super) struct Policies(BTreeMap<String, Kind>);

/// In which form a policy is written.
#[derive(Debug)]
enum Kind {
    /// As templates of topics, beside the device's own.
    Templates(Policy),
    /// As a document of AWS's, for all that the device says and hears.
    Document(document::Policy),
}

/// A device, as policies see it.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// Which.
    pub(super) device: DeviceId,
    /// Where it stands.
    pub(super) site: SiteId,
    /// Its policy's name.
    pub(super) policy: String,
    /// What its MQTT session is called: who it is, a slash, and what it calls itself.
    pub(super) key: Arc<str>,
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
    pub(super) fn new(
        configured: &BTreeMap<String, config::Policy>,
        documents: &BTreeMap<String, document::Policy>,
    ) -> Result<Self, PolicyError> {
        let own = config::Policy {
            publish: vec!["devices/{device}/#".to_owned()],
            subscribe: vec!["devices/{device}/#".to_owned()],
        };
        let mut policies = BTreeMap::new();
        let own = Kind::Templates(read(DEFAULT_POLICY, &own)?);
        policies.insert(DEFAULT_POLICY.to_owned(), own);
        for (name, policy) in configured {
            policies.insert(name.clone(), Kind::Templates(read(name, policy)?));
        }
        for (name, document) in documents {
            policies.insert(name.clone(), Kind::Document(document.clone()));
        }
        Ok(Self(policies))
    }

    /// Whether the policy of that name is a document, which decides on all that is said.
    pub(super) fn is_document(&self, policy: &str) -> bool {
        matches!(self.0.get(policy), Some(Kind::Document(_)))
    }

    /// Whether a device may connect under the name that it gives itself.
    pub(super) fn permit_connect(&self, subject: &Subject) -> bool {
        match self.of(subject) {
            Some(Kind::Document(document)) => {
                let action = Action::Connect(subject.client_id());
                document.allows(action, subject.names_in_documents())
            }
            Some(Kind::Templates(_)) | None => true,
        }
    }

    /// Whether a device may publish to `topic`, and have it retained if that is asked for.
    pub(super) fn permit_publish(&self, subject: &Subject, topic: &str, retain: bool) -> bool {
        match self.of(subject) {
            Some(Kind::Templates(policy)) => policy.permits_publish(subject.names(), topic),
            Some(Kind::Document(document)) => {
                let may = |action| document.allows(action, subject.names_in_documents());
                may(Action::Publish(topic)) && (!retain || may(Action::RetainPublish(topic)))
            }
            None => false,
        }
    }

    /// Whether a device may publish to one of its own topics: unless a document is its policy, it
    /// may.
    pub(super) fn permit_own(&self, subject: &Subject, topic: &str, retain: bool) -> bool {
        !self.is_document(&subject.policy) || self.permit_publish(subject, topic, retain)
    }

    /// Whether a device may subscribe to everything that `filter` means.
    pub(super) fn permit_subscribe(&self, subject: &Subject, filter: &TopicFilter) -> bool {
        match self.of(subject) {
            Some(Kind::Templates(policy)) => policy.permits_subscribe(subject.names(), filter),
            Some(Kind::Document(document)) => {
                let action = Action::Subscribe(filter.as_str());
                document.allows(action, subject.names_in_documents())
            }
            None => false,
        }
    }

    /// Whether a device may be given what is published to `topic`, where it has subscribed.
    pub(super) fn permit_receive(&self, subject: &Subject, topic: &str) -> bool {
        match self.of(subject) {
            Some(Kind::Document(document)) => {
                document.allows(Action::Receive(topic), subject.names_in_documents())
            }
            Some(Kind::Templates(_)) | None => true,
        }
    }

    /// A policy that is no longer configured gives nothing; the device's own topics stay.
    fn of(&self, subject: &Subject) -> Option<&Kind> {
        self.0.get(&subject.policy)
    }
}

impl Subject {
    /// Who acts, if it is a device; its MQTT session is called `key`.
    pub(super) fn of(principal: &Principal, key: Arc<str>) -> Option<Self> {
        match principal {
            Principal::Device {
                device,
                site,
                policy,
            } => Some(Self {
                device: device.clone(),
                site: site.clone(),
                policy: policy.clone(),
                key,
            }),
            Principal::Service { .. } | Principal::Operator { .. } => None,
        }
    }

    /// What it calls itself over MQTT.
    fn client_id(&self) -> &str {
        let owner = |key: &'_ str| -> Option<usize> {
            let rest = key.strip_prefix("device/")?;
            let rest = rest.strip_prefix(self.device.as_str())?;
            Some(key.len() - rest.strip_prefix('/')?.len())
        };
        let at = owner(&self.key).unwrap_or(self.key.len());
        self.key.get(at..).unwrap_or_default()
    }

    fn names_in_documents(&self) -> document::Names<'_> {
        document::Names {
            client_id: self.client_id(),
            thing: self.device.as_str(),
        }
    }

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
            let read = Policies::new(&policies, &BTreeMap::new());
            assert!(read.is_err(), "{template}");
        }
    }

    #[test]
    fn a_device_whose_policy_is_gone_may_nothing() {
        let policies = Policies::new(&BTreeMap::new(), &BTreeMap::new()).unwrap();
        let mut subject = Subject {
            device: "d".parse().unwrap(),
            site: "s".parse().unwrap(),
            policy: DEFAULT_POLICY.to_owned(),
            key: "device/d/c".into(),
        };
        assert!(policies.permit_publish(&subject, "devices/d/notes", false));
        assert!(!policies.permit_publish(&subject, "devices/e/notes", false));
        subject.policy = "gone".to_owned();
        assert!(!policies.permit_publish(&subject, "devices/d/notes", false));
    }
}
