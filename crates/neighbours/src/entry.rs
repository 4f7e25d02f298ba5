//! One line of a member's log: what it changed of what is shared, signed, and chained to the line
//! before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use outgate_signed_http::{Signer, VerifyingKey};
use ring::digest::{SHA256, digest};

use crate::codec::{Reader, Unreadable, Writer, ascending};
use crate::name::{MemberId, Name, SiteId};

/// Longest value of an item or a field, in bytes.
pub const VALUE_MAX_BYTES: usize = 4096;
/// Most values that one entry takes the place of.
pub const REPLACES_MAX: usize = 256;
/// Longest entry with its signature, in bytes.
pub const ENTRY_MAX_BYTES: usize = VALUE_MAX_BYTES + REPLACES_MAX * DOT_MAX_BYTES + 512;

pub(crate) const DOT_MAX_BYTES: usize = 4 + crate::name::NAME_MAX_BYTES + 8;
/// The last millisecond of a stamp (in the year 10889), so that one clock that is wrong cannot use up
/// all the time there is.
const WALL_MAX: u64 = (1 << 48) - 1;
/// The highest number of an entry that is read: a thousand a second for 285,000 years.
const NUMBER_MAX: u64 = 1 << 53;
/// What a member's signature is of, so that no other text can be taken for an entry.
const CONTEXT: &[u8] = b"outgate-neighbours entry 1\0";
const SIGNATURE_BYTES: usize = 64;

/// SHA-256 of an entry without its signature; zeros before the first.
pub(crate) type Hash = [u8; 32];

/// An entry's name: whose it is, and the how manieth, from 1 on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who wrote it.
    pub member: MemberId,
    /// Its number in that member's log, without a gap.
    pub number: u64,
}

impl Dot {
    pub(crate) fn write(&self, to: &mut Writer) {
        self.member.write(to);
        to.number64(self.number);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            member: MemberId::read(from)?,
            number: read_number(from)?,
        })
    }
}

/// The number of an entry, which is far from where counting ends.
pub(crate) fn read_number(from: &mut Reader<'_>) -> Result<u64, Unreadable> {
    let number = from.number64()?;
    if number > NUMBER_MAX {
        return Err(Unreadable::Unknown);
    }
    Ok(number)
}

/// A hybrid logical clock: never behind anything its member has seen, and as near to the wall clock
/// as that allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Milliseconds since 1970 (UTC), by the clock that was ahead.
    pub wall: u64,
    /// Tells apart what happened within such a millisecond.
    pub counter: u32,
}

impl Stamp {
    /// The stamp after this one at `wall` milliseconds since 1970; none at the end of time.
    pub(crate) fn next(self, wall: u64) -> Option<Self> {
        let wall = wall.min(WALL_MAX);
        if wall > self.wall {
            return Some(Self { wall, counter: 0 });
        }
        match self.counter.checked_add(1) {
            Some(counter) => Some(Self { counter, ..self }),
            None if self.wall < WALL_MAX => Some(Self {
                wall: self.wall + 1,
                counter: 0,
            }),
            None => None,
        }
    }

    pub(crate) fn write(self, to: &mut Writer) {
        to.number64(self.wall);
        to.number32(self.counter);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let stamp = Self {
            wall: from.number64()?,
            counter: from.number32()?,
        };
        if stamp.wall > WALL_MAX {
            return Err(Unreadable::Unknown);
        }
        Ok(stamp)
    }
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What it belongs to: an order, say.
    pub of: Name,
    /// The field, of which the last writer's value counts; an item of its set without one.
    pub field: Option<Name>,
}

/// A value at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Where.
    pub place: Place,
    /// What, at most [`VALUE_MAX_BYTES`]; nobody here looks into it.
    pub value: Vec<u8>,
}

/// One line of a member's log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) dot: Dot,
    pub(crate) previous: Hash,
    pub(crate) stamp: Stamp,
    pub(crate) put: Option<Put>,
    /// What it takes the place of, or takes away: only what its writer had seen.
    pub(crate) replaces: BTreeSet<Dot>,
    pub(crate) hash: Hash,
    /// As it was signed, with the signature.
    pub(crate) signed: Arc<[u8]>,
}

/// Why an entry is not made of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotOpened {
    /// Not the bytes of an entry.
    #[error("the entry cannot be read")]
    Unreadable,
    /// Of somebody whom the roster does not list.
    #[error("the entry is of nobody who is or was a member of this site")]
    Stranger,
    /// Not signed by whom it says.
    #[error("the entry is not signed by the member that it says it is of")]
    Forged,
}

impl From<Unreadable> for NotOpened {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

/// What an entry says, before it is signed.
pub(crate) struct Draft {
    pub(crate) dot: Dot,
    pub(crate) previous: Hash,
    pub(crate) stamp: Stamp,
    pub(crate) put: Option<Put>,
    pub(crate) replaces: BTreeSet<Dot>,
}

impl Entry {
    pub(crate) fn sign(draft: Draft, site: &SiteId, signer: &Signer) -> Self {
        let text = encoded(&draft);
        let signature = signer.signature_of(&signed_text(site, &text));
        Self::of(draft, &text, &signature)
    }

    /// An entry that its author signed.
    pub(crate) fn open<'k>(
        bytes: &[u8],
        site: &SiteId,
        key_of: impl Fn(&MemberId) -> Option<&'k VerifyingKey>,
    ) -> Result<Self, NotOpened> {
        let (draft, text, signature) = decoded(bytes)?;
        let key = key_of(&draft.dot.member).ok_or(NotOpened::Stranger)?;
        if !key.verifies(&signed_text(site, text), signature) {
            return Err(NotOpened::Forged);
        }
        Ok(Self::of(draft, text, signature))
    }

    /// An entry from the own disk, which was verified before it came there.
    pub(crate) fn kept(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (draft, text, signature) = decoded(bytes)?;
        Ok(Self::of(draft, text, signature))
    }

    fn of(draft: Draft, text: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> Self {
        let mut hash = Hash::default();
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, text).as_ref()) {
            *to = *from;
        }
        Self {
            hash,
            signed: [text, signature].concat().into(),
            dot: draft.dot,
            previous: draft.previous,
            stamp: draft.stamp,
            put: draft.put,
            replaces: draft.replaces,
        }
    }
}

/// With the site's name, so that an entry cannot be carried to another site that has the same key.
fn signed_text(site: &SiteId, text: &[u8]) -> Vec<u8> {
    let mut to = Writer::default();
    to.plain(CONTEXT);
    site.write(&mut to);
    to.plain(text);
    to.into_bytes()
}

fn encoded(draft: &Draft) -> Vec<u8> {
    let mut to = Writer::default();
    draft.dot.write(&mut to);
    to.plain(&draft.previous);
    draft.stamp.write(&mut to);
    match &draft.put {
        None => to.byte(0),
        Some(put) => {
            to.byte(if put.place.field.is_some() { 2 } else { 1 });
            put.place.of.write(&mut to);
            if let Some(field) = &put.place.field {
                field.write(&mut to);
            }
            to.bytes(&put.value);
        }
    }
    to.list(draft.replaces.iter(), |to, dot| dot.write(to));
    to.into_bytes()
}

fn decoded(bytes: &[u8]) -> Result<(Draft, &[u8], &[u8; SIGNATURE_BYTES]), Unreadable> {
    let (text, signature) = bytes.split_last_chunk().ok_or(Unreadable::Short)?;
    let mut from = Reader::new(text);
    let dot = Dot::read(&mut from)?;
    let previous = from.array()?;
    let stamp = Stamp::read(&mut from)?;
    let kind = from.byte()?;
    let put = match kind {
        0 => None,
        1 | 2 => Some(Put {
            place: Place {
                of: Name::read(&mut from)?,
                field: (kind == 2).then(|| Name::read(&mut from)).transpose()?,
            },
            value: from.bytes(VALUE_MAX_BYTES)?.to_vec(),
        }),
        _ => return Err(Unreadable::Unknown),
    };
    let replaces = from.list(REPLACES_MAX, Dot::read)?;
    from.end()?;
    ascending(&replaces)?;
    let draft = Draft {
        dot,
        previous,
        stamp,
        put,
        replaces: replaces.into_iter().collect(),
    };
    Ok((draft, text, signature))
}
