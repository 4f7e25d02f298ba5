//! What a device may do, in the form of AWS IoT Core's policy documents ("AWS IoT Core policies").
//!
//! A subset: `Version` 2012-10-17, statements with `Effect`, `Action` and `Resource`, the actions of
//! MQTT, wildcards `*` and `?`, and the variables that are known before anything is asked
//! ([`Names`]). What is not in it (`Condition`, `NotAction`, `NotResource`, other actions and
//! variables) refuses the document, so that none means less than it says.
//!
//! Nothing is allowed that no statement allows, and what one denies no other allows.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// The most bytes of a document: AWS's own limit is 2,048 characters, and larger ones are made here
/// by those who have no such limit.
pub const MAX_DOCUMENT: usize = 16 * 1024;

/// The most statements of a document, and resources of a statement.
pub const MAX_STATEMENTS: usize = 64;

/// The only version.
const VERSION: &str = "2012-10-17";

/// A document that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(Vec<Statement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<Pattern>,
}

/// What a device asks to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// To connect under a client identifier.
    Connect(&'a str),
    /// To publish to a topic.
    Publish(&'a str),
    /// To publish to a topic, and have it retained.
    RetainPublish(&'a str),
    /// To be given what is published to a topic.
    Receive(&'a str),
    /// To subscribe to a topic filter.
    Subscribe(&'a str),
}

/// The names that a document's variables stand for.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// `${iot:ClientId}`: the client identifier of the connection.
    pub client_id: &'a str,
    /// `${iot:Connection.Thing.ThingName}`: the device.
    pub thing: &'a str,
}

/// Why a document is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is too long.
    #[error("the policy has more than {MAX_DOCUMENT} bytes")]
    TooLong,
    /// It is no policy document, or has parts that are not offered.
    #[error("the policy is no document of the parts that are offered")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("the policy's version must be \"{VERSION}\"")]
    Version,
    /// It has too many statements, or a statement has too many actions or resources, or none.
    #[error("the policy has more than {MAX_STATEMENTS} statements, actions or resources, or none")]
    Many,
    /// An action is none that is offered.
    #[error("`{0}` is no action that is offered")]
    Action(String),
    /// A resource is none that is offered.
    #[error("`{0}` is no resource that is offered")]
    Resource(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    version: String,
    #[serde(deserialize_with = "one_or_more")]
    statement: Vec<Written>,
    #[serde(rename = "Id", default)]
    _id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Written {
    effect: Effect,
    #[serde(deserialize_with = "one_or_more")]
    action: Vec<String>,
    #[serde(deserialize_with = "one_or_more")]
    resource: Vec<String>,
    #[serde(rename = "Sid", default)]
    _sid: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    More(Vec<T>),
    One(T),
}

fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    OneOrMore::deserialize(from).map(|read| match read {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(more) => more,
    })
}

/// The actions that are offered.
const ACTIONS: [&str; 7] = [
    "*",
    "iot:*",
    "iot:Connect",
    "iot:Publish",
    "iot:RetainPublish",
    "iot:Receive",
    "iot:Subscribe",
];

/// The kinds of resources that are offered.
const KINDS: [&str; 3] = ["client", "topic", "topicfilter"];

impl Action<'_> {
    /// What it is called in a document.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "iot:Connect",
            Self::Publish(_) => "iot:Publish",
            Self::RetainPublish(_) => "iot:RetainPublish",
            Self::Receive(_) => "iot:Receive",
            Self::Subscribe(_) => "iot:Subscribe",
        }
    }

    /// What it is done to, as an ARN's last part has it.
    fn resource(&self) -> String {
        match self {
            Self::Connect(client) => format!("client/{client}"),
            Self::Publish(topic) | Self::RetainPublish(topic) | Self::Receive(topic) => {
                format!("topic/{topic}")
            }
            Self::Subscribe(filter) => format!("topicfilter/{filter}"),
        }
    }
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_DOCUMENT {
            return Err(PolicyError::TooLong);
        }
        let document: Document = serde_json::from_str(text)?;
        if document.version != VERSION {
            return Err(PolicyError::Version);
        }
        few(&document.statement)?;
        let statements = document.statement.into_iter().map(Statement::read);
        statements.collect::<Result<_, _>>().map(Self)
    }

    /// Whether `action` is allowed to who has these names.
    #[must_use]
    pub fn allows(&self, action: Action<'_>, names: Names<'_>) -> bool {
        let resource = action.resource();
        let mut allowed = false;
        for statement in &self.0 {
            if statement.speaks_of(action.name(), &resource, names) {
                if !statement.allows {
                    return false;
                }
                allowed = true;
            }
        }
        allowed
    }
}

impl Statement {
    fn read(written: Written) -> Result<Self, PolicyError> {
        few(&written.action)?;
        few(&written.resource)?;
        let unknown = |action: &&String| !ACTIONS.contains(&action.as_str());
        if let Some(action) = written.action.iter().find(unknown) {
            return Err(PolicyError::Action(action.clone()));
        }
        let resources = written.resource.iter().map(|text| Pattern::of_arn(text));
        Ok(Self {
            allows: written.effect == Effect::Allow,
            resources: resources.collect::<Result<_, _>>()?,
            actions: written.action,
        })
    }

    fn speaks_of(&self, action: &str, resource: &str, names: Names<'_>) -> bool {
        let named = |its: &String| its == action || its == "*" || its == "iot:*";
        self.actions.iter().any(named)
            && self
                .resources
                .iter()
                .any(|pattern| pattern.matches(resource, names))
    }
}

fn few<T>(list: &[T]) -> Result<(), PolicyError> {
    if (1..=MAX_STATEMENTS).contains(&list.len()) {
        Ok(())
    } else {
        Err(PolicyError::Many)
    }
}

/// A resource with wildcards and variables.
#[derive(Clone, PartialEq, Eq)]
struct Pattern(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    /// This character.
    Exactly(char),
    /// Any one character.
    One,
    /// Any number of any characters.
    Any,
    /// The client identifier.
    ClientId,
    /// The device.
    Thing,
}

impl Pattern {
    /// Reads a resource: `*`, or an ARN of IoT Core. Region and account are taken as they are: a hub
    /// has neither.
    fn of_arn(text: &str) -> Result<Self, PolicyError> {
        let wrong = || PolicyError::Resource(text.to_owned());
        if text == "*" {
            return Ok(Self(vec![Piece::Any]));
        }
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().ok_or_else(wrong);
        if part()? != "arn" || !part()?.starts_with("aws") || part()? != "iot" {
            return Err(wrong());
        }
        let (_region, _account, resource) = (part()?, part()?, part()?);
        let kind = resource.split_once('/').map_or(resource, |(kind, _)| kind);
        if resource != "*" && !KINDS.contains(&kind) {
            return Err(wrong());
        }
        Self::of(resource).ok_or_else(wrong)
    }

    fn of(mut text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        while let Some(first) = text.chars().next() {
            let (piece, length) = if text.starts_with("${") {
                let (name, _) = text.get(2..)?.split_once('}')?;
                let piece = match name {
                    "iot:ClientId" => Piece::ClientId,
                    "iot:Connection.Thing.ThingName" => Piece::Thing,
                    // How a document writes the wildcards themselves.
                    "*" => Piece::Exactly('*'),
                    "?" => Piece::Exactly('?'),
                    "$" => Piece::Exactly('$'),
                    _ => return None,
                };
                (piece, name.len() + "${}".len())
            } else {
                let piece = match first {
                    '*' => Piece::Any,
                    '?' => Piece::One,
                    other => Piece::Exactly(other),
                };
                (piece, first.len_utf8())
            };
            pieces.push(piece);
            text = text.get(length..)?;
        }
        Some(Self(pieces))
    }

    /// Whether `text` is one that the pattern means. Takes time by the product of both lengths at
    /// the most.
    fn matches(&self, text: &str, names: Names<'_>) -> bool {
        let pieces: Vec<Piece> = self.0.iter().flat_map(|piece| piece.named(names)).collect();
        let text: Vec<char> = text.chars().collect();
        // The classic walk: on a mismatch, the last `*` takes one character more.
        let (mut at, mut piece) = (0, 0);
        let mut last: Option<(usize, usize)> = None;
        while at < text.len() {
            match (pieces.get(piece), text.get(at)) {
                (Some(Piece::Any), _) => {
                    last = Some((piece, at));
                    piece += 1;
                }
                (Some(Piece::One), _) => (at, piece) = (at + 1, piece + 1),
                (Some(Piece::Exactly(c)), Some(its)) if c == its => {
                    (at, piece) = (at + 1, piece + 1);
                }
                _ => {
                    let Some((any, taken)) = last else {
                        return false;
                    };
                    last = Some((any, taken + 1));
                    (at, piece) = (taken + 1, any + 1);
                }
            }
        }
        pieces.iter().skip(piece).all(|piece| *piece == Piece::Any)
    }
}

impl Piece {
    /// What it stands for under these names: a wildcard in a name is none.
    fn named(&self, names: Names<'_>) -> Vec<Self> {
        let exactly = |text: &str| text.chars().map(Self::Exactly).collect();
        match self {
            Self::ClientId => exactly(names.client_id),
            Self::Thing => exactly(names.thing),
            Self::Exactly(_) | Self::One | Self::Any => vec![self.clone()],
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Exactly(c) => write!(f, "{c}"),
            Piece::One => f.write_str("?"),
            Piece::Any => f.write_str("*"),
            Piece::ClientId => f.write_str("${iot:ClientId}"),
            Piece::Thing => f.write_str("${iot:Connection.Thing.ThingName}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const FORT: Names<'_> = Names {
        client_id: "fort-7",
        thing: "fort-7",
    };

    fn policy(statements: &serde_json::Value) -> Result<Policy, PolicyError> {
        let document = json!({"Version": VERSION, "Statement": statements});
        Policy::parse(&document.to_string())
    }

    fn arn(resource: &str) -> String {
        format!("arn:aws:iot:eu-north-1:123456789012:{resource}")
    }

    fn allow(action: &str, resource: &str) -> serde_json::Value {
        json!({"Effect": "Allow", "Action": action, "Resource": arn(resource)})
    }

    #[test]
    fn nothing_is_allowed_that_no_statement_allows() {
        let policy = policy(&json!([
            allow("iot:Connect", "client/${iot:ClientId}"),
            allow(
                "iot:Publish",
                "topic/forts/${iot:Connection.Thing.ThingName}/*"
            ),
            allow("iot:Subscribe", "topicfilter/forts/+/reload"),
        ]))
        .unwrap();
        let may = |action| policy.allows(action, FORT);
        assert!(may(Action::Connect("fort-7")));
        assert!(!may(Action::Connect("fort-8")));
        assert!(may(Action::Publish("forts/fort-7/done/1")));
        assert!(!may(Action::Publish("forts/fort-8/done")));
        assert!(!may(Action::RetainPublish("forts/fort-7/done")));
        assert!(!may(Action::Receive("forts/fort-7/done")));
        assert!(may(Action::Subscribe("forts/+/reload")));
        assert!(!may(Action::Subscribe("forts/#")));
    }

    #[test]
    fn what_one_statement_denies_no_other_allows() {
        let statements = json!([
            {"Effect": "Deny", "Action": ["iot:Publish"], "Resource": [arn("topic/secret/*")]},
            {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
        ]);
        let policy = policy(&statements).unwrap();
        assert!(policy.allows(Action::Publish("open/1"), FORT));
        assert!(!policy.allows(Action::Publish("secret/1"), FORT));
        assert!(policy.allows(Action::Receive("secret/1"), FORT));
    }

    #[test]
    fn a_wildcard_in_a_name_is_none() {
        let policy = policy(&allow("iot:Publish", "topic/${iot:ClientId}")).unwrap();
        let star = Names {
            client_id: "*",
            thing: "*",
        };
        assert!(policy.allows(Action::Publish("*"), star));
        assert!(!policy.allows(Action::Publish("anything"), star));
    }

    #[test]
    fn a_resource_of_one_kind_is_none_of_another() {
        let policy = policy(&allow("iot:*", "topic/a")).unwrap();
        assert!(policy.allows(Action::Publish("a"), FORT));
        assert!(!policy.allows(Action::Subscribe("a"), FORT));
        assert!(!policy.allows(Action::Connect("a"), FORT));
    }

    #[test]
    fn what_is_not_offered_refuses_the_document() {
        let right = allow("iot:Publish", "topic/a");
        let with = |name: &str, value: serde_json::Value| {
            let mut statement = right.clone();
            statement[name] = value;
            policy(&json!([statement])).unwrap_err().to_string()
        };
        let parts = "the policy is no document of the parts that are offered";
        assert_eq!(with("Condition", json!({})), parts);
        assert_eq!(with("NotAction", json!("iot:Publish")), parts);
        assert_eq!(with("Effect", json!("allow")), parts);
        assert_eq!(
            with("Action", json!("iot:DeleteThing")),
            "`iot:DeleteThing` is no action that is offered"
        );
        for resource in [
            "topic/a".to_owned(),
            arn("thing/a"),
            arn("topic/${iot:Certificate.Subject.CommonName}"),
            arn("topic/${"),
            "arn:aws:s3:::bucket".to_owned(),
        ] {
            let said = with("Resource", json!(resource));
            assert_eq!(said, format!("`{resource}` is no resource that is offered"));
        }
        assert!(matches!(policy(&json!([])), Err(PolicyError::Many)));
        let old = json!({"Version": "2008-10-17", "Statement": right}).to_string();
        assert!(matches!(Policy::parse(&old), Err(PolicyError::Version)));
        let long = " ".repeat(MAX_DOCUMENT + 1);
        assert!(matches!(Policy::parse(&long), Err(PolicyError::TooLong)));
    }

    proptest! {
        #[test]
        fn wildcards_mean_what_they_say(pattern in "[ab*?]{0,10}", text in "[ab]{0,10}") {
            let read = Pattern::of(&pattern).unwrap();
            let pattern: Vec<char> = pattern.chars().collect();
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(read.matches(&text, FORT), slowly(&pattern, &chars));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,300}") {
            let _ = Policy::parse(&text);
            let _ = Pattern::of_arn(&text);
        }
    }

    /// The same by trying everything.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(('*', rest)), _) => (0..=text.len()).any(|taken| slowly(rest, &text[taken..])),
            (Some(('?', rest)), Some((_, more))) => slowly(rest, more),
            (Some((c, rest)), Some((its, more))) => c == its && slowly(rest, more),
            (Some(_), None) => false,
        }
    }
}
