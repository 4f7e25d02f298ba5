//! What is kept, and where in the queue it stands.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;

use super::error::QueueError;

/// The most bytes of a payload: what the hub takes.
pub const MAX_PAYLOAD: usize = 262_144;

/// The most bytes of a name: what the hub takes.
pub const MAX_NAME: usize = 256;

/// The most bytes of a media type: what the hub takes.
pub const MAX_CONTENT_TYPE: usize = 256;

/// The most named texts beside a payload: what the hub takes.
pub const MAX_PROPERTIES: usize = 64;

/// The most bytes of them together, names and texts: what the hub takes.
pub const MAX_PROPERTIES_BYTES: usize = 8_192;

/// How much something matters. What matters more is delivered first, and is dropped last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// It is good to have. Logs, unless something else is said.
    Background,
    /// It is wanted. Events, unless something else is said.
    Ordinary,
    /// Everything else goes before it does.
    Important,
}

impl Priority {
    /// All of them, what matters least first.
    pub const ALL: [Self; 3] = [Self::Background, Self::Ordinary, Self::Important];

    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Ordinary => "ordinary",
            Self::Important => "important",
        }
    }
}

/// What something is to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An event.
    Event,
    /// What the device logs.
    Log,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Event, Self::Log];
}

/// What a device has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is to the hub.
    pub kind: Kind,
    /// How much it matters.
    pub priority: Priority,
    /// What it is about, at most [`MAX_NAME`] bytes without control characters; may be empty.
    pub name: String,
    /// A media type, printable ASCII of at most [`MAX_CONTENT_TYPE`] bytes; may be empty.
    pub content_type: String,
    /// Named texts beside the payload: at most [`MAX_PROPERTIES`], [`MAX_PROPERTIES_BYTES`].
    pub properties: BTreeMap<String, String>,
    /// The payload, at most [`MAX_PAYLOAD`] bytes.
    pub payload: Bytes,
}

impl Entry {
    /// An event of ordinary priority.
    #[must_use]
    pub fn event(name: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self::new(Kind::Event, Priority::Ordinary, name.into(), payload.into())
    }

    /// Something logged, in the background.
    #[must_use]
    pub fn log(name: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self::new(Kind::Log, Priority::Background, name.into(), payload.into())
    }

    fn new(kind: Kind, priority: Priority, name: String, payload: Bytes) -> Self {
        Self {
            kind,
            priority,
            name,
            content_type: String::new(),
            properties: BTreeMap::new(),
            payload,
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let properties = self.properties.iter();
        let properties: usize = properties.map(|(name, text)| name.len() + text.len()).sum();
        self.name.len() + self.content_type.len() + properties + self.payload.len()
    }

    /// Whether the hub would take it: what it would never take must not wait for it.
    pub(super) fn check(&self) -> Result<(), QueueError> {
        size("bytes of payload", self.payload.len(), MAX_PAYLOAD)?;
        size("bytes of name", self.name.len(), MAX_NAME)?;
        size(
            "bytes of content type",
            self.content_type.len(),
            MAX_CONTENT_TYPE,
        )?;
        size("properties", self.properties.len(), MAX_PROPERTIES)?;
        let properties = self.properties.iter();
        let bytes = properties.map(|(name, text)| name.len() + text.len()).sum();
        size("bytes of properties", bytes, MAX_PROPERTIES_BYTES)?;
        let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if !self.content_type.bytes().all(printable) {
            return Err(QueueError::Invalid {
                what: "content type",
                right: "printable ASCII",
            });
        }
        let mut texts = self.properties.keys().chain([&self.name]);
        if texts.any(|text| text.chars().any(char::is_control)) {
            return Err(QueueError::Invalid {
                what: "name",
                right: "text without control characters",
            });
        }
        Ok(())
    }
}

fn size(what: &'static str, size: usize, most: usize) -> Result<(), QueueError> {
    if size <= most {
        return Ok(());
    }
    Err(QueueError::TooLarge { what, most })
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// How much it matters.
    pub priority: Priority,
    /// Its number among those that matter as much: goes up by one with each, and is never given
    /// twice.
    pub number: u64,
}

/// What no two entries have in common, of whatever device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId {
    /// The queue, made up at random when its file was made.
    pub queue: [u8; 16],
    /// Where in it.
    pub position: Position,
}

impl EntryId {
    /// The stream in which it is delivered, as `0f…9a-ordinary`: its entries go up in number.
    #[must_use]
    pub fn stream(&self) -> String {
        let queue = u128::from_be_bytes(self.queue);
        format!("{queue:032x}-{}", self.position.priority.name())
    }
}

/// When something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The clock was right then.
    Known(OffsetDateTime),
    /// The clock became right later, and this was reckoned back.
    Reckoned(OffsetDateTime),
    /// The clock was never right between then and the end of that run of the machine.
    Unknown,
}

/// An entry that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What no other entry has.
    pub id: EntryId,
    /// When it was said.
    pub said: Said,
    /// What it is.
    pub entry: Entry,
}

impl Waiting {
    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.id.position
    }
}
