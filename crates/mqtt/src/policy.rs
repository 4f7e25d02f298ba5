//! Who may publish and subscribe where: templates of filters, and deny by default.
//!
//! A template is a topic filter whose levels may be `{device}` and `{site}`, which stand for the
//! names of whoever asks. A publication is permitted when a template matches its topic. A
//! subscription is permitted when everything that its filter could ever match is matched by one
//! template: `a/+` lies within `a/#`, but `#` does not.

use std::fmt;

use crate::topics::{FilterError, TopicFilter, covers};

/// The most templates of each kind.
pub const TEMPLATES_MAX: usize = 256;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// What `{device}` stands for.
    pub device: &'a str,
    /// What `{site}` stands for.
    pub site: &'a str,
}

/// What is permitted; all else is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    publish: Vec<Template>,
    subscribe: Vec<Template>,
}

/// A topic filter with names to be filled in.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(TopicFilter);

/// Why something is not a [`Template`] or a [`Policy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is no topic filter.
    #[error("template is not a topic filter")]
    Filter(#[from] FilterError),
    /// Groups have no say in what is permitted.
    #[error("template is a shared subscription")]
    Shared,
    /// A level has a brace and is neither `{device}` nor `{site}`.
    #[error("level {0:?} of the template is neither {{device}} nor {{site}}")]
    Placeholder(String),
    /// More than [`TEMPLATES_MAX`].
    #[error("more than {TEMPLATES_MAX} templates")]
    TooMany,
}

const DEVICE: &str = "{device}";
const SITE: &str = "{site}";

impl Policy {
    /// A policy that permits publishing and subscribing to what these templates match.
    ///
    /// # Errors
    /// [`PolicyError::TooMany`].
    pub fn new(publish: Vec<Template>, subscribe: Vec<Template>) -> Result<Self, PolicyError> {
        if publish.len().max(subscribe.len()) > TEMPLATES_MAX {
            return Err(PolicyError::TooMany);
        }
        Ok(Self { publish, subscribe })
    }

    /// Whether `names` may publish to `topic`.
    #[must_use]
    pub fn permits_publish(&self, names: Names<'_>, topic: &str) -> bool {
        // A topic's name is a filter that matches nothing but itself.
        self.publish
            .iter()
            .any(|template| template.covers(names, topic))
    }

    /// Whether `names` may subscribe to `filter`, for themselves or with a group.
    #[must_use]
    pub fn permits_subscribe(&self, names: Names<'_>, filter: &TopicFilter) -> bool {
        let filter = filter.matched_part();
        self.subscribe
            .iter()
            .any(|template| template.covers(names, filter))
    }
}

impl Template {
    /// Takes `template` as a template.
    ///
    /// # Errors
    /// Any [`PolicyError`] but [`PolicyError::TooMany`].
    pub fn new(template: &str) -> Result<Self, PolicyError> {
        let filter = TopicFilter::new(template)?;
        if filter.shared().is_some() {
            return Err(PolicyError::Shared);
        }
        let unknown = |level: &&str| level.contains(['{', '}']) && ![DEVICE, SITE].contains(level);
        if let Some(level) = template.split('/').find(unknown) {
            return Err(PolicyError::Placeholder(level.to_owned()));
        }
        Ok(Self(filter))
    }

    /// Whether everything that `filter` matches is matched by the template with its names filled
    /// in. Names that are no level of a topic cover nothing.
    fn covers(&self, names: Names<'_>, filter: &str) -> bool {
        let named = self.0.split('/').map(|level| match level {
            DEVICE => names.device,
            SITE => names.site,
            level => level,
        });
        let has = |placeholder| self.0.split('/').any(|level| level == placeholder);
        let is_named = |placeholder, name| !has(placeholder) || is_level(name);
        is_named(DEVICE, names.device) && is_named(SITE, names.site) && covers(named, filter)
    }
}

/// Whether `name` can be one level of a topic's name.
fn is_level(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '+', '#', '\0'])
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILL: Names<'_> = Names {
        device: "till-1",
        site: "malmö",
    };

    fn policy(template: &str) -> Policy {
        let template = Template::new(template).unwrap();
        Policy::new(vec![template.clone()], vec![template]).unwrap()
    }

    fn subscribes(template: &str, filter: &str) -> bool {
        policy(template).permits_subscribe(TILL, &TopicFilter::new(filter).unwrap())
    }

    #[test]
    fn a_device_has_its_own_part_of_the_tree() {
        let own = policy("devices/{device}/#");
        assert!(own.permits_publish(TILL, "devices/till-1/events/sale"));
        assert!(own.permits_publish(TILL, "devices/till-1"));
        assert!(!own.permits_publish(TILL, "devices/till-10/events"));
        assert!(!own.permits_publish(TILL, "devices/{device}/events"));
        assert!(!own.permits_publish(TILL, "$SYS/x"));
        assert!(!Policy::default().permits_publish(TILL, "devices/till-1/events"));
        assert!(policy("sites/{site}/+").permits_publish(TILL, "sites/malmö/door"));
    }

    #[test]
    fn a_subscription_lies_wholly_within_what_is_permitted() {
        for (template, filter, permitted) in [
            ("devices/{device}/#", "devices/till-1/#", true),
            ("devices/{device}/#", "$share/g/devices/till-1/+", true),
            ("devices/{device}/#", "devices/+/commands", false),
            ("devices/{device}/#", "#", false),
            ("devices/{device}/#", "devices/till-1", true),
            ("a/+", "a/#", false),
            ("a/+", "a/+", true),
            ("a/+/#", "a/#", false),
            ("+/#", "#", true),
            ("#", "+", true),
            ("#", "$SYS/#", false),
            ("+/a", "$x/a", false),
            ("$SYS/#", "$SYS/+", true),
        ] {
            assert_eq!(
                subscribes(template, filter),
                permitted,
                "{template} {filter}"
            );
        }
    }

    #[test]
    fn a_name_that_is_no_level_covers_nothing() {
        let own = policy("devices/{device}/#");
        for device in ["", "+", "#", "a/b", "a+"] {
            let names = Names { device, site: "s" };
            let filter = TopicFilter::new("devices/+/x").unwrap();
            assert!(!own.permits_subscribe(names, &filter), "{device}");
            assert!(
                !own.permits_publish(names, &format!("devices/{device}/x")),
                "{device}"
            );
        }
    }

    #[test]
    fn a_template_is_a_filter_with_known_names() {
        let mistake = |template| Template::new(template).unwrap_err();
        assert_eq!(mistake("a#"), PolicyError::Filter(FilterError::MultiLevel));
        assert_eq!(mistake("$share/g/a"), PolicyError::Shared);
        assert_eq!(
            mistake("a/{devise}"),
            PolicyError::Placeholder("{devise}".to_owned())
        );
        assert_eq!(
            mistake("a/x{device}"),
            PolicyError::Placeholder("x{device}".to_owned())
        );
    }
}
