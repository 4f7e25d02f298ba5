//! Names of what a signature covers (RFC 9421 §2).

use std::fmt;
use std::str::FromStr;

use sfv::{BareItem, Item, ItemSerializer, Parameters, Parser};

/// What a signature covers: a field of the head, or something derived from the message, with
/// parameters. Two are the same if their names and their parameters are, in whatever order.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    name: String,
    parameters: Parameters,
}

/// Why something is no name of a component that is known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// No structured item with a string, or a field's name with capitals.
    #[error("`{0}` is no component: expected a field's name in small letters, in double quotes")]
    Unreadable(String),
    /// Something that is derived in a way that RFC 9421 does not know.
    #[error("nobody knows how to derive `{0}` from a message")]
    UnknownDerived(String),
    /// A parameter that is not understood, which must not be left aside (RFC 9421 §2.5).
    #[error("the parameter `{parameter}` of the component `{name}` is not known here")]
    UnknownParameter {
        /// The component's name.
        name: String,
        /// The parameter's.
        parameter: String,
    },
}

/// What is derived from a message (RFC 9421 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derived {
    Method,
    TargetUri,
    Authority,
    Scheme,
    RequestTarget,
    Path,
    Query,
    QueryParam,
    Status,
}

impl Derived {
    const ALL: [(&'static str, Self); 9] = [
        ("@method", Self::Method),
        ("@target-uri", Self::TargetUri),
        ("@authority", Self::Authority),
        ("@scheme", Self::Scheme),
        ("@request-target", Self::RequestTarget),
        ("@path", Self::Path),
        ("@query", Self::Query),
        ("@query-param", Self::QueryParam),
        ("@status", Self::Status),
    ];
}

impl Component {
    /// Reads a member of the list of what is covered.
    pub(crate) fn of(item: &Item) -> Result<Self, ComponentError> {
        let name = item.bare_item.as_string();
        let name = name.ok_or_else(|| ComponentError::Unreadable(shown(item)))?;
        let component = Self {
            name: name.as_str().to_owned(),
            parameters: item.params.clone(),
        };
        component.check(item)?;
        Ok(component)
    }

    fn check(&self, item: &Item) -> Result<(), ComponentError> {
        let derived = self.derived();
        if self.name.starts_with('@') && derived.is_none() {
            return Err(ComponentError::UnknownDerived(self.name.clone()));
        }
        let is_field = self.name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        });
        if derived.is_none() && (self.name.is_empty() || !is_field) {
            return Err(ComponentError::Unreadable(shown(item)));
        }
        // A member of what is wrapped in bytes is nothing (RFC 9421 §2.1).
        let both = self.flag("bs") && self.parameters.contains_key("key");
        for (key, value) in &self.parameters {
            let fits = match (key.as_str(), derived) {
                ("req", _) | ("bs", None) => value.as_boolean() == Some(true),
                ("key", None) => value.as_string().is_some(),
                ("name", Some(Derived::QueryParam)) => value.as_string().is_some(),
                _ => false,
            };
            if !fits || both {
                return Err(ComponentError::UnknownParameter {
                    name: self.name.clone(),
                    parameter: key.as_str().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The name without its parameters.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn derived(&self) -> Option<Derived> {
        let mut all = Derived::ALL.into_iter();
        all.find_map(|(name, derived)| (name == self.name).then_some(derived))
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.parameters
            .get(key)
            .is_some_and(|value| value.as_boolean() == Some(true))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let value = self.parameters.get(key)?;
        value.as_string().map(sfv::StringRef::as_str)
    }

    pub(crate) fn item(&self) -> Option<Item> {
        let name = sfv::String::from_string(self.name.clone()).ok()?;
        Some(Item::with_params(
            BareItem::String(name),
            self.parameters.clone(),
        ))
    }
}

fn shown(item: &Item) -> String {
    ItemSerializer::new()
        .bare_item(&item.bare_item)
        .parameters(&item.params)
        .finish()
}

/// As it stands in the signature base: `"name";parameter`.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item() {
            Some(item) => f.write_str(&shown(&item)),
            None => f.write_str(&self.name),
        }
    }
}

/// Reads `date`, `@method`, or with parameters `"signature";req;key="a"`.
impl FromStr for Component {
    type Err = ComponentError;

    fn from_str(text: &str) -> Result<Self, ComponentError> {
        let unreadable = || ComponentError::Unreadable(text.to_owned());
        let quoted = if text.starts_with('"') {
            text.to_owned()
        } else {
            format!("\"{text}\"")
        };
        let item: Item = Parser::new(&quoted).parse().map_err(|_| unreadable())?;
        Self::of(&item)
    }
}
