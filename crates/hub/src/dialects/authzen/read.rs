//! What is asked, in the form of AuthZEN's requests.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use outgate_core::id::MAX_NAME;
use outgate_core::spaces::{MAX_QUESTIONS, MAX_USER, Question};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use crate::api::{Kind, Problem};

/// What a subject's type is, and a resource's.
const USER: &str = "user";
const SPACE: &str = "space";

/// An object that nobody here looks into.
type Unread = BTreeMap<String, IgnoredAny>;

/// Whether a user may do something.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = AccessEvaluation)]
pub(super) struct Evaluation {
    /// Who.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    subject: Option<Entity>,
    /// What.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    action: Option<Action>,
    /// Where.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    resource: Option<Entity>,
    /// What else is so; nothing here looks at it.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "that it is an object is all that counts")]
    context: Option<Unread>,
}

/// Whether users may do several things.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AccessEvaluations)]
pub(super) struct Evaluations {
    /// Who, where an evaluation does not say it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    subject: Option<Entity>,
    /// What, where an evaluation does not say it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    action: Option<Action>,
    /// Where, where an evaluation does not say it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    resource: Option<Entity>,
    /// What else is so; nothing here looks at it.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "that it is an object is all that counts")]
    context: Option<Unread>,
    /// The questions; when there are none what stands beside them is the only one.
    #[serde(default, deserialize_with = "few")]
    #[schema(max_items = 100)]
    evaluations: Vec<Evaluation>,
    /// How they are to be answered.
    #[schema(value_type = Option<Options>)]
    options: Option<Whole<Options>>,
}

/// A user or a space.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = AccessEntity)]
struct Entity {
    /// `user` for a subject, `space` for a resource.
    #[serde(rename = "type")]
    #[schema(example = "user")]
    kind: String,
    /// Its name.
    #[schema(example = "ann@example.com")]
    id: String,
    /// What else is known of it; nothing here looks at it.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "that it is an object is all that counts")]
    properties: Option<Unread>,
}

/// What somebody wants to do.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = AccessAction)]
struct Action {
    /// Its name, as roles of spaces have it.
    #[schema(example = "reload")]
    name: String,
    /// What else is known of it; nothing here looks at it.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "that it is an object is all that counts")]
    properties: Option<Unread>,
}

/// How several questions are answered.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = AccessOptions)]
struct Options {
    /// Which answer is the last.
    #[serde(default)]
    evaluations_semantic: Semantic,
}

/// Which answer is the last (§7.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AccessSemantic)]
pub(super) enum Semantic {
    /// That of the last question.
    #[default]
    ExecuteAll,
    /// The first denial.
    DenyOnFirstDeny,
    /// The first permission.
    PermitOnFirstPermit,
}

/// Questions, each with what it says itself.
pub(super) struct Given {
    pub(super) evaluations: Vec<Evaluation>,
    pub(super) semantic: Semantic,
}

/// A question, or what is denied without asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Question(Question),
    /// Why it is.
    Denied(&'static str),
}

impl Evaluations {
    /// The questions, and what they say that do not say it themselves.
    pub(super) fn parts(self) -> (Given, Evaluation) {
        let defaults = Evaluation {
            subject: self.subject,
            action: self.action,
            resource: self.resource,
            context: None,
        };
        let options = self.options.map(|options| options.0).unwrap_or_default();
        let given = Given {
            evaluations: self.evaluations,
            semantic: options.evaluations_semantic,
        };
        (given, defaults)
    }
}

impl Semantic {
    /// The place of the last answer, if it is not that of the last question.
    pub(super) fn last(self, mut decisions: impl Iterator<Item = bool>) -> Option<usize> {
        match self {
            Self::ExecuteAll => None,
            Self::DenyOnFirstDeny => decisions.position(|permitted| !permitted),
            Self::PermitOnFirstPermit => decisions.position(|permitted| permitted),
        }
    }
}

impl Asked {
    /// What one of a list asks, with the `defaults` for what it does not say: what neither says is
    /// that question's own mistake, and denied (§7.2.1).
    pub(super) fn of_list(one: Evaluation, defaults: &Evaluation) -> Self {
        Self::of(one, defaults).unwrap_or(Self::Denied("incomplete"))
    }

    /// What `one` asks, with the `defaults` for what it does not say.
    ///
    /// # Errors
    /// A problem when neither says who, what or where (§10.1.1: a bad request).
    pub(super) fn of(one: Evaluation, defaults: &Evaluation) -> Result<Self, Problem> {
        let missing = |what: &str| Problem::new(Kind::Malformed, format!("no {what} is given"));
        let subject = one.subject.as_ref().or(defaults.subject.as_ref());
        let action = one.action.as_ref().or(defaults.action.as_ref());
        let resource = one.resource.as_ref().or(defaults.resource.as_ref());
        let subject = subject.ok_or_else(|| missing("subject"))?;
        let action = action.ok_or_else(|| missing("action"))?;
        let resource = resource.ok_or_else(|| missing("resource"))?;
        if subject.kind != USER {
            return Ok(Self::Denied("not-a-user"));
        }
        if resource.kind != SPACE {
            return Ok(Self::Denied("not-a-space"));
        }
        Ok(Self::Question(Question {
            user: name(&subject.id, MAX_USER),
            action: name(&action.name, MAX_NAME),
            space: name(&resource.id, MAX_NAME),
        }))
    }

    pub(super) fn question(&self) -> Option<&Question> {
        match self {
            Self::Question(question) => Some(question),
            Self::Denied(_) => None,
        }
    }
}

/// A copy of what may be a name, of what is too long for any the name of nothing: a default may be
/// copied for each question.
fn name(text: &str, most: usize) -> String {
    let text = if text.len() > most { "" } else { text };
    text.to_owned()
}

/// What was written as an object: a list of the same parts in their order is none (§10.1.1).
#[derive(Debug)]
pub(super) struct Whole<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfObject<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfObject<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer
            .deserialize_map(OfObject(PhantomData))
            .map(Self)
    }
}

/// Reads what may be left out. `null` is not left out: who says that there is nobody must not be
/// answered for somebody else, by what stands beside the list (§7.1.1).
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Whole::deserialize(deserializer).map(|Whole(given)| Some(given))
}

/// Reads at most [`MAX_QUESTIONS`].
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Evaluation>, D::Error> {
    struct Few;

    impl<'de> Visitor<'de> for Few {
        type Value = Vec<Evaluation>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX_QUESTIONS} evaluations")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut few = Vec::new();
            while let Some(Whole(one)) = list.next_element()? {
                if few.len() == MAX_QUESTIONS {
                    return Err(serde::de::Error::invalid_length(MAX_QUESTIONS + 1, &self));
                }
                few.push(one);
            }
            Ok(few)
        }
    }

    deserializer.deserialize_seq(Few)
}
