//! Who may read and write where: paths with places for whoever asks. What is granted at a path
//! holds for all below it; nothing else is granted.

use crate::path::{Key, Path, PathError};

/// The most rules.
pub const RULES_MAX: usize = 1_000;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A device at a site.
    Device {
        /// Its name as a key.
        device: Key,
        /// That of its site.
        site: Key,
    },
    /// A back end; of one site, if it sees only that.
    Service {
        /// The site.
        site: Option<Key>,
    },
    /// A person; of one site, if they see only that.
    Operator {
        /// The site.
        site: Option<Key>,
        /// Whether they may do more than look.
        writes: bool,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// To see.
    Read,
    /// To change.
    Write,
}

/// A kind of who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Devices.
    Device,
    /// Services.
    Service,
    /// Operators.
    Operator,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    path: Vec<Segment>,
    read: Vec<Kind>,
    write: Vec<Kind>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Key(Key),
    Any,
    Site,
    Device,
}

/// All rules of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// Why a rule is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its path is none.
    #[error("{0}")]
    Path(#[from] PathError),
    /// It names somebody who is not known.
    #[error("{0:?} is not device, service or operator")]
    Kind(String),
    /// More rules than are taken.
    #[error("there may be at most {RULES_MAX} rules")]
    TooMany,
}

impl Rule {
    /// A rule for `path`, in which `{site}` and `{device}` stand for the names of whoever asks and
    /// `*` for any key: who may read and write.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn new(path: &str, read: &[String], write: &[String]) -> Result<Self, RuleError> {
        let segment = |text| {
            Ok::<_, RuleError>(match text {
                "*" => Segment::Any,
                "{site}" => Segment::Site,
                "{device}" => Segment::Device,
                key => Segment::Key(Key::new(key)?),
            })
        };
        let segments = path.split('/').filter(|key| !key.is_empty()).map(segment);
        let kinds = |names: &[String]| {
            names
                .iter()
                .map(|name| Kind::of(name))
                .collect::<Result<_, _>>()
        };
        Ok(Self {
            path: segments.collect::<Result<_, _>>()?,
            read: kinds(read)?,
            write: kinds(write)?,
        })
    }

    fn grants(&self, who: &Who, verb: Verb, path: &Path) -> bool {
        let kinds = match verb {
            Verb::Read => &self.read,
            Verb::Write => &self.write,
        };
        kinds.contains(&who.kind())
            && who.may(verb)
            && self.path.len() <= path.keys().len()
            && self.binds(who)
            && (self.path.iter().zip(path.keys())).all(|(segment, key)| segment.is(who, key))
    }

    /// Whether what the rule means is of the site of who asks: a device's place is, where the site's
    /// is beside it.
    fn binds(&self, who: &Who) -> bool {
        let sees_one_site = match who {
            Who::Device { .. } => false,
            Who::Service { site } | Who::Operator { site, .. } => site.is_some(),
        };
        let has = |segment| self.path.contains(&segment);
        !sees_one_site || has(Segment::Site) || !has(Segment::Device)
    }
}

impl Kind {
    fn of(name: &str) -> Result<Self, RuleError> {
        match name {
            "device" => Ok(Self::Device),
            "service" => Ok(Self::Service),
            "operator" => Ok(Self::Operator),
            other => Err(RuleError::Kind(other.to_owned())),
        }
    }
}

impl Who {
    fn kind(&self) -> Kind {
        match self {
            Self::Device { .. } => Kind::Device,
            Self::Service { .. } => Kind::Service,
            Self::Operator { .. } => Kind::Operator,
        }
    }

    fn may(&self, verb: Verb) -> bool {
        match self {
            Self::Device { .. } | Self::Service { .. } => true,
            Self::Operator { writes, .. } => *writes || verb == Verb::Read,
        }
    }
}

impl Segment {
    fn is(&self, who: &Who, key: &Key) -> bool {
        match (self, who) {
            (Self::Key(own), _) => own == key,
            (Self::Any, _) => true,
            (Self::Site, Who::Device { site, .. }) => site == key,
            (Self::Device, Who::Device { device, .. }) => device == key,
            (Self::Site, Who::Service { site } | Who::Operator { site, .. }) => {
                site.as_ref().is_none_or(|site| site == key)
            }
            (Self::Device, Who::Service { .. } | Who::Operator { .. }) => true,
        }
    }
}

impl Rules {
    /// These rules and no others.
    ///
    /// # Errors
    /// [`RuleError::TooMany`].
    pub fn new(rules: Vec<Rule>) -> Result<Self, RuleError> {
        if rules.len() > RULES_MAX {
            return Err(RuleError::TooMany);
        }
        Ok(Self(rules))
    }

    /// Whether `who` may do it to all that stands at `path`.
    #[must_use]
    pub fn allow(&self, who: &Who, verb: Verb, path: &Path) -> bool {
        self.0.iter().any(|rule| rule.grants(who, verb, path))
    }
}

/// The key that stands for a name: names may have dots, which keys may not.
///
/// # Errors
/// [`PathError::Key`].
pub fn key_of(name: &str) -> Result<Key, PathError> {
    Key::new(&name.replace('.', "%2E"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(&str, &str, &str)]) -> Rules {
        let names = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let rule = |(path, read, write): &(&str, &str, &str)| {
            Rule::new(path, &names(read), &names(write)).unwrap()
        };
        Rules::new(rules.iter().map(rule).collect()).unwrap()
    }

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn till() -> Who {
        Who::Device {
            device: key("till-1"),
            site: key("oslo"),
        }
    }

    fn allowed(rules: &Rules, who: &Who, verb: Verb) -> Vec<&'static str> {
        let paths = [
            "",
            "sites",
            "sites/oslo",
            "sites/oslo/tills/till-1",
            "sites/oslo/tills/till-1/state/on",
            "sites/oslo/tills/till-2",
            "sites/bergen/tills/till-1",
            "prices",
            "prices/milk",
        ];
        let may = |path: &&str| rules.allow(who, verb, &Path::read(path).unwrap());
        paths.into_iter().filter(may).collect()
    }

    #[test]
    fn a_device_sees_and_changes_what_is_granted_to_it_and_all_below() {
        let rules = rules(&[
            ("sites/{site}/tills/{device}", "device service", "device"),
            ("/prices/*", "device", "service"),
        ]);
        let own = [
            "sites/oslo/tills/till-1",
            "sites/oslo/tills/till-1/state/on",
        ];
        assert_eq!(allowed(&rules, &till(), Verb::Write), own);
        assert_eq!(
            allowed(&rules, &till(), Verb::Read),
            [own[0], own[1], "prices/milk"]
        );
        let till_2 = Who::Device {
            device: key("till-2"),
            site: key("oslo"),
        };
        assert_eq!(
            allowed(&rules, &till_2, Verb::Read),
            ["sites/oslo/tills/till-2", "prices/milk"]
        );
    }

    #[test]
    fn nothing_is_granted_that_no_rule_grants() {
        assert!(allowed(&Rules::default(), &till(), Verb::Read).is_empty());
        let everything = rules(&[("", "service", "operator")]);
        assert!(allowed(&everything, &till(), Verb::Read).is_empty());
        assert_eq!(
            allowed(&everything, &Who::Service { site: None }, Verb::Read).len(),
            9
        );
    }

    #[test]
    fn who_sees_one_site_sees_devices_only_where_the_site_is_named() {
        let oslo = Who::Service {
            site: Some(key("oslo")),
        };
        let named = rules(&[("sites/{site}/tills/{device}", "service", "")]);
        let tills = [
            "sites/oslo/tills/till-1",
            "sites/oslo/tills/till-1/state/on",
            "sites/oslo/tills/till-2",
        ];
        assert_eq!(allowed(&named, &oslo, Verb::Read), tills);
        let unnamed = rules(&[("sites/*/tills/{device}", "service", "")]);
        assert!(allowed(&unnamed, &oslo, Verb::Read).is_empty());
        assert_eq!(
            allowed(&unnamed, &Who::Service { site: None }, Verb::Read).len(),
            4
        );
    }

    #[test]
    fn an_operator_who_only_looks_on_changes_nothing() {
        let rules = rules(&[("prices", "operator", "operator")]);
        let viewer = Who::Operator {
            site: None,
            writes: false,
        };
        assert_eq!(
            allowed(&rules, &viewer, Verb::Read),
            ["prices", "prices/milk"]
        );
        assert!(allowed(&rules, &viewer, Verb::Write).is_empty());
    }

    #[test]
    fn a_rule_for_nobody_known_or_no_path_is_refused() {
        let names = |name: &str| vec![name.to_owned()];
        assert!(Rule::new("a", &names("everybody"), &[]).is_err());
        assert!(Rule::new("a.b", &[], &[]).is_err());
        assert!(Rule::new("{other]", &[], &[]).is_err());
        assert_eq!(key_of("a.b:c").unwrap().as_str(), "a%2Eb:c");
    }
}
