//! What goes wrong, and what the client is told of it.

use std::error::Error;
use std::fmt;

/// Why a handler failed.
///
/// [`HubError::new`] makes one whose text the client is told, as ASP.NET Core's `HubException`. Any
/// other error becomes one by `?`, and the client is told only that there was one, unless
/// [`detailed_errors`](crate::Builder::detailed_errors) is on.
pub struct HubError(Kind);

enum Kind {
    /// The client is told.
    Told(String),
    /// The client is not.
    Inner(Box<dyn Error + Send + Sync>),
    /// A panic, with its text if it had one.
    Panic(String),
}

impl HubError {
    /// An error whose text the client is told.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Kind::Told(text.into()))
    }

    pub(crate) fn panic(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self(Kind::Panic(text.unwrap_or_default()))
    }

    /// What stands after the general words, as ASP.NET Core puts it.
    fn detail(&self, detailed: bool) -> Option<String> {
        match &self.0 {
            Kind::Told(text) => Some(format!("HubException: {text}")),
            Kind::Inner(error) => detailed.then(|| chain(&**error)),
            Kind::Panic(text) => detailed.then(|| format!("panic: {text}")),
        }
    }
}

/// Errors of all kinds, with what they are due to.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl<E: Error + Send + Sync + 'static> From<E> for HubError {
    fn from(error: E) -> Self {
        Self(Kind::Inner(Box::new(error)))
    }
}

/// With everything that is known, for this side's log.
impl fmt::Debug for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail(true).unwrap_or_default())
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Told(text) => f.write_str(text),
            Kind::Inner(error) => error.fmt(f),
            Kind::Panic(text) => write!(f, "panic: {text}"),
        }
    }
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no such method.
    NoMethod,
    /// The arguments are not what the handler takes.
    Arguments(HubError),
    /// The handler failed.
    Handler(HubError),
    /// The stream that the handler returned did.
    Stream(HubError),
    /// A stream was called as a method.
    Streams,
    /// A method was called as a stream.
    DoesNotStream,
    /// The call's name is that of another.
    Taken(String),
}

impl Failure {
    /// What a client is told whose connection is refused.
    pub(crate) fn closing_text(&self, detailed: bool) -> String {
        let general = "Connection closed with an error.";
        let detail = match self {
            Self::Arguments(error) | Self::Handler(error) | Self::Stream(error) => {
                error.detail(detailed)
            }
            Self::NoMethod | Self::Streams | Self::DoesNotStream | Self::Taken(_) => None,
        };
        match detail {
            Some(detail) => format!("{general} {detail}"),
            None => general.to_owned(),
        }
    }

    /// What the client is told, in ASP.NET Core's words.
    pub(crate) fn text(&self, target: &str, detailed: bool) -> String {
        let (general, error) = match self {
            Self::NoMethod => (
                format!("Failed to invoke '{target}' due to an error on the server."),
                Some("HubException: Method does not exist.".to_owned()),
            ),
            Self::Arguments(error) => (
                format!("Failed to invoke '{target}' due to an error on the server."),
                error.detail(detailed),
            ),
            Self::Handler(error) => (
                format!("An unexpected error occurred invoking '{target}' on the server."),
                error.detail(detailed),
            ),
            Self::Stream(error) => (
                "An error occurred on the server while streaming results.".to_owned(),
                error.detail(detailed),
            ),
            Self::Streams => (
                format!(
                    "The client attempted to invoke the streaming '{target}' method with a \
                     non-streaming invocation."
                ),
                None,
            ),
            Self::DoesNotStream => (
                format!(
                    "The client attempted to invoke the non-streaming '{target}' method with a \
                     streaming invocation."
                ),
                None,
            ),
            Self::Taken(id) => (format!("Invocation ID '{id}' is already in use."), None),
        };
        match error {
            Some(error) => format!("{general} {error}"),
            None => general,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_error_is_told_and_any_other_only_in_detail() {
        let told = Failure::Handler(HubError::new("sold out"));
        let words = "An unexpected error occurred invoking 'Buy' on the server.";
        assert_eq!(
            told.text("Buy", false),
            format!("{words} HubException: sold out")
        );
        let inner = || Failure::Handler(std::io::Error::other("disk").into());
        assert_eq!(inner().text("Buy", false), words);
        assert_eq!(inner().text("Buy", true), format!("{words} disk"));
    }

    #[test]
    fn a_panic_is_told_only_in_detail() {
        let panic = Failure::Handler(HubError::panic(&"boom"));
        assert!(!panic.text("Buy", false).contains("boom"));
        assert!(panic.text("Buy", true).ends_with("panic: boom"));
    }
}
