//! What is kept of the shared state on the disk, and how much: the newest entries, and older ones
//! as long as their values count.

use std::collections::BTreeSet;

use crate::codec::{Reader, Unreadable, Writer};
use crate::entry::{Dot, Entry, Stamp};
use crate::name::{MemberId, SiteId};
use crate::record::{Damaged, Write};

use super::{Log, Shared};

/// Most entries that are kept only so that others can follow one by one. Who is further behind is
/// given what counts, all at once.
pub const KEPT_MAX: usize = 4096;
/// So many are let go at a time.
const TRIMMED: usize = 256;

const ENTRY: &[u8] = b"entry/";
const BASE: &[u8] = b"base/";
const CLOCK: &[u8] = b"clock";

pub(super) fn entry_key(dot: &Dot) -> Vec<u8> {
    let number = dot.number.to_be_bytes();
    [ENTRY, dot.member.as_str().as_bytes(), b"\0", &number].concat()
}

pub(super) fn write_entry(entry: &Entry) -> Write {
    Write::put(entry_key(&entry.dot), entry.signed.to_vec())
}

fn base_key(member: &MemberId) -> Vec<u8> {
    [BASE, member.as_str().as_bytes()].concat()
}

pub(super) fn write_base(member: &MemberId, log: &Log) -> Write {
    let mut to = Writer::default();
    member.write(&mut to);
    to.number64(log.base);
    to.plain(&log.base_hash);
    Write::put(base_key(member), to.into_bytes())
}

pub(super) fn write_clock(clock: Stamp) -> Write {
    let mut to = Writer::default();
    clock.write(&mut to);
    Write::put(CLOCK.to_vec(), to.into_bytes())
}

fn read_base(value: &[u8]) -> Result<(MemberId, Log), Unreadable> {
    let mut from = Reader::new(value);
    let member = MemberId::read(&mut from)?;
    let base = from.number64()?;
    let base_hash = from.array()?;
    from.end()?;
    let log = Log {
        base,
        base_hash,
        head: base,
        head_hash: base_hash,
        ..Log::default()
    };
    Ok((member, log))
}

impl Shared {
    /// From what was kept; keys of others are passed over.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn restore<'a>(
        site: SiteId,
        me: MemberId,
        kept: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, Damaged> {
        let mut shared = Self::new(site, me);
        let mut entries = Vec::new();
        for (key, value) in kept {
            let damaged = |_: Unreadable| Damaged::at(key);
            if key.starts_with(ENTRY) {
                entries.push(Entry::kept(value).map_err(damaged)?);
            } else if key.starts_with(BASE) {
                let (member, log) = read_base(value).map_err(damaged)?;
                shared.logs.insert(member, log);
            } else if key == CLOCK {
                shared.clock = Stamp::read(&mut Reader::new(value)).map_err(damaged)?;
            }
        }
        entries
            .sort_unstable_by(|one, other| (one.stamp, &one.dot).cmp(&(other.stamp, &other.dot)));
        let base =
            |shared: &Self, dot: &Dot| shared.logs.get(&dot.member).map_or(0, |log| log.base);
        let (old, new): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| entry.dot.number <= base(&shared, &entry.dot));
        for entry in old {
            shared.clock = shared.clock.max(entry.stamp);
            shared.hold(entry);
        }
        for entry in new {
            let log = shared.logs.entry(entry.dot.member.clone()).or_default();
            if entry.dot.number != log.head + 1 || entry.previous != log.head_hash {
                return Err(Damaged::at(&entry_key(&entry.dot)));
            }
            // What it takes away before the base was taken away on the disk with it.
            shared.insert_next(entry, &mut Vec::new());
        }
        Ok(shared)
    }

    /// Moves the bases on where too many entries are kept.
    pub(super) fn trim(&mut self, writes: &mut Vec<Write>) {
        if self.order.len() <= self.kept_max {
            return;
        }
        let mut moved = BTreeSet::new();
        for _ in 0..TRIMMED {
            let Some((_, dot)) = self.order.pop_first() else {
                break;
            };
            let (Some(held), Some(log)) = (self.entries.get(&dot), self.logs.get_mut(&dot.member))
            else {
                continue;
            };
            log.base = dot.number;
            log.base_hash = held.entry.hash;
            if !held.live {
                self.entries.remove(&dot);
                writes.push(Write::delete(entry_key(&dot)));
            }
            moved.insert(dot.member);
        }
        let logs = moved
            .iter()
            .filter_map(|member| self.logs.get_key_value(member));
        writes.extend(logs.map(|(member, log)| write_base(member, log)));
        writes.push(write_clock(self.clock));
    }

    /// Forgets the logs of those whom `stays` does not name, with all that they put.
    pub fn forget(&mut self, stays: impl Fn(&MemberId) -> bool) -> Vec<Write> {
        let gone: Vec<MemberId> = self.logs.keys().filter(|it| !stays(it)).cloned().collect();
        let mut writes = Vec::new();
        for member in gone {
            let dots: Vec<Dot> = self.dots_of(&member).cloned().collect();
            for dot in dots {
                self.end(&dot, &mut Vec::new());
                if let Some(held) = self.entries.remove(&dot) {
                    self.order.remove(&(held.entry.stamp, dot.clone()));
                }
                writes.push(Write::delete(entry_key(&dot)));
            }
            self.logs.remove(&member);
            writes.push(Write::delete(base_key(&member)));
        }
        if !writes.is_empty() {
            writes.push(write_clock(self.clock));
        }
        writes
    }

    /// The entries of a member that are held.
    pub(super) fn dots_of<'a>(
        &'a self,
        member: &MemberId,
    ) -> impl Iterator<Item = &'a Dot> + use<'a> {
        let all = |number| Dot {
            member: member.clone(),
            number,
        };
        self.entries
            .range(all(0)..=all(u64::MAX))
            .map(|(dot, _)| dot)
    }
}
