//! What answer over HTTP is right.

use crate::decode::{FromText, record};
use crate::diagnostic::quote;
use crate::document::flow::Pin;
use crate::name::DomainName;

/// The longest name of a header field, in bytes.
const MAX_HEADER: usize = 64;
/// The longest JSON Pointer, in bytes.
const MAX_POINTER: usize = 256;

record! {
    /// What the answer to an HTTP probe must have, beside a status that counts. All that is said
    /// must hold; only the first 65,536 bytes of a body are read.
    pub struct Expect = "`expect`" {
        /// A header field.
        header: Option<ExpectedHeader> = optional "header",
        /// A text that the body contains.
        body: Option<String> = optional "body",
        /// The SHA-256 of the whole body.
        sha256: Option<Pin> = optional "sha256",
        /// A field of the body, which is JSON.
        json: Option<ExpectedField> = optional "json",
        /// The host that a redirection leads to.
        redirect: Option<DomainName> = optional "redirect",
    }
}

record! {
    /// A header field that an answer must have.
    pub struct ExpectedHeader = "`header`" {
        /// Its name, in whatever case.
        name: HeaderName = required "name",
        /// A text that its value contains; any value will do when absent.
        contains: Option<String> = optional "contains",
    }
}

record! {
    /// A field of a JSON body.
    pub struct ExpectedField = "`json`" {
        /// Where it is.
        at: JsonPointer = required "at",
        /// What it is: a text, or the way JSON writes a number, `true`, `false` or `null`. Anything
        /// will do when absent.
        is: Option<String> = optional "is",
    }
}

/// The name of a header field (RFC 9110, section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName(pub String);

impl FromText for HeaderName {
    const EXPECTED: &'static str = "the name of a header field, such as `content-type`";
    const PATTERN: &'static str = "^[A-Za-z0-9_-]{1,64}$";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = (1..=MAX_HEADER).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{} is not the name of a header field", quote(text)))
        }
    }
}

/// A JSON Pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPointer(pub String);

impl FromText for JsonPointer {
    const EXPECTED: &'static str = "a JSON Pointer such as `/status` (RFC 6901)";
    const PATTERN: &'static str = "^/[!-~]*$";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = text.len() <= MAX_POINTER
            && text.starts_with('/')
            && text.bytes().all(|b| b.is_ascii_graphic());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{} is not a JSON Pointer", quote(text)))
        }
    }
}
