//! Reading heads.

use std::net::IpAddr;

use super::{FIELDS_MAX, HEAD_MAX};

/// The one version (RFC 3261 §7.1).
pub(super) const VERSION: &str = "SIP/2.0";
/// The end of a head.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// Short forms of names (RFC 3261 §20).
const SHORT: &[(&str, &str)] = &[
    ("c", "Content-Type"),
    ("e", "Content-Encoding"),
    ("f", "From"),
    ("i", "Call-ID"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("m", "Contact"),
    ("s", "Subject"),
    ("t", "To"),
    ("v", "Via"),
];

/// The head of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its first line.
    pub start: Start,
    /// Its fields, in order.
    pub fields: Vec<Field>,
    /// How long it is, blank line included, in bytes: where the body begins.
    pub length: usize,
}

/// The first line (RFC 3261 §7.1, §7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Of a request.
    Request {
        /// What is asked for.
        method: String,
        /// Of whom.
        uri: String,
    },
    /// Of an answer.
    Answer {
        /// 100 to 699.
        code: u16,
        /// Its words.
        reason: String,
    },
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; a short form is written out.
    pub name: String,
    /// Its value, lines folded into one.
    pub value: String,
}

impl Head {
    /// Reads the head that these bytes begin with; `None` while its end is not there.
    ///
    /// # Errors
    ///
    /// When it is no head of SIP, or longer than [`HEAD_MAX`] or [`FIELDS_MAX`] allow.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, ReadError> {
        let searched = &bytes[..bytes.len().min(HEAD_MAX)];
        let end = searched
            .windows(BLANK_LINE.len())
            .position(|window| window == BLANK_LINE);
        let Some(end) = end else {
            if bytes.len() >= HEAD_MAX {
                return Err(ReadError::TooLong);
            }
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes[..end]).map_err(|_| ReadError::NotSip)?;
        let mut lines = text.split("\r\n");
        let start = read_start(lines.next().unwrap_or_default())?;
        Ok(Some(Self {
            start,
            fields: read_fields(lines)?,
            length: end + BLANK_LINE.len(),
        }))
    }

    /// The value of the first field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let found = fields.find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value.as_str())
    }

    /// The values of all fields of this name, in any case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.fields.iter();
        fields
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.as_str())
    }

    /// How long the body says it is, in bytes; nothing is said of a body that ends with its
    /// datagram.
    ///
    /// # Errors
    ///
    /// When it is no number.
    pub fn content_length(&self) -> Result<Option<usize>, ReadError> {
        self.field("Content-Length")
            .map(|value| value.parse().map_err(|_| ReadError::NotSip))
            .transpose()
    }

    /// The topmost Via.
    pub fn via(&self) -> Option<Via> {
        Via::read(self.field("Via")?)
    }
}

fn read_start(line: &str) -> Result<Start, ReadError> {
    let mut words = line.splitn(3, ' ');
    let (Some(first), Some(second)) = (words.next(), words.next()) else {
        return Err(ReadError::NotSip);
    };
    let third = words.next();
    if first == VERSION {
        let code = second.parse().map_err(|_| ReadError::NotSip)?;
        if second.len() != 3 || !(100..700).contains(&code) {
            return Err(ReadError::NotSip);
        }
        let reason = third.unwrap_or_default().to_owned();
        return Ok(Start::Answer { code, reason });
    }
    if third != Some(VERSION) || !is_token(first) || second.is_empty() {
        return Err(ReadError::NotSip);
    }
    Ok(Start::Request {
        method: first.to_owned(),
        uri: second.to_owned(),
    })
}

fn read_fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Field>, ReadError> {
    let mut fields: Vec<Field> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let last = fields.last_mut().ok_or(ReadError::NotSip)?;
            last.value.push(' ');
            last.value.push_str(line.trim());
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(ReadError::NotSip)?;
        let name = name.trim_end();
        if !is_token(name) {
            return Err(ReadError::NotSip);
        }
        if fields.len() == FIELDS_MAX {
            return Err(ReadError::TooLong);
        }
        let long = SHORT
            .iter()
            .find(|(short, _)| short.eq_ignore_ascii_case(name));
        fields.push(Field {
            name: long.map_or(name, |(_, long)| long).to_owned(),
            value: value.trim().to_owned(),
        });
    }
    Ok(fields)
}

/// RFC 3261 §25.1.
fn is_token(word: &str) -> bool {
    let letter = |letter: u8| letter.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&letter);
    !word.is_empty() && word.bytes().all(letter)
}

/// A stop on the way of a message (RFC 3261 §20.42).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS` or another.
    pub carrier: String,
    /// Where it says that it comes from.
    pub sent_by: String,
    /// What tells the transaction.
    pub branch: Option<String>,
    /// From which address it came (RFC 3261 §18.2.1).
    pub received: Option<IpAddr>,
    /// From which port it came (RFC 3581).
    pub rport: Option<u16>,
}

impl Via {
    /// Reads the first of the stops that a field lists.
    pub fn read(value: &str) -> Option<Self> {
        let first = value.split(',').next()?;
        let mut parts = first.split(';').map(str::trim);
        let mut head = parts.next()?.split_whitespace();
        let protocol = head.next()?;
        let carrier = protocol.strip_prefix("SIP/2.0/")?.to_owned();
        let sent_by = head.next()?.to_owned();
        let mut via = Self {
            carrier,
            sent_by,
            branch: None,
            received: None,
            rport: None,
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("branch") {
                via.branch = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("received") {
                // With brackets or without (RFC 5118 §4.5).
                via.received = value.trim_matches(['[', ']']).parse().ok();
            } else if name.eq_ignore_ascii_case("rport") {
                via.rport = value.parse().ok();
            }
        }
        Some(via)
    }
}

/// Why bytes are no head of SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It breaks RFC 3261 §7.
    #[error("the answer is not SIP")]
    NotSip,
    /// It goes on for longer than is read.
    #[error("a head of SIP with more than {HEAD_MAX} bytes or {FIELDS_MAX} fields")]
    TooLong,
}
