//! The text that is signed (RFC 9421 §2.5).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sfv::{Dictionary, ListSerializer, Parser};

use crate::component::{Component, Derived};
use crate::message::{Message, Request};
use crate::signature::Parameters;

/// What RFC 9421 §2.2.8 leaves as it is in names and values of a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// Why there is no text to sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// The same component twice.
    #[error("the component {0} is covered twice")]
    Twice(String),
    /// The message has no such field, or nothing that it could be derived from.
    #[error("the message has nothing that is called {0}")]
    Missing(String),
    /// What must be there once is there more often.
    #[error("the message has more than one {0}")]
    Ambiguous(String),
    /// A value with bytes that are not ASCII (RFC 9421 §2.5 needs the parameter `bs` for it).
    #[error("the value of {0} is not ASCII")]
    NotAscii(String),
    /// A field that is no dictionary, though one of its members is covered.
    #[error("the field of {0} is no dictionary")]
    NoDictionary(String),
}

/// The text that a signature over these components of a message signs, in their order.
///
/// # Errors
/// [`BaseError`], with the component that there is no value for.
pub fn signature_base(
    message: &Message<'_>,
    components: &[Component],
    parameters: &Parameters,
) -> Result<String, BaseError> {
    let mut base = String::new();
    for (place, component) in components.iter().enumerate() {
        if components
            .iter()
            .take(place)
            .any(|other| other == component)
        {
            return Err(BaseError::Twice(component.to_string()));
        }
        let value = value_of(message, component)?;
        if !value
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        {
            return Err(BaseError::NotAscii(component.to_string()));
        }
        let _ = writeln!(base, "{component}: {value}");
    }
    let _ = write!(
        base,
        "\"@signature-params\": {}",
        parameters.serialized(components)
    );
    Ok(base)
}

fn value_of(message: &Message<'_>, component: &Component) -> Result<String, BaseError> {
    let missing = || BaseError::Missing(component.to_string());
    let (request, fields) = match (message, component.flag("req")) {
        (Message::Request(request), false) => (Some(request), request.fields),
        (Message::Response(response), true) => {
            let request = response.request.as_ref().ok_or_else(missing)?;
            (Some(request), request.fields)
        }
        (Message::Response(response), false) => (None, response.fields),
        (Message::Request(_), true) => return Err(missing()),
    };
    match (component.derived(), request, message) {
        (None, _, _) => field(fields, component),
        (Some(Derived::Status), None, Message::Response(response)) => {
            Ok(response.status.as_str().to_owned())
        }
        (Some(derived), Some(request), _) => derive(derived, request, component),
        (Some(_), None, _) => Err(missing()),
    }
}

fn derive(
    derived: Derived,
    request: &Request<'_>,
    component: &Component,
) -> Result<String, BaseError> {
    Ok(match derived {
        Derived::Method => request.method.to_owned(),
        Derived::TargetUri => format!(
            "{}://{}{}",
            request.scheme.to_ascii_lowercase(),
            request.normal_authority(),
            request.target()
        ),
        Derived::Authority => request.normal_authority(),
        Derived::Scheme => request.scheme.to_ascii_lowercase(),
        Derived::RequestTarget => request.target(),
        Derived::Path => request.normal_path().to_owned(),
        Derived::Query => request.normal_query(),
        Derived::QueryParam => return query_parameter(request, component),
        Derived::Status => return Err(BaseError::Missing(component.to_string())),
    })
}

/// The value of the only parameter of the query with this name (RFC 9421 §2.2.8).
fn query_parameter(request: &Request<'_>, component: &Component) -> Result<String, BaseError> {
    let missing = || BaseError::Missing(component.to_string());
    let name = component.text("name").ok_or_else(missing)?;
    let query = request.query.unwrap_or_default();
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut values = pairs
        .filter(|(key, _)| encode(key) == name)
        .map(|(_, value)| encode(&value));
    let value = values.next().ok_or_else(missing)?;
    match values.next() {
        None => Ok(value),
        Some(_) => Err(BaseError::Ambiguous(component.to_string())),
    }
}

/// The values of a field's lines as one (RFC 9421 §2.1).
fn field(fields: &HeaderMap, component: &Component) -> Result<String, BaseError> {
    let lines: Vec<&[u8]> = fields
        .get_all(component.name())
        .iter()
        .map(|value| value.as_bytes().trim_ascii())
        .collect();
    if lines.is_empty() {
        return Err(BaseError::Missing(component.to_string()));
    }
    if component.flag("bs") {
        let lines = lines
            .iter()
            .map(|line| format!(":{}:", STANDARD.encode(line)));
        return Ok(lines.collect::<Vec<_>>().join(", "));
    }
    let lines: Result<Vec<_>, _> = lines.into_iter().map(std::str::from_utf8).collect();
    let lines = lines.map_err(|_| BaseError::NotAscii(component.to_string()))?;
    let all = lines.join(", ");
    match component.text("key") {
        Some(key) => member(&all, key, component),
        None => Ok(all),
    }
}

/// One member of a dictionary, in its strict form (RFC 9421 §2.1.2).
fn member(text: &str, key: &str, component: &Component) -> Result<String, BaseError> {
    let dictionary: Result<Dictionary, _> = Parser::new(text).parse();
    let dictionary = dictionary.map_err(|_| BaseError::NoDictionary(component.to_string()))?;
    let missing = || BaseError::Missing(component.to_string());
    let member = dictionary.get(key).ok_or_else(missing)?;
    let mut serializer = ListSerializer::new();
    serializer.members([member]);
    serializer.finish().ok_or_else(missing)
}
