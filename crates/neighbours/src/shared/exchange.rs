//! How two members come to know the same: one says how far it knows each log, the other gives what
//! comes after, causes before effects.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::{Reader, Unreadable, Writer, ascending};
use crate::entry::{
    DOT_MAX_BYTES, Dot, ENTRY_MAX_BYTES, Entry, Hash, NotOpened, Stamp, read_number,
};
use crate::name::MemberId;
use crate::record::{Unsaved, Write};
use crate::roster::{MEMBERS_MAX, Roster};

use super::kept;
use super::{LIVE_MAX_BYTES, Log, Shared};

/// Most entries that are given at a time, beside those of a snapshot.
pub const GIVE_MAX_ENTRIES: usize = 512;
/// So many bytes of entries at a time, and the one with which they are more.
pub const GIVE_MAX_BYTES: usize = 256 * 1024;
/// Most logs: of members and of former ones.
const LOGS_MAX: usize = 2 * MEMBERS_MAX;
/// Most that counts of all logs, in bytes: what the longest snapshot holds.
pub const SNAPSHOT_MAX_BYTES: usize = LOGS_MAX * 2 * LIVE_MAX_BYTES;
/// No entry that puts a value is shorter: signature, hash, stamp.
const ENTRY_MIN_BYTES: usize = 64 + 32 + 12;
const LIVE_MAX_ENTRIES: usize = SNAPSHOT_MAX_BYTES / ENTRY_MIN_BYTES;

/// How far a member knows each log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Vector(BTreeMap<MemberId, u64>);

impl Vector {
    /// Longest encoding, in bytes.
    pub const MAX_BYTES: usize = 4 + LOGS_MAX * DOT_MAX_BYTES;

    /// How far the log of this member is known; 0 where it is not.
    pub fn known(&self, member: &MemberId) -> u64 {
        self.0.get(member).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, member: &MemberId, known: u64) {
        self.0.insert(member.clone(), known);
    }

    /// Whether it knows something that `other` does not.
    pub fn is_beyond(&self, other: &Self) -> bool {
        self.0
            .iter()
            .any(|(member, head)| *head > other.known(member))
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.list(self.0.iter(), |to, (member, head)| {
            member.write(to);
            to.number64(*head);
        });
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let heads = from.list(LOGS_MAX, |from| {
            Ok((MemberId::read(from)?, from.number64()?))
        })?;
        ascending(heads.iter().map(|(member, _)| member))?;
        Ok(Self(heads.into_iter().collect()))
    }
}

/// What a member gives to another that knows less.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Give {
    /// The epoch of the roster by which it was put together.
    pub epoch: u64,
    pub(super) snapshot: Option<Snapshot>,
    /// Entries in the order of their stamps.
    pub(super) entries: Vec<Vec<u8>>,
    /// Whether there is more to be asked for.
    pub more: bool,
}

/// What counts of the logs up to their bases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    clock: Stamp,
    bases: Vec<(MemberId, u64, Hash)>,
    live: BTreeSet<Dot>,
    /// Those of them that the other one does not have.
    pub(super) entries: Vec<Vec<u8>>,
}

impl Give {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.number64(self.epoch);
        to.byte(self.snapshot.is_some().into());
        if let Some(snapshot) = &self.snapshot {
            snapshot.clock.write(to);
            to.list(snapshot.bases.iter(), |to, (member, base, hash)| {
                member.write(to);
                to.number64(*base);
                to.plain(hash);
            });
            to.list(snapshot.live.iter(), |to, dot| dot.write(to));
            to.list(snapshot.entries.iter(), |to, entry| to.bytes(entry));
        }
        to.list(self.entries.iter(), |to, entry| to.bytes(entry));
        to.byte(self.more.into());
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let entry = |from: &mut Reader<'_>| from.bytes(ENTRY_MAX_BYTES).map(<[u8]>::to_vec);
        let epoch = from.number64()?;
        let snapshot = if from.flag()? {
            let clock = Stamp::read(from)?;
            let bases = from.list(LOGS_MAX, |from| {
                Ok((MemberId::read(from)?, read_number(from)?, from.array()?))
            })?;
            ascending(bases.iter().map(|(member, _, _)| member))?;
            let live = from.list(LIVE_MAX_ENTRIES, Dot::read)?;
            ascending(&live)?;
            Some(Snapshot {
                clock,
                bases,
                live: live.into_iter().collect(),
                entries: from.list(LIVE_MAX_ENTRIES, entry)?,
            })
        } else {
            None
        };
        Ok(Self {
            epoch,
            snapshot,
            entries: from.list(GIVE_MAX_ENTRIES, entry)?,
            more: from.flag()?,
        })
    }
}

/// Why an entry, and what comes after it in its log, is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotTaken {
    /// No entry of a member.
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    /// Another entry of this number is known, or the one before it is another: the member wrote two
    /// logs, as a device does whose disk was put back to an earlier state.
    #[error(
        "the member's log goes two ways: was its disk put back? It is to be enrolled anew under another name"
    )]
    Forked,
    /// The entry before it is not known.
    #[error("the entry before it is not known")]
    Gap,
    /// It takes the place of what is not known yet, or its stamp is not after what it follows.
    #[error("it comes before what it follows")]
    Early,
    /// More counts of one member than may.
    #[error("the member shares more than it may")]
    TooMuch,
    /// What counts was said and not given.
    #[error("what is given is not whole")]
    Partial,
}

/// What became of what was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many entries were new.
    pub entries: usize,
    /// Whether what counts was taken all at once.
    pub snapshot: bool,
    /// What was refused, the first of each log; no member where it cannot be told.
    pub refused: Vec<(Option<MemberId>, NotTaken)>,
}

impl Shared {
    /// How far this member knows each log.
    pub fn vector(&self) -> Vector {
        let heads = self
            .logs
            .iter()
            .map(|(member, log)| (member.clone(), log.head));
        Vector(heads.collect())
    }

    /// What comes after `known`, as much as is given at a time.
    pub fn give(&self, known: &Vector, epoch: u64) -> Give {
        let mut give = Give {
            epoch,
            ..Give::default()
        };
        let mut known = known.clone();
        if self
            .logs
            .iter()
            .any(|(member, log)| known.known(member) < log.base)
        {
            give.snapshot = Some(self.snapshot(&known));
            for (member, log) in &self.logs {
                let head = known.0.entry(member.clone()).or_default();
                *head = (*head).max(log.base);
            }
        }
        let mut bytes = 0;
        for (_, dot) in &self.order {
            if dot.number <= known.known(&dot.member) {
                continue;
            }
            if bytes >= GIVE_MAX_BYTES || give.entries.len() >= GIVE_MAX_ENTRIES {
                give.more = true;
                break;
            }
            if let Some(held) = self.entries.get(dot) {
                bytes += held.entry.signed.len();
                give.entries.push(held.entry.signed.to_vec());
            }
        }
        give
    }

    fn snapshot(&self, known: &Vector) -> Snapshot {
        let mut snapshot = Snapshot {
            clock: self.clock,
            ..Snapshot::default()
        };
        for (member, log) in self.logs.iter().filter(|(_, log)| log.base > 0) {
            let base = (member.clone(), log.base, log.base_hash);
            snapshot.bases.push(base);
            for dot in self.dots_of(member).filter(|dot| dot.number <= log.base) {
                let Some(held) = self.entries.get(dot) else {
                    continue;
                };
                snapshot.live.insert(dot.clone());
                if dot.number > known.known(member) {
                    snapshot.entries.push(held.entry.signed.to_vec());
                }
            }
        }
        snapshot
    }

    /// Takes what another member gave.
    pub fn take(&mut self, give: &Give, roster: &Roster) -> Unsaved<Taken> {
        let mut taken = Taken::default();
        let mut writes = Vec::new();
        if let Some(snapshot) = &give.snapshot {
            match self.open_snapshot(snapshot, roster) {
                Ok(entries) => {
                    taken.snapshot = true;
                    taken.entries += entries.len();
                    self.take_snapshot(snapshot, entries, roster, &mut writes);
                }
                Err(why) => {
                    taken.refused.push((None, why));
                    return Unsaved::new(taken, writes);
                }
            }
        }
        let mut stopped = BTreeSet::new();
        for bytes in &give.entries {
            let entry = match Entry::open(bytes, &self.site, |id| roster.author(id)) {
                Ok(entry) => entry,
                Err(why) => {
                    taken.refused.push((None, why.into()));
                    break;
                }
            };
            let member = entry.dot.member.clone();
            if stopped.contains(&member) {
                continue;
            }
            match self.check_next(&entry, roster) {
                Ok(false) => {}
                Ok(true) => {
                    taken.entries += 1;
                    self.apply(entry, &mut writes);
                }
                Err(why) => {
                    stopped.insert(member.clone());
                    taken.refused.push((Some(member), why));
                }
            }
        }
        self.trim(&mut writes);
        Unsaved::new(taken, writes)
    }

    /// Whether an entry is new and the next one of its log.
    fn check_next(&self, entry: &Entry, roster: &Roster) -> Result<bool, NotTaken> {
        let log = self.logs.get(&entry.dot.member);
        let (head, head_hash) = log.map_or((0, Hash::default()), |log| (log.head, log.head_hash));
        if entry.dot.number <= head {
            let held = self.entries.get(&entry.dot);
            return match held {
                Some(held) if held.entry.hash != entry.hash => Err(NotTaken::Forked),
                Some(_) | None => Ok(false),
            };
        }
        if entry.dot.number > head + 1 {
            return Err(NotTaken::Gap);
        }
        if entry.previous != head_hash {
            return Err(NotTaken::Forked);
        }
        let early = |dot: &Dot| {
            let log = self.logs.get(&dot.member);
            let known = log.map_or(0, |log| log.head);
            // Logs of those whom the roster does not list any more are forgotten.
            let unknown = dot.number > known && roster.author(&dot.member).is_some();
            let held = self.entries.get(dot);
            unknown || held.is_some_and(|held| held.entry.stamp >= entry.stamp)
        };
        if log.is_some_and(|log| log.last >= entry.stamp) || entry.replaces.iter().any(early) {
            return Err(NotTaken::Early);
        }
        if self.live_with(entry) > 2 * LIVE_MAX_BYTES {
            return Err(NotTaken::TooMuch);
        }
        Ok(true)
    }

    /// The entries of a snapshot that are new here, if it is whole.
    fn open_snapshot(&self, snapshot: &Snapshot, roster: &Roster) -> Result<Vec<Entry>, NotTaken> {
        let bases = snapshot.bases.iter();
        let bases: BTreeMap<&MemberId, u64> =
            bases.map(|(member, base, _)| (member, *base)).collect();
        for (member, base, hash) in &snapshot.bases {
            let log = self.logs.get(member);
            let held = log.and_then(|log| self.hash_at(member, log, *base));
            if held.is_some_and(|held| held != *hash) {
                return Err(NotTaken::Forked);
            }
        }
        let new = |dot: &Dot| {
            let head = self.logs.get(&dot.member).map_or(0, |log| log.head);
            dot.number > head && roster.author(&dot.member).is_some()
        };
        let mut missing: BTreeSet<&Dot> = snapshot.live.iter().filter(|dot| new(dot)).collect();
        let mut entries = Vec::new();
        let mut sizes: BTreeMap<MemberId, usize> = BTreeMap::new();
        for bytes in &snapshot.entries {
            let entry = match Entry::open(bytes, &self.site, |id| roster.author(id)) {
                Ok(entry) => entry,
                Err(NotOpened::Stranger) => continue,
                Err(why @ (NotOpened::Unreadable | NotOpened::Forged)) => return Err(why.into()),
            };
            let within = bases
                .get(&entry.dot.member)
                .is_some_and(|base| entry.dot.number <= *base);
            if !within || !snapshot.live.contains(&entry.dot) || entry.put.is_none() {
                return Err(NotTaken::Partial);
            }
            if missing.remove(&entry.dot) {
                let size = sizes.entry(entry.dot.member.clone()).or_default();
                *size += entry.signed.len();
                if *size > 2 * LIVE_MAX_BYTES {
                    return Err(NotTaken::TooMuch);
                }
                entries.push(entry);
            }
        }
        if missing.is_empty() {
            Ok(entries)
        } else {
            Err(NotTaken::Partial)
        }
    }

    fn hash_at(&self, member: &MemberId, log: &Log, number: u64) -> Option<Hash> {
        if number == log.base {
            return Some(log.base_hash);
        }
        let dot = Dot {
            member: member.clone(),
            number,
        };
        self.entries.get(&dot).map(|held| held.entry.hash)
    }

    /// What counts at the other one up to its bases, and is known here, goes on to count where it
    /// counts here; what does not count there, does not here either.
    fn take_snapshot(
        &mut self,
        snapshot: &Snapshot,
        entries: Vec<Entry>,
        roster: &Roster,
        writes: &mut Vec<Write>,
    ) {
        self.clock = self.clock.max(snapshot.clock);
        for (member, base, hash) in &snapshot.bases {
            if roster.author(member).is_none() {
                continue;
            }
            let dots = self.dots_of(member).filter(|dot| dot.number <= *base);
            let dots: Vec<Dot> = dots.cloned().collect();
            for dot in dots.iter().filter(|dot| !snapshot.live.contains(dot)) {
                self.end(dot, writes);
            }
            let log = self.logs.entry(member.clone()).or_default();
            if log.base >= *base {
                continue;
            }
            // Also where the log is known further: a base is never to stand before an entry that one
            // behind another base took the place of.
            log.base = *base;
            log.base_hash = *hash;
            if log.head < *base {
                log.head = *base;
                log.head_hash = *hash;
                log.last = Stamp::default();
            }
            writes.push(kept::write_base(member, log));
            for dot in dots {
                self.settle(&dot, writes);
            }
        }
        for entry in entries {
            writes.push(kept::write_entry(&entry));
            self.hold(entry);
        }
        writes.push(kept::write_clock(self.clock));
    }

    /// An entry that lies before its log's base now is held only as long as its value counts.
    fn settle(&mut self, dot: &Dot, writes: &mut Vec<Write>) {
        let Some(held) = self.entries.get(dot) else {
            return;
        };
        self.order.remove(&(held.entry.stamp, dot.clone()));
        if !held.live {
            self.entries.remove(dot);
            writes.push(Write::delete(kept::entry_key(dot)));
        }
    }
}
