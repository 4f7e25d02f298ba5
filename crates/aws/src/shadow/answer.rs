//! What devices are told of a shadow, in JSON.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Part, Section, Shadow, Update, difference};

/// Why something asked of a shadow is not done: a status of HTTP, and AWS's text for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The status.
    pub code: u16,
    /// The text.
    pub message: Cow<'static, str>,
}

impl Rejected {
    /// It is no JSON object.
    pub const JSON: Self = Self::new(400, "Invalid JSON");
    /// It does not say what is to change.
    pub const NO_STATE: Self = Self::new(400, "Missing required node: state");
    /// What is to change is no object.
    pub const STATE: Self = Self::new(400, "State node must be an object");
    /// What is desired is no object.
    pub const DESIRED: Self = Self::new(400, "Desired node must be an object");
    /// What is reported is no object.
    pub const REPORTED: Self = Self::new(400, "Reported node must be an object");
    /// There is something else to change.
    pub const NODE: Self = Self::new(400, "State contains an invalid node");
    /// The version is no whole number.
    pub const VERSION: Self = Self::new(400, "Invalid version");
    /// The text by which the device knows its request is too long, or none.
    pub const TOKEN: Self = Self::new(400, "Invalid clientToken");
    /// A section is deeper than [`super::MAX_DEPTH`].
    pub const DEEP: Self = Self::new(
        400,
        "JSON contains too many levels of nesting; maximum is 8",
    );
    /// It is not allowed.
    pub const FORBIDDEN: Self = Self::new(403, "Forbidden");
    /// The shadow has another version.
    pub const CONFLICT: Self = Self::new(409, "Version conflict");
    /// It, or what would come of it, has more than [`super::MAX_BYTES`].
    pub const TOO_LARGE: Self = Self::new(413, "The payload exceeds the maximum size allowed");
    /// It comes too soon after others.
    pub const TOO_MANY: Self = Self::new(429, "Too many requests");
    /// Something of the hub's is wrong.
    pub const FAILED: Self = Self::new(500, "Internal service failure");

    const fn new(code: u16, message: &'static str) -> Self {
        Self {
            code,
            message: Cow::Borrowed(message),
        }
    }

    /// There is no such shadow.
    #[must_use]
    pub fn not_found(name: &str) -> Self {
        Self {
            code: 404,
            message: format!("No shadow exists with name: '{name}'").into(),
        }
    }

    /// That it is not done, for who knows the request by `token`, at `now` (seconds since 1970).
    #[must_use]
    pub fn body(&self, token: Option<&str>, now: i64) -> Value {
        let body = json!({"code": self.code, "message": self.message, "timestamp": now});
        with_token(body, token)
    }
}

impl Shadow<'_> {
    fn sections(&self) -> [(&'static str, Section<'_>); 2] {
        [("desired", self.desired), ("reported", self.reported)]
    }

    fn state(&self) -> Map<String, Value> {
        let filled = self.filled();
        let state = filled.map(|(name, section)| (name.to_owned(), section.document.clone()));
        state.collect()
    }

    fn metadata(&self) -> Map<String, Value> {
        let times = self.filled().map(|(name, section)| {
            let times = times(section.document, section.changed);
            (name.to_owned(), times)
        });
        times.collect()
    }

    /// A section in which nothing stands is left out.
    fn filled(&self) -> impl Iterator<Item = (&'static str, Section<'_>)> {
        let is_filled = |section: &Section<'_>| {
            let members = section.document.as_object();
            members.is_some_and(|members| !members.is_empty())
        };
        let sections = self.sections().into_iter();
        sections.filter(move |(_, section)| is_filled(section))
    }

    fn difference(&self) -> Option<Value> {
        difference(self.desired.document, self.reported.document)
    }
}

/// A shadow, for who knows their request by `token`.
#[must_use]
pub fn accepted(shadow: &Shadow<'_>, token: Option<&str>, now: i64) -> Value {
    let mut state = shadow.state();
    if let Some(delta) = shadow.difference() {
        state.insert("delta".to_owned(), delta);
    }
    let body = json!({
        "state": state,
        "metadata": shadow.metadata(),
        "version": shadow.version,
        "timestamp": now,
    });
    with_token(body, token)
}

/// That a shadow was changed, and has this version now: with what was asked for.
#[must_use]
pub fn written(update: &Update, version: u64, token: Option<&str>, now: i64) -> Value {
    let parts = [("desired", &update.desired), ("reported", &update.reported)];
    let (mut state, mut metadata) = (Map::new(), Map::new());
    for (name, part) in parts {
        let Some(part) = part else {
            continue;
        };
        let asked = part.asked();
        if let Part::Merge(_) = part {
            metadata.insert(name.to_owned(), times(&asked, now));
        }
        state.insert(name.to_owned(), asked);
    }
    let body = json!({
        "state": state,
        "metadata": metadata,
        "version": version,
        "timestamp": now,
    });
    with_token(body, token)
}

/// That a shadow was forgotten, which had this version.
#[must_use]
pub fn removed(version: u64, token: Option<&str>, now: i64) -> Value {
    with_token(json!({"version": version, "timestamp": now}), token)
}

/// What is desired and not reported, if there is something.
#[must_use]
pub fn delta(shadow: &Shadow<'_>, now: i64) -> Option<Value> {
    let state = shadow.difference()?;
    let metadata = times(&state, shadow.desired.changed);
    Some(json!({
        "state": state,
        "metadata": metadata,
        "version": shadow.version,
        "timestamp": now,
    }))
}

/// How a shadow was before a change, and how it is.
#[must_use]
pub fn documents(
    (before, after): (&Shadow<'_>, &Shadow<'_>),
    token: Option<&str>,
    now: i64,
) -> Value {
    let document = |shadow: &Shadow<'_>| {
        json!({
            "state": shadow.state(),
            "metadata": shadow.metadata(),
            "version": shadow.version,
        })
    };
    let body = json!({
        "previous": document(before),
        "current": document(after),
        "timestamp": now,
    });
    with_token(body, token)
}

/// The same shape with a time for each leaf.
fn times(document: &Value, changed: i64) -> Value {
    match document {
        Value::Object(members) => {
            let times = members.iter().filter(|(_, member)| !member.is_null());
            let times = times.map(|(name, member)| (name.clone(), times_of(member, changed)));
            times.collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            times_of(document, changed)
        }
    }
}

fn times_of(member: &Value, changed: i64) -> Value {
    match member {
        Value::Object(_) => times(member, changed),
        Value::Array(items) => items.iter().map(|item| times_of(item, changed)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            json!({ "timestamp": changed })
        }
    }
}

fn with_token(mut body: Value, token: Option<&str>) -> Value {
    if let (Some(members), Some(token)) = (body.as_object_mut(), token) {
        members.insert("clientToken".to_owned(), json!(token));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_is_told_with_its_times_and_what_differs() {
        let (desired, reported) = (
            json!({"lamp": "on", "n": {"x": [1]}}),
            json!({"lamp": "off"}),
        );
        let shadow = shadow(&desired, &reported);
        let told = json!({
            "state": {"desired": desired, "reported": reported, "delta": desired},
            "metadata": {
                "desired": {"lamp": {"timestamp": 5}, "n": {"x": [{"timestamp": 5}]}},
                "reported": {"lamp": {"timestamp": 6}},
            },
            "version": 3,
            "timestamp": 9,
            "clientToken": "t",
        });
        assert_eq!(accepted(&shadow, Some("t"), 9), told);
        let told = json!({
            "state": desired,
            "metadata": told["metadata"]["desired"],
            "version": 3,
            "timestamp": 9,
        });
        assert_eq!(delta(&shadow, 9), Some(told));
    }

    #[test]
    fn nothing_is_told_of_a_difference_where_there_is_none() {
        let (desired, reported) = (json!({}), json!({"a": 1}));
        let shadow = shadow(&desired, &reported);
        assert_eq!(delta(&shadow, 9), None);
        let told = accepted(&shadow, None, 9);
        assert_eq!(told["state"], json!({"reported": {"a": 1}}));
        assert_eq!(told.get("clientToken"), None);
    }

    #[test]
    fn a_change_is_told_as_it_was_asked_for() {
        let update = Update {
            desired: Some(Part::Clear),
            reported: Some(Part::Merge(json!({"a": null, "b": 1}))),
            version: None,
        };
        let told = json!({
            "state": {"desired": null, "reported": {"a": null, "b": 1}},
            "metadata": {"reported": {"b": {"timestamp": 9}}},
            "version": 4,
            "timestamp": 9,
        });
        assert_eq!(written(&update, 4, None, 9), told);
    }

    #[test]
    fn a_change_is_told_with_what_was_before() {
        let (none, one) = (json!({}), json!({"a": 1}));
        let told = documents((&shadow(&none, &none), &shadow(&none, &one)), Some("t"), 9);
        assert_eq!(told["previous"]["state"], json!({}));
        assert_eq!(told["current"]["state"], json!({"reported": {"a": 1}}));
        assert_eq!(told["clientToken"], "t");
    }

    #[test]
    fn a_refusal_is_told_in_the_words_that_devices_know() {
        let told = json!({
            "code": 404, "message": "No shadow exists with name: 'lamp'", "timestamp": 9,
            "clientToken": "t",
        });
        assert_eq!(Rejected::not_found("lamp").body(Some("t"), 9), told);
    }

    fn shadow<'a>(desired: &'a Value, reported: &'a Value) -> Shadow<'a> {
        Shadow {
            desired: Section {
                document: desired,
                changed: 5,
            },
            reported: Section {
                document: reported,
                changed: 6,
            },
            version: 3,
        }
    }
}
