//! The fields `Signature-Input` and `Signature` (RFC 9421 §4).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};
use sfv::{
    BareItem, Dictionary, InnerList, Integer, Item, Key, KeyRef, ListEntry, ListSerializer, Parser,
};

use crate::component::{Component, ComponentError};

/// Most signatures of one message.
pub const SIGNATURES_MAX: usize = 8;
/// Most components that one signature covers.
pub const COMPONENTS_MAX: usize = 64;
/// Longest value of each of the two fields, all its lines together, in bytes.
pub const FIELDS_MAX_BYTES: usize = 16_384;

pub(crate) const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// Why the fields of signatures cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No dictionary of what it should hold.
    #[error("the field {0} cannot be read")]
    Unreadable(HeaderName),
    /// More than a bound allows.
    #[error("the field {0} is longer, or holds more, than is read")]
    TooMuch(HeaderName),
    /// A label with parameters and without a signature, or the other way round.
    #[error("the signature `{0}` has no parameters, or they have no signature")]
    Unpaired(String),
    /// Something covered that is not understood.
    #[error(transparent)]
    Component(#[from] ComponentError),
}

/// The parameters of a signature, in their order (RFC 9421 §2.3): those with a meaning here, and
/// others, which are signed all the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(sfv::Parameters);

impl Parameters {
    /// With one more, at the end; times are in whole seconds. What a structured field cannot hold
    /// (letters that are not ASCII, years beyond 31 million) is left out.
    #[must_use]
    pub(crate) fn with_text(mut self, key: &'static str, text: &str) -> Self {
        if let Ok(text) = sfv::String::from_string(text.to_owned()) {
            self.insert(key, BareItem::String(text));
        }
        self
    }

    #[must_use]
    pub(crate) fn with_time(mut self, key: &'static str, time: SystemTime) -> Self {
        let seconds = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        if let Ok(seconds) = Integer::try_from(seconds.as_secs()) {
            self.insert(key, BareItem::Integer(seconds));
        }
        self
    }

    fn insert(&mut self, key: &'static str, value: BareItem) {
        if let Ok(key) = KeyRef::from_str(key) {
            self.0.insert(key.to_owned(), value);
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key)?;
        value.as_string().map(sfv::StringRef::as_str)
    }

    fn time(&self, key: &str) -> Option<SystemTime> {
        let seconds: i64 = self.0.get(key)?.as_integer()?.into();
        let after = Duration::from_secs(u64::try_from(seconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(after)
    }

    /// Whether a parameter is there, whatever it holds.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// When it was made.
    pub fn created(&self) -> Option<SystemTime> {
        self.time("created")
    }

    /// From when on it does not count any more.
    pub fn expires(&self) -> Option<SystemTime> {
        self.time("expires")
    }

    /// What is used once only.
    pub fn nonce(&self) -> Option<&str> {
        self.text("nonce")
    }

    /// The algorithm's registered name.
    pub fn alg(&self) -> Option<&str> {
        self.text("alg")
    }

    /// The name of the key.
    pub fn keyid(&self) -> Option<&str> {
        self.text("keyid")
    }

    /// What the signature is for.
    pub fn tag(&self) -> Option<&str> {
        self.text("tag")
    }

    /// The inner list of what is covered, with these parameters.
    pub(crate) fn list(&self, components: &[Component]) -> InnerList {
        let items = components.iter().filter_map(Component::item);
        InnerList::with_params(items.collect(), self.0.clone())
    }

    /// That list as `Signature-Input` and the last line of the signature base have it.
    pub(crate) fn serialized(&self, components: &[Component]) -> String {
        let mut serializer = ListSerializer::new();
        serializer.members([&ListEntry::InnerList(self.list(components))]);
        serializer.finish().unwrap_or_default()
    }
}

/// One signature of a message.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) label: String,
    pub(crate) components: Vec<Component>,
    pub(crate) parameters: Parameters,
    pub(crate) signature: Vec<u8>,
}

/// All signatures of a message with this tag. Of others only their number counts, since what they
/// cover may be something that is not known here.
pub(crate) fn received(fields: &HeaderMap, tag: &str) -> Result<Vec<Received>, SignatureError> {
    let inputs = dictionary(fields, SIGNATURE_INPUT)?;
    let mut signatures = dictionary(fields, SIGNATURE)?;
    let mut all = Vec::new();
    for (label, entry) in inputs {
        let ListEntry::InnerList(list) = entry else {
            return Err(SignatureError::Unreadable(SIGNATURE_INPUT));
        };
        let Some(signature) = signatures.swap_remove(&label) else {
            return Err(SignatureError::Unpaired(label.as_str().to_owned()));
        };
        if list.items.len() > COMPONENTS_MAX {
            return Err(SignatureError::TooMuch(SIGNATURE_INPUT));
        }
        let parameters = Parameters(list.params.clone());
        if parameters.tag() != Some(tag) {
            continue;
        }
        all.push(Received {
            components: covered(&list)?,
            parameters,
            signature: bytes(signature)?,
            label: label.as_str().to_owned(),
        });
    }
    match signatures.keys().next() {
        None => Ok(all),
        Some(label) => Err(SignatureError::Unpaired(label.as_str().to_owned())),
    }
}

fn covered(list: &InnerList) -> Result<Vec<Component>, ComponentError> {
    list.items.iter().map(Component::of).collect()
}

fn bytes(entry: ListEntry) -> Result<Vec<u8>, SignatureError> {
    match entry {
        ListEntry::Item(Item {
            bare_item: BareItem::ByteSequence(bytes),
            ..
        }) => Ok(bytes),
        ListEntry::Item(_) | ListEntry::InnerList(_) => Err(SignatureError::Unreadable(SIGNATURE)),
    }
}

fn dictionary(fields: &HeaderMap, name: HeaderName) -> Result<Dictionary, SignatureError> {
    let mut text = Vec::new();
    for line in fields.get_all(&name) {
        if text.len() + line.len() > FIELDS_MAX_BYTES {
            return Err(SignatureError::TooMuch(name));
        }
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(line.as_bytes());
    }
    let read: Result<Dictionary, _> = Parser::new(&text).parse();
    let read = read.map_err(|_| SignatureError::Unreadable(name.clone()))?;
    if read.len() > SIGNATURES_MAX {
        return Err(SignatureError::TooMuch(name));
    }
    Ok(read)
}

/// What one signature covers, and its parameters, as they stand behind its label.
#[cfg(test)]
pub(crate) fn read_one(text: &str) -> Option<(Vec<Component>, Parameters)> {
    let list: sfv::List = Parser::new(text).parse().ok()?;
    let ListEntry::InnerList(list) = list.into_iter().next()? else {
        return None;
    };
    Some((covered(&list).ok()?, Parameters(list.params)))
}

/// A label as a key of a dictionary, if it can be one.
pub(crate) fn key_of(label: &str) -> Option<Key> {
    Key::from_string(label.to_owned()).ok()
}
