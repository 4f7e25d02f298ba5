//! What a device may publish to and subscribe to, between devices: nothing but what its policy
//! says.

use std::collections::BTreeMap;

use outgate_core::id::{DeviceId, SiteId};
use outgate_mqtt::topics::{FilterError, TopicFilter};

use crate::config::Policy;

/// A policy whose templates were filled in for one device.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    publish: Vec<TopicFilter>,
    subscribe: Vec<TopicFilter>,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A template gives no topic filter.
    #[error("mqtt.policies.{policy}: {template:?} is no topic filter")]
    Filter {
        /// Of which policy.
        policy: String,
        /// Which template.
        template: String,
        /// What is wrong.
        source: FilterError,
    },
    /// A template is of a shared subscription, which has no place in a policy.
    #[error("mqtt.policies.{policy}: {template:?} names a group; policies speak of what is shared")]
    Shared {
        /// Of which policy.
        policy: String,
        /// Which template.
        template: String,
    },
}

/// Says what is wrong with `policies`, whatever device they are filled in for.
///
/// # Errors
/// The first mistake.
pub(super) fn check(policies: &BTreeMap<String, Policy>) -> Result<(), PolicyError> {
    for (name, policy) in policies {
        for template in policy.publish.iter().chain(&policy.subscribe) {
            let filter = TopicFilter::new(&filled(template, "d", "s"));
            let filter = filter.map_err(|source| PolicyError::Filter {
                policy: name.clone(),
                template: template.clone(),
                source,
            })?;
            if filter.shared().is_some() {
                return Err(PolicyError::Shared {
                    policy: name.clone(),
                    template: template.clone(),
                });
            }
        }
    }
    Ok(())
}

impl Access {
    /// What `policy` gives to `device` of `site`. A name neither of which is a wildcard or has a
    /// slash, so that it fills in for itself alone.
    pub(super) fn new(policy: &Policy, device: &DeviceId, site: &SiteId) -> Self {
        let fill = |templates: &[String]| {
            let filled = templates
                .iter()
                .map(|template| filled(template, device.as_str(), site.as_str()));
            filled
                .filter_map(|filter| TopicFilter::new(&filter).ok())
                .collect()
        };
        Self {
            publish: fill(&policy.publish),
            subscribe: fill(&policy.subscribe),
        }
    }

    /// Whether it allows to publish to `topic`.
    pub(super) fn may_publish(&self, topic: &str) -> bool {
        self.publish.iter().any(|filter| filter.matches(topic))
    }

    /// Whether it allows to subscribe to everything that `filter` means.
    pub(super) fn may_subscribe(&self, filter: &TopicFilter) -> bool {
        let asked = filter.matched_part();
        self.subscribe.iter().any(|allowed| covers(allowed, asked))
    }
}

fn filled(template: &str, device: &str, site: &str) -> String {
    template.replace("{device}", device).replace("{site}", site)
}

/// Whether every topic that the filter `asked` means is meant by the filter `allowed`.
pub(super) fn covers(allowed: &str, asked: &str) -> bool {
    if asked.starts_with('$') && allowed.starts_with(['#', '+']) {
        return false;
    }
    let mut asked = asked.split('/');
    for level in allowed.split('/') {
        match (level, asked.next()) {
            // Also where `asked` has ended: `a/#` means `a`.
            ("#", _) => return true,
            (_, None | Some("#")) => return false,
            ("+", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            (_, Some(_)) => return false,
        }
    }
    asked.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_filter_is_allowed_only_with_all_that_it_means() {
        for (allowed, asked, expected) in [
            ("devices/d/#", "devices/d/#", true),
            ("devices/d/#", "devices/d", true),
            ("devices/d/#", "devices/d/+/x", true),
            ("devices/d/#", "devices/+/x", false),
            ("devices/d/#", "devices/#", false),
            ("devices/d/#", "#", false),
            ("a/+", "a/+", true),
            ("a/+", "a/b", true),
            ("a/+", "a/#", false),
            ("a/+", "a", false),
            ("a/b", "a/+", false),
            ("#", "+/x", true),
            ("#", "$SYS/#", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
        ] {
            assert_eq!(covers(allowed, asked), expected, "{allowed} {asked}");
        }
    }

    #[test]
    fn a_policy_with_a_bad_template_is_refused() {
        for template in ["a#", "", "$share/g/a"] {
            let policy = Policy {
                publish: vec![template.to_owned()],
                subscribe: Vec::new(),
            };
            let policies = BTreeMap::from([("p".to_owned(), policy)]);
            assert!(check(&policies).is_err(), "{template}");
        }
    }

    proptest! {
        /// Whatever a permitted filter matches, the permission matches too.
        #[test]
        fn nothing_gets_out_of_what_is_allowed(
            allowed in "([ab+]/){0,3}([ab+]|#)",
            asked in "([ab+]/){0,3}([ab+]|#)",
            topic in "([ab]/){0,4}[ab]",
        ) {
            let (Ok(wide), Ok(narrow)) = (TopicFilter::new(&allowed), TopicFilter::new(&asked)) else {
                return Ok(());
            };
            if covers(&allowed, &asked) && narrow.matches(&topic) {
                prop_assert!(wide.matches(&topic), "{allowed} {asked} {topic}");
            }
        }
    }
}
