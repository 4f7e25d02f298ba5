//! Which member coordinates: one a site, or one in each part of a site that is cut in two.
//!
//! The member of the lowest rank among those who are heard holds a lease. Each lease has a fence that
//! is higher than all before it, and what a coordinator does carries its fence: who knows a higher one
//! refuses it. Nothing that must be right leans on there being one coordinator only.

use std::time::{Duration, Instant};

use crate::codec::{Reader, Unreadable, Writer};
use crate::name::MemberId;
use crate::record::{Damaged, Write};

#[cfg(test)]
mod tests;

/// How often a member says that it is there.
pub const BEAT: Duration = Duration::from_millis(500);
/// Whoever is not heard for so long is away, and so long a lease holds without being renewed: one
/// lost beat, or three, do not end it, and a new coordinator is there within three seconds.
pub const SEEN: Duration = Duration::from_secs(2);
/// Who has just begun, or has slept over its lease, listens for so long before it claims one.
pub const LISTEN: Duration = Duration::from_secs(1);

const FENCE: &[u8] = b"fence";

/// What tells a lease from all others of the site: no two are equal, since no member claims a term
/// twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence {
    /// Higher than every one that its holder knew.
    pub term: u64,
    /// Who holds it.
    pub holder: MemberId,
}

impl Fence {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.number64(self.term);
        self.holder.write(to);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            term: from.number64()?,
            holder: MemberId::read(from)?,
        })
    }

    fn kept(&self) -> Write {
        let mut to = Writer::default();
        self.write(&mut to);
        Write::put(FENCE.to_vec(), to.into_bytes())
    }
}

/// A coordinator that does not know yet that another took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another coordinator has taken the place of this one")]
pub struct FencedOff;

/// The lease as one member sees it.
#[derive(Debug)]
pub(crate) struct Lease {
    me: MemberId,
    /// The highest fence met so far, which is on the disk.
    highest: Option<Fence>,
    /// When the holder of the highest fence was last heard to hold it.
    heard: Option<Instant>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Listening {
        until: Instant,
    },
    Following,
    /// The highest fence is its own.
    Holding {
        until: Instant,
    },
}

impl Lease {
    pub(crate) fn restore<'a>(
        me: MemberId,
        kept: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        now: Instant,
    ) -> Result<Self, Damaged> {
        let fence = kept.into_iter().find(|(key, _)| *key == FENCE);
        let highest = fence
            .map(|(key, value)| Fence::read(&mut Reader::new(value)).map_err(|_| Damaged::at(key)));
        Ok(Self {
            me,
            highest: highest.transpose()?,
            heard: None,
            state: State::Listening {
                until: now + LISTEN,
            },
        })
    }

    pub(crate) fn highest(&self) -> Option<&Fence> {
        self.highest.as_ref()
    }

    /// Whether this member coordinates.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        matches!(self.state, State::Holding { until } if now < until)
    }

    /// The fence of who coordinates, as far as this member knows.
    pub(crate) fn coordinator(&self, now: Instant) -> Option<&Fence> {
        let heard = self.heard.is_some_and(|heard| now < heard + SEEN);
        self.highest.as_ref().filter(|_| heard || self.holds(now))
    }

    /// Somebody knows this fence, and holds it where `holds`.
    pub(crate) fn handle_fence(
        &mut self,
        fence: &Fence,
        holds: bool,
        now: Instant,
    ) -> Option<Write> {
        let higher = self.highest.as_ref().is_none_or(|highest| fence > highest);
        if higher {
            self.highest = Some(fence.clone());
            self.heard = None;
            if let State::Holding { .. } = self.state {
                self.state = State::Following;
            }
        }
        if holds && self.highest.as_ref() == Some(fence) && fence.holder != self.me {
            self.heard = Some(now);
        }
        higher.then(|| fence.kept())
    }

    /// Renews the lease, or claims one: `lowest` says that nobody who is heard ranks before this one.
    /// A claim counts once it is written.
    pub(crate) fn handle_timeout(&mut self, lowest: bool, now: Instant) -> Option<Write> {
        match self.state {
            State::Holding { until } if now < until => {
                self.state = State::Holding { until: now + SEEN };
            }
            // It slept: others may have claimed meanwhile.
            State::Holding { .. } => {
                self.state = State::Listening {
                    until: now + LISTEN,
                };
            }
            State::Listening { until } if now < until => {}
            State::Listening { .. } | State::Following if lowest => return Some(self.claim(now)),
            State::Listening { .. } | State::Following => self.state = State::Following,
        }
        None
    }

    fn claim(&mut self, now: Instant) -> Write {
        let term = self.highest.as_ref().map_or(0, |highest| highest.term);
        let fence = Fence {
            term: term.saturating_add(1),
            holder: self.me.clone(),
        };
        let kept = fence.kept();
        self.highest = Some(fence);
        self.state = State::Holding { until: now + SEEN };
        kept
    }

    /// Whether what carries this fence is to be done, as far as this member knows.
    pub(crate) fn admit(&self, fence: &Fence) -> Result<(), FencedOff> {
        match &self.highest {
            Some(highest) if fence < highest => Err(FencedOff),
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Listening { until } => Some(until),
            State::Following | State::Holding { .. } => None,
        }
    }
}
