//! What devices ask of a shadow, in JSON.

use serde_json::{Map, Value};

use super::{MAX_BYTES, MAX_DEPTH, MAX_TOKEN, Rejected, Verb};

/// What is asked of a shadow.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// To tell it.
    Get,
    /// To change it.
    Update(Update),
    /// To forget it, if it has this version.
    Delete(Option<u64>),
}

/// A change of a shadow.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Of what is desired.
    pub desired: Option<Part>,
    /// Of what is reported.
    pub reported: Option<Part>,
    /// Which version it has to have.
    pub version: Option<u64>,
}

/// A change of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// These members are set, and those that are `null` are removed: an object.
    Merge(Value),
    /// All members are removed.
    Clear,
}

impl Request {
    /// Reads a request, and the text by which the device knows it: that is there although the
    /// request is refused, if it could be made out. Who asks for a shadow or forgets it may say
    /// nothing at all.
    pub fn read(verb: Verb, payload: &[u8]) -> (Option<String>, Result<Self, Rejected>) {
        let (token, members) = match members_of(verb, payload) {
            Ok(read) => read,
            Err(rejected) => return (None, Err(rejected)),
        };
        (token, Self::of(verb, members))
    }

    fn of(verb: Verb, mut members: Map<String, Value>) -> Result<Self, Rejected> {
        let version = match members.get("version") {
            None | Some(Value::Null) => None,
            Some(version) => Some(version.as_u64().ok_or(Rejected::VERSION)?),
        };
        match verb {
            Verb::Get => Ok(Self::Get),
            Verb::Delete => Ok(Self::Delete(version)),
            Verb::Update => {
                let state = match members.remove("state") {
                    None | Some(Value::Null) => return Err(Rejected::NO_STATE),
                    Some(Value::Object(state)) => state,
                    Some(_) => return Err(Rejected::STATE),
                };
                Update::of(state, version).map(Self::Update)
            }
        }
    }
}

impl Update {
    fn of(mut state: Map<String, Value>, version: Option<u64>) -> Result<Self, Rejected> {
        let desired = part(state.remove("desired"), Rejected::DESIRED)?;
        let reported = part(state.remove("reported"), Rejected::REPORTED)?;
        if !state.is_empty() {
            return Err(Rejected::NODE);
        }
        Ok(Self {
            desired,
            reported,
            version,
        })
    }
}

impl Part {
    /// The change as it was asked for.
    pub(super) fn asked(&self) -> Value {
        match self {
            Self::Merge(patch) => patch.clone(),
            Self::Clear => Value::Null,
        }
    }
}

type Members = (Option<String>, Map<String, Value>);

fn members_of(verb: Verb, payload: &[u8]) -> Result<Members, Rejected> {
    if payload.len() > MAX_BYTES {
        return Err(Rejected::TOO_LARGE);
    }
    let may_be_empty = match verb {
        Verb::Get | Verb::Delete => true,
        Verb::Update => false,
    };
    if payload.is_empty() && may_be_empty {
        return Ok((None, Map::new()));
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(payload) else {
        return Err(Rejected::JSON);
    };
    let token = match members.get("clientToken") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) if token.len() <= MAX_TOKEN => Some(token.clone()),
        Some(_) => return Err(Rejected::TOKEN),
    };
    Ok((token, members))
}

fn part(section: Option<Value>, wrong: Rejected) -> Result<Option<Part>, Rejected> {
    match section {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(Part::Clear)),
        Some(patch @ Value::Object(_)) if within(&patch, MAX_DEPTH) => Ok(Some(Part::Merge(patch))),
        Some(Value::Object(_)) => Err(Rejected::DEEP),
        Some(_) => Err(wrong),
    }
}

/// Whether `value` is at most `depth` deep.
fn within(value: &Value, depth: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(_) | Value::Object(_) if depth == 0 => false,
        Value::Array(items) => items.iter().all(|item| within(item, depth - 1)),
        Value::Object(members) => members.values().all(|member| within(member, depth - 1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(verb: Verb, payload: &str, token: Option<&str>, why: &Rejected) {
        let (found, request) = Request::read(verb, payload.as_bytes());
        assert_eq!(found.as_deref(), token, "{payload}");
        assert_eq!(request.as_ref(), Err(why), "{payload}");
    }

    #[test]
    fn an_update_changes_the_sections_that_it_names() {
        let payload = json!({
            "state": {"desired": null, "reported": {"a": null, "b": {"c": 1}}},
            "version": 4,
            "clientToken": "t-1",
        });
        let (token, request) = Request::read(Verb::Update, payload.to_string().as_bytes());
        assert_eq!(token.as_deref(), Some("t-1"));
        let expected = Update {
            desired: Some(Part::Clear),
            reported: Some(Part::Merge(json!({"a": null, "b": {"c": 1}}))),
            version: Some(4),
        };
        assert_eq!(request, Ok(Request::Update(expected)));
    }

    #[test]
    fn who_asks_for_a_shadow_or_forgets_it_may_say_nothing() {
        for (payload, token) in [
            ("", None),
            ("{}", None),
            (r#"{"clientToken":"t"}"#, Some("t")),
        ] {
            let (found, request) = Request::read(Verb::Get, payload.as_bytes());
            assert_eq!((found.as_deref(), request), (token, Ok(Request::Get)));
            let (found, request) = Request::read(Verb::Delete, payload.as_bytes());
            let forgotten = Ok(Request::Delete(None));
            assert_eq!((found.as_deref(), request), (token, forgotten));
        }
    }

    #[test]
    fn what_is_no_request_is_refused_and_known_by_its_token_where_it_has_one() {
        for verb in [Verb::Get, Verb::Update, Verb::Delete] {
            for payload in ["{", "[]", "null", "\"text\"", "\u{0}"] {
                refused(verb, payload, None, &Rejected::JSON);
            }
            let long = format!(r#"{{"clientToken":"{}"}}"#, "x".repeat(MAX_TOKEN + 1));
            refused(verb, &long, None, &Rejected::TOKEN);
            refused(verb, r#"{"clientToken":1}"#, None, &Rejected::TOKEN);
            let large = format!(r#"{{"state":"{}"}}"#, "x".repeat(MAX_BYTES));
            refused(verb, &large, None, &Rejected::TOO_LARGE);
        }
        refused(Verb::Update, "", None, &Rejected::JSON);
        for (members, why) in [
            ("", Rejected::NO_STATE),
            (r#","state":null"#, Rejected::NO_STATE),
            (r#","state":[]"#, Rejected::STATE),
            (r#","state":{"desired":1}"#, Rejected::DESIRED),
            (r#","state":{"reported":[]}"#, Rejected::REPORTED),
            (r#","state":{"delta":{}}"#, Rejected::NODE),
            (r#","state":{},"version":-1"#, Rejected::VERSION),
            (r#","state":{},"version":"1""#, Rejected::VERSION),
        ] {
            let payload = format!(r#"{{"clientToken":"t"{members}}}"#);
            refused(Verb::Update, &payload, Some("t"), &why);
        }
    }

    #[test]
    fn a_section_has_its_depth() {
        let nested = |depth: usize| {
            let section = (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
            json!({"state": {"reported": section}}).to_string()
        };
        let (_, fits) = Request::read(Verb::Update, nested(MAX_DEPTH).as_bytes());
        assert!(fits.is_ok());
        refused(Verb::Update, &nested(MAX_DEPTH + 1), None, &Rejected::DEEP);
        let deep = "[".repeat(4_000);
        refused(Verb::Update, &deep, None, &Rejected::JSON);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            for verb in [Verb::Get, Verb::Update, Verb::Delete] {
                let _ = Request::read(verb, &payload);
            }
        }
    }
}
