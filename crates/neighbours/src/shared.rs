//! What the members of a site share: sets of items and fields, which every member may change while
//! it is alone, and which are the same everywhere once all have met.
//!
//! Every change is an entry in the log of its member. An entry may put a value somewhere, and names
//! the values that it takes the place of: those that its writer saw. A value counts until some entry
//! names it. So what counts is decided by which entries are known, never by their order; an item that
//! somebody adds while another clears the set stays; and of several values of a field, written by
//! members that did not see each other, the one with the latest stamp is shown.

use std::collections::{BTreeMap, BTreeSet};

use outgate_signed_http::Signer;

use crate::entry::{Dot, Draft, Entry, Hash, Place, Put, REPLACES_MAX, Stamp, VALUE_MAX_BYTES};
use crate::name::{MemberId, Name, SiteId};
use crate::record::{Unsaved, Write};

mod exchange;
mod kept;
#[cfg(test)]
mod tests;

pub use exchange::{
    GIVE_MAX_BYTES, GIVE_MAX_ENTRIES, Give, NotTaken, SNAPSHOT_MAX_BYTES, Taken, Vector,
};
pub use kept::KEPT_MAX;

/// Most bytes of entries of one member whose values count. Others take twice as much of it, so that
/// no honest member is ever refused.
pub const LIVE_MAX_BYTES: usize = 256 * 1024;

/// What a member knows of what is shared.
#[derive(Debug)]
pub struct Shared {
    site: SiteId,
    me: MemberId,
    logs: BTreeMap<MemberId, Log>,
    entries: BTreeMap<Dot, Held>,
    /// The entries after the bases of their logs, in the order of their stamps, which is one in which
    /// causes come before effects.
    order: BTreeSet<(Stamp, Dot)>,
    places: BTreeMap<Place, BTreeSet<Dot>>,
    clock: Stamp,
    kept_max: usize,
}

/// What is known of a member's log.
#[derive(Debug, Clone, Default)]
struct Log {
    /// Up to here only the entries are held whose values count.
    base: u64,
    base_hash: Hash,
    /// Up to here it is known.
    head: u64,
    head_hash: Hash,
    /// The stamp at the head, where that entry is known.
    last: Stamp,
    /// Bytes of entries whose values count.
    live: usize,
}

#[derive(Debug)]
struct Held {
    entry: Entry,
    /// Whether it put a value that still counts.
    live: bool,
}

/// Why a change is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A value longer than [`VALUE_MAX_BYTES`].
    #[error("the value is longer than {VALUE_MAX_BYTES} bytes")]
    TooLong,
    /// More than [`REPLACES_MAX`] at once.
    #[error("more than {REPLACES_MAX} values are taken away at once: take them away in parts")]
    TooMany,
    /// This member has as much shared as it may.
    #[error(
        "this member shares {LIVE_MAX_BYTES} bytes already: take away what is not needed any more"
    )]
    Full,
    /// The stamps are used up: some member's clock was at the end of time.
    #[error("no later stamp than those seen can be made")]
    EndOfTime,
}

impl Shared {
    /// Of a member that knows nothing yet.
    pub fn new(site: SiteId, me: MemberId) -> Self {
        Self {
            site,
            me,
            logs: BTreeMap::new(),
            entries: BTreeMap::new(),
            order: BTreeSet::new(),
            places: BTreeMap::new(),
            clock: Stamp::default(),
            kept_max: KEPT_MAX,
        }
    }

    /// With another number of entries than [`KEPT_MAX`] that are kept for others to follow.
    #[must_use]
    pub fn keeping(self, kept_max: usize) -> Self {
        Self { kept_max, ..self }
    }

    /// The items of a set, in the order of who added them.
    pub fn items(&self, of: &Name) -> impl Iterator<Item = (&Dot, &[u8])> {
        self.values(&Place {
            of: of.clone(),
            field: None,
        })
    }

    /// The value of a field: of several that did not know of each other, the latest.
    pub fn field(&self, of: &Name, field: &Name) -> Option<&[u8]> {
        let place = Place {
            of: of.clone(),
            field: Some(field.clone()),
        };
        let dots = self.places.get(&place)?.iter();
        let held = dots.filter_map(|dot| self.entries.get(dot));
        let last = held.max_by_key(|held| (held.entry.stamp, &held.entry.dot))?;
        last.entry.put.as_ref().map(|put| put.value.as_slice())
    }

    /// Everything that counts, place by place.
    pub fn all(&self) -> impl Iterator<Item = (&Place, &Dot, &[u8])> {
        let places = self.places.iter();
        places.flat_map(|(place, dots)| {
            let values = dots.iter().filter_map(|dot| self.value(dot));
            values.map(move |(dot, value)| (place, dot, value))
        })
    }

    /// Adds an item to a set.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn add(
        &mut self,
        of: &Name,
        value: Vec<u8>,
        wall: u64,
        signer: &Signer,
    ) -> Result<Unsaved<Dot>, EditError> {
        let place = Place {
            of: of.clone(),
            field: None,
        };
        self.edit(Some(Put { place, value }), BTreeSet::new(), wall, signer)
    }

    /// Sets a field.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn set(
        &mut self,
        of: &Name,
        field: &Name,
        value: Vec<u8>,
        wall: u64,
        signer: &Signer,
    ) -> Result<Unsaved<Dot>, EditError> {
        let place = Place {
            of: of.clone(),
            field: Some(field.clone()),
        };
        let seen = self.places.get(&place).cloned().unwrap_or_default();
        self.edit(Some(Put { place, value }), seen, wall, signer)
    }

    /// Takes away items and values of fields, by the entries that put them. What does not count any
    /// more may be among them.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn take_away(
        &mut self,
        dots: impl IntoIterator<Item = Dot>,
        wall: u64,
        signer: &Signer,
    ) -> Result<Unsaved<Dot>, EditError> {
        let mut dots: BTreeSet<Dot> = dots.into_iter().collect();
        dots.retain(|dot| self.entries.get(dot).is_some_and(|held| held.live));
        self.edit(None, dots, wall, signer)
    }

    fn edit(
        &mut self,
        put: Option<Put>,
        replaces: BTreeSet<Dot>,
        wall: u64,
        signer: &Signer,
    ) -> Result<Unsaved<Dot>, EditError> {
        if put
            .as_ref()
            .is_some_and(|put| put.value.len() > VALUE_MAX_BYTES)
        {
            return Err(EditError::TooLong);
        }
        if replaces.len() > REPLACES_MAX {
            return Err(EditError::TooMany);
        }
        let log = self.logs.get(&self.me).cloned().unwrap_or_default();
        let draft = Draft {
            dot: Dot {
                member: self.me.clone(),
                number: log.head + 1,
            },
            previous: log.head_hash,
            stamp: self.clock.next(wall).ok_or(EditError::EndOfTime)?,
            put,
            replaces,
        };
        let entry = Entry::sign(draft, &self.site, signer);
        if self.live_with(&entry) > LIVE_MAX_BYTES {
            return Err(EditError::Full);
        }
        let dot = entry.dot.clone();
        let mut writes = Vec::new();
        self.apply(entry, &mut writes);
        self.trim(&mut writes);
        Ok(Unsaved::new(dot, writes))
    }

    /// Bytes that would count of the log of this entry, with it. An entry that takes away and puts
    /// nothing is always room for.
    fn live_with(&self, entry: &Entry) -> usize {
        if entry.put.is_none() {
            return 0;
        }
        let live = self.logs.get(&entry.dot.member).map_or(0, |log| log.live);
        let of_it = entry
            .replaces
            .iter()
            .filter(|dot| dot.member == entry.dot.member);
        let gone = of_it.filter_map(|dot| self.entries.get(dot).filter(|held| held.live));
        let gone: usize = gone.map(|held| held.entry.signed.len()).sum();
        (live + entry.signed.len()).saturating_sub(gone)
    }

    /// Takes the next entry of its log, which was found good.
    fn apply(&mut self, entry: Entry, writes: &mut Vec<Write>) {
        writes.push(kept::write_entry(&entry));
        self.insert_next(entry, writes);
    }

    fn insert_next(&mut self, entry: Entry, writes: &mut Vec<Write>) {
        for dot in &entry.replaces {
            self.end(dot, writes);
        }
        self.clock = self.clock.max(entry.stamp);
        let log = self.logs.entry(entry.dot.member.clone()).or_default();
        log.head = entry.dot.number;
        log.head_hash = entry.hash;
        log.last = entry.stamp;
        self.order.insert((entry.stamp, entry.dot.clone()));
        self.hold(entry);
    }

    /// Holds an entry, whose value counts if it put one.
    fn hold(&mut self, entry: Entry) {
        let live = entry.put.is_some();
        if let Some(put) = &entry.put {
            let dots = self.places.entry(put.place.clone()).or_default();
            dots.insert(entry.dot.clone());
            let log = self.logs.entry(entry.dot.member.clone()).or_default();
            log.live += entry.signed.len();
        }
        self.entries.insert(entry.dot.clone(), Held { entry, live });
    }

    /// From now on this entry's value does not count.
    fn end(&mut self, dot: &Dot, writes: &mut Vec<Write>) {
        let Some(held) = self.entries.get_mut(dot).filter(|held| held.live) else {
            return;
        };
        held.live = false;
        let size = held.entry.signed.len();
        if let Some(put) = &held.entry.put
            && let Some(dots) = self.places.get_mut(&put.place)
        {
            dots.remove(dot);
            if dots.is_empty() {
                let place = put.place.clone();
                self.places.remove(&place);
            }
        }
        let Some(log) = self.logs.get_mut(&dot.member) else {
            return;
        };
        log.live = log.live.saturating_sub(size);
        if dot.number <= log.base {
            self.entries.remove(dot);
            writes.push(Write::delete(kept::entry_key(dot)));
        }
    }

    fn values<'a>(&'a self, place: &Place) -> impl Iterator<Item = (&'a Dot, &'a [u8])> + use<'a> {
        let dots = self.places.get(place).into_iter().flatten();
        dots.filter_map(|dot| self.value(dot))
    }

    fn value(&self, dot: &Dot) -> Option<(&Dot, &[u8])> {
        let held = self.entries.get(dot)?;
        let put = held.entry.put.as_ref()?;
        Some((&held.entry.dot, put.value.as_slice()))
    }
}
