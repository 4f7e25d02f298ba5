//! The little of LDAP (RFC 4511) that shows who answers: the root DSE (RFC 4512 §5.1), asked for
//! without logging in, and StartTLS (RFC 4511 §4.14).

mod ber;

use ber::{Element, element, integer};

/// The object identifier of StartTLS (RFC 4511 §4.14.1).
pub const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// The longest message that is read, in bytes. A root DSE has a few kilobytes.
pub const MESSAGE_MAX: usize = 64 * 1024;
/// The most values of one attribute that are kept.
pub const VALUES_MAX: usize = 256;
/// What is asked of the root DSE: nothing that would tell of a customer's tree or names.
pub const ATTRIBUTES: [&str; 5] = [
    "supportedLDAPVersion",
    "supportedExtension",
    "supportedSASLMechanisms",
    "vendorName",
    "vendorVersion",
];

/// Tags of RFC 4511 appendix B.
mod tag {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTETS: u8 = 0x04;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const ENUMERATED: u8 = 0x0a;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const UNBIND: u8 = 0x42;
    pub(super) const SEARCH: u8 = 0x63;
    pub(super) const ENTRY: u8 = 0x64;
    pub(super) const DONE: u8 = 0x65;
    pub(super) const REFERENCE: u8 = 0x73;
    pub(super) const EXTENDED: u8 = 0x77;
    pub(super) const EXTENDED_RESPONSE: u8 = 0x78;
    pub(super) const EXTENDED_NAME: u8 = 0x80;
    pub(super) const FILTER_PRESENT: u8 = 0x87;
}

/// The message that asks for the root DSE.
pub fn root_dse_search(id: u8) -> Vec<u8> {
    let attributes: Vec<u8> = ATTRIBUTES
        .iter()
        .flat_map(|name| element(tag::OCTETS, name.as_bytes()))
        .collect();
    let search = [
        element(tag::OCTETS, b""),
        // Scope baseObject, aliases never followed, one entry, no limit of time.
        element(tag::ENUMERATED, &[0]),
        element(tag::ENUMERATED, &[0]),
        element(tag::INTEGER, &[1]),
        element(tag::INTEGER, &[0]),
        element(tag::BOOLEAN, &[0]),
        element(tag::FILTER_PRESENT, b"objectClass"),
        element(tag::SEQUENCE, &attributes),
    ];
    message(id, &element(tag::SEARCH, &search.concat()))
}

/// The message that asks to change to TLS.
pub fn start_tls(id: u8) -> Vec<u8> {
    let name = element(tag::EXTENDED_NAME, START_TLS.as_bytes());
    message(id, &element(tag::EXTENDED, &name))
}

/// The message that says goodbye (RFC 4511 §4.3).
pub fn unbind(id: u8) -> Vec<u8> {
    message(id, &element(tag::UNBIND, b""))
}

fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    // An identifier of 128 and more would be negative in one byte.
    let content = [element(tag::INTEGER, &[id & 0x7f]), operation.to_vec()].concat();
    element(tag::SEQUENCE, &content)
}

/// A message of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message that it answers; 0 answers none (RFC 4511 §4.4).
    pub id: i64,
    /// What it says.
    pub said: Said,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// An entry: here, the root DSE.
    Entry(Vec<Attribute>),
    /// The search is over.
    Done(Outcome),
    /// The search goes on elsewhere.
    Reference,
    /// The end of an extended operation, such as StartTLS. Without a request it announces the end
    /// of the connection (RFC 4511 §4.4.1).
    Extended(Outcome),
    /// Something that nobody asked for.
    Other,
}

/// An attribute with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, as the server writes it.
    pub name: String,
    /// Its values, at most [`VALUES_MAX`].
    pub values: Vec<String>,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// RFC 4511 appendix A; 0 is success.
    pub code: i64,
    /// What the server says about it.
    pub diagnostic: String,
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// For entries.
    Search,
    /// For nothing more.
    Unbind,
    /// For something else.
    Other,
}

impl Request {
    /// Reads a client's message from the beginning of what came: its number, what it asks, and how
    /// long it was; `None` until it is complete.
    ///
    /// # Errors
    /// As [`Message::read`].
    pub fn read(bytes: &[u8]) -> Result<Option<(i64, Self, usize)>, LdapError> {
        let Some((id, operation, length)) = frame(bytes)? else {
            return Ok(None);
        };
        let request = match operation.tag {
            tag::SEARCH => Self::Search,
            tag::UNBIND => Self::Unbind,
            _ => Self::Other,
        };
        Ok(Some((id, request, length)))
    }
}

/// A server's whole answer to the search with this number, 0 to 127: a root DSE of these
/// attributes.
pub fn root_dse(id: u8, attributes: &[(&str, &[&str])]) -> Vec<u8> {
    let attributes = attributes.iter().flat_map(|(name, values)| {
        let values: Vec<u8> = values
            .iter()
            .flat_map(|value| element(tag::OCTETS, value.as_bytes()))
            .collect();
        let name = element(tag::OCTETS, name.as_bytes());
        element(tag::SEQUENCE, &[name, element(tag::SET, &values)].concat())
    });
    let attributes: Vec<u8> = attributes.collect();
    let name = element(tag::OCTETS, b"");
    let entry = [name, element(tag::SEQUENCE, &attributes)].concat();
    let success = [
        element(tag::ENUMERATED, &[0]),
        element(tag::OCTETS, b""),
        element(tag::OCTETS, b""),
    ];
    [
        message(id, &element(tag::ENTRY, &entry)),
        message(id, &element(tag::DONE, &success.concat())),
    ]
    .concat()
}

impl Message {
    /// Reads a message from the beginning of what came, and how long it was; `None` until it is
    /// complete.
    ///
    /// # Errors
    /// When it is longer than [`MESSAGE_MAX`] or not LDAP.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, LdapError> {
        let Some((id, operation, length)) = frame(bytes)? else {
            return Ok(None);
        };
        let said = match operation.tag {
            tag::ENTRY => Said::Entry(attributes(operation)?),
            tag::DONE => Said::Done(outcome(operation)?),
            tag::REFERENCE => Said::Reference,
            tag::EXTENDED_RESPONSE => Said::Extended(outcome(operation)?),
            _ => Said::Other,
        };
        Ok(Some((Self { id, said }, length)))
    }
}

/// The first message: its number, what is in it, and its length (RFC 4511 §4.1.1).
fn frame(bytes: &[u8]) -> Result<Option<(i64, Element<'_>, usize)>, LdapError> {
    // Another protocol shows itself by its first byte, not only where a message would end.
    if let Some(found) = bytes.first().copied().filter(|tag| *tag != tag::SEQUENCE) {
        let expected = tag::SEQUENCE;
        return Err(LdapError::Tag { found, expected });
    }
    let Some((whole, rest)) = Element::read(bytes, MESSAGE_MAX)? else {
        return Ok(None);
    };
    let mut parts = whole.children();
    let id = integer(parts.next(tag::INTEGER)?)?;
    let operation = parts.any()?;
    Ok(Some((id, operation, bytes.len() - rest.len())))
}

fn attributes(entry: Element<'_>) -> Result<Vec<Attribute>, LdapError> {
    let mut parts = entry.children();
    let _distinguished_name = parts.next(tag::OCTETS)?;
    let mut list = parts.next(tag::SEQUENCE)?.children();
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut attribute = list.next(tag::SEQUENCE)?.children();
        let name = text(attribute.next(tag::OCTETS)?);
        let mut set = attribute.next(tag::SET)?.children();
        let mut values = Vec::new();
        while !set.is_empty() {
            let value = text(set.next(tag::OCTETS)?);
            if values.len() < VALUES_MAX {
                values.push(value);
            }
        }
        attributes.push(Attribute { name, values });
    }
    Ok(attributes)
}

/// RFC 4511 §4.1.9.
fn outcome(result: Element<'_>) -> Result<Outcome, LdapError> {
    let mut parts = result.children();
    let code = integer(parts.next(tag::ENUMERATED)?)?;
    let _matched = parts.next(tag::OCTETS)?;
    let diagnostic = text(parts.next(tag::OCTETS)?);
    Ok(Outcome { code, diagnostic })
}

fn text(element: Element<'_>) -> String {
    String::from_utf8_lossy(element.content).into_owned()
}

/// The name of a result code (RFC 4511 §4.1.9), for those that a question without a login meets.
pub fn code_name(code: i64) -> &'static str {
    match code {
        0 => "success",
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        13 => "confidentialityRequired",
        32 => "noSuchObject",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        _ => "another result",
    }
}

/// Why bytes are not a message of LDAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LdapError {
    /// Longer than is read.
    #[error("an LDAP message of more than {MESSAGE_MAX} bytes")]
    TooLong,
    /// A length that LDAP does not allow (RFC 4511 §5.1), or that leads past its surroundings.
    #[error("a length that does not fit")]
    Length,
    /// Another part than must stand there.
    #[error("not LDAP: tag 0x{found:02x} where 0x{expected:02x} must be")]
    Tag {
        /// What stands there.
        found: u8,
        /// What must.
        expected: u8,
    },
    /// A part is missing.
    #[error("an LDAP message that ends too early")]
    Short,
    /// A number that is too large or has no digits.
    #[error("a number that LDAP does not allow")]
    Number,
}

#[cfg(test)]
mod tests;
