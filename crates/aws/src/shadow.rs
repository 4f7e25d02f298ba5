//! Device shadows over MQTT ("AWS IoT Device Shadow service"): what devices ask of them, and what
//! they are told.
//!
//! A shadow has two sections, what is desired of the device and what it has reported, and one
//! version. Whoever keeps it passes it in; each leaf has the time at which its section has last
//! changed, where AWS has one of its own for each.

mod answer;
mod request;

use serde_json::{Map, Value};

pub use self::answer::{Rejected, accepted, delta, documents, removed, written};
pub use self::request::{Part, Request, Update};

/// The most bytes of a request, and of what a shadow has in both sections.
pub const MAX_BYTES: usize = 8 * 1024;

/// How deep objects and arrays of a section may lie in one another; the section is the first.
pub const MAX_DEPTH: usize = 8;

/// The most bytes of the text by which a device knows its request.
pub const MAX_TOKEN: usize = 64;

/// What is asked of a shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// To tell it.
    Get,
    /// To change it.
    Update,
    /// To forget it.
    Delete,
}

/// Which shadow of which device is meant, by the topics of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// The device.
    pub thing: &'a str,
    /// The shadow's name; none has the classic one.
    pub name: Option<&'a str>,
}

/// A section of a shadow.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// What is in it: an object.
    pub document: &'a Value,
    /// When it last changed, in seconds since 1970.
    pub changed: i64,
}

/// A shadow.
#[derive(Clone, Copy, Debug)]
pub struct Shadow<'a> {
    /// What is wanted of the device.
    pub desired: Section<'a>,
    /// What it says.
    pub reported: Section<'a>,
    /// Goes up with each change.
    pub version: u64,
}

impl Verb {
    /// Its level of a topic.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Get, Self::Update, Self::Delete]
            .into_iter()
            .find(|verb| verb.word() == word)
    }
}

impl<'a> Address<'a> {
    /// What is asked by a publish to `topic`, and of which shadow; `None` for every other topic.
    #[must_use]
    pub fn asked(topic: &'a str) -> Option<(Self, Verb)> {
        let below = topic.strip_prefix("$aws/things/")?;
        let (thing, rest) = below.split_once('/')?;
        let rest = rest.strip_prefix("shadow/")?;
        let (name, verb) = match rest.strip_prefix("name/") {
            Some(named) => {
                let (name, verb) = named.split_once('/')?;
                (Some(name), verb)
            }
            None => (None, rest),
        };
        let is_named = !thing.is_empty() && name != Some("");
        Some((Self { thing, name }, Verb::of(verb)?)).filter(|_| is_named)
    }

    /// Where it is told that something asked was done.
    #[must_use]
    pub fn accepted(&self, verb: Verb) -> String {
        self.topic(&format!("{}/accepted", verb.word()))
    }

    /// Where it is told that something asked was not done.
    #[must_use]
    pub fn rejected(&self, verb: Verb) -> String {
        self.topic(&format!("{}/rejected", verb.word()))
    }

    /// Where it is told what is desired and not reported.
    #[must_use]
    pub fn delta(&self) -> String {
        self.topic("update/delta")
    }

    /// Where it is told how the shadow was before a change, and how it is.
    #[must_use]
    pub fn documents(&self) -> String {
        self.topic("update/documents")
    }

    fn topic(&self, rest: &str) -> String {
        let thing = self.thing;
        match self.name {
            Some(name) => format!("$aws/things/{thing}/shadow/name/{name}/{rest}"),
            None => format!("$aws/things/{thing}/shadow/{rest}"),
        }
    }
}

/// What is desired and not reported so: with all that lies around it, and nothing of what was
/// reported beside it. `None` when there is nothing.
#[must_use]
pub fn difference(desired: &Value, reported: &Value) -> Option<Value> {
    let (Some(wanted), Some(said)) = (desired.as_object(), reported.as_object()) else {
        return (desired != reported).then(|| desired.clone());
    };
    let differing = wanted.iter().filter_map(|(name, value)| {
        let differs = match said.get(name) {
            Some(said) => difference(value, said)?,
            None => value.clone(),
        };
        Some((name.clone(), differs))
    });
    let differing: Map<String, Value> = differing.collect();
    (!differing.is_empty()).then_some(Value::Object(differing))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_topic_says_what_is_asked_of_which_shadow() {
        let classic = Address {
            thing: "fort",
            name: None,
        };
        let named = Address {
            thing: "fort",
            name: Some("lamp"),
        };
        for (topic, expected) in [
            ("$aws/things/fort/shadow/get", Some((classic, Verb::Get))),
            (
                "$aws/things/fort/shadow/update",
                Some((classic, Verb::Update)),
            ),
            (
                "$aws/things/fort/shadow/name/lamp/delete",
                Some((named, Verb::Delete)),
            ),
            ("$aws/things/fort/shadow/get/accepted", None),
            ("$aws/things/fort/shadow/name/lamp", None),
            ("$aws/things/fort/shadow/name//get", None),
            ("$aws/things/fort/shadow/name/a/b/get", None),
            ("$aws/things//shadow/get", None),
            ("$aws/things/fort/shadow/list", None),
            ("$aws/things/fort/jobs/get", None),
            ("aws/things/fort/shadow/get", None),
        ] {
            assert_eq!(Address::asked(topic), expected, "{topic}");
        }
        let accepted = named.accepted(Verb::Get);
        assert_eq!(accepted, "$aws/things/fort/shadow/name/lamp/get/accepted");
        assert_eq!(classic.delta(), "$aws/things/fort/shadow/update/delta");
    }

    #[test]
    fn the_difference_is_what_is_desired_and_not_reported_so() {
        for (desired, reported, expected) in [
            (json!({}), json!({"a": 1}), None),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), None),
            (json!({"a": 1}), json!({}), Some(json!({"a": 1}))),
            (json!({"a": 1}), json!({"a": 1.5}), Some(json!({"a": 1}))),
            (
                json!({"a": {"b": 1, "c": 2}}),
                json!({"a": {"b": 1}}),
                Some(json!({"a": {"c": 2}})),
            ),
            (json!({"a": {}}), json!({"a": {"b": 1}}), None),
            (
                json!({"a": [1, 2]}),
                json!({"a": [1, 3]}),
                Some(json!({"a": [1, 2]})),
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": 1}),
                Some(json!({"a": {"b": 1}})),
            ),
        ] {
            assert_eq!(difference(&desired, &reported), expected, "{desired}");
        }
    }
}
