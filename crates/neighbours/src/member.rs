//! One member of a site: everything it does among its neighbours, driven by what it hears and by the
//! time.
//!
//! The caller hands in messages that it found to be of whom they say ([`Member::handle_message`]) and
//! calls [`Member::handle_timeout`] when [`Member::poll_timeout`] says so. After each of them, and
//! after each change of its own, it does what [`Member::poll_output`] gives, in that order: what
//! stands behind an [`Output::Write`] counts only once that is on the disk. Where writing fails,
//! memory is ahead of the disk, and the member is to begin anew from what is kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use outgate_signed_http::{Signer, VerifyingKey};

use crate::entry::Dot;
use crate::lease::{BEAT, Fence, Lease, SEEN};
use crate::message::{Beat, Message};
use crate::name::{MemberId, Name, SiteId};
use crate::number::{Number, Numbers};
use crate::record::{Damaged, Unsaved, Write};
use crate::roster::{Listed, NotBelieved, RosterError, Trust};
use crate::shared::{EditError, NotTaken, Shared, Vector};
use crate::uplink::{self, Source, There, Way};

mod hear;
#[cfg(test)]
mod tests;

/// What is changed here is told to others after so long, together with what is changed meanwhile.
const SOON: Duration = Duration::from_millis(30);
/// So long an answer is waited for before another member is asked.
const ASK: Duration = Duration::from_millis(500);

const ROSTER: &[u8] = b"roster";

/// The time, which the caller reads.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By a clock that never goes back.
    pub instant: Instant,
    /// By the clock on the wall, in milliseconds since 1970 (UTC).
    pub wall: u64,
}

/// What a member is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To be written to the disk, all together, before anything that stands behind it is done.
    Write(Vec<Write>),
    /// To be sent. It may be lost.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        message: Message,
    },
}

/// Who a member is.
#[derive(Debug)]
pub struct Identity {
    /// Its site.
    pub site: SiteId,
    /// The public key of the site, by which the hub signs rosters.
    pub site_key: VerifyingKey,
    /// Its name.
    pub id: MemberId,
    /// Its key.
    pub signer: Signer,
}

/// Why a member cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// What is kept cannot be read.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The roster is not good.
    #[error("the roster with which to begin is refused")]
    Roster(#[from] RosterError),
}

/// Something that was heard and is not acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// By whom nothing is believed.
    #[error(transparent)]
    NotBelieved(#[from] NotBelieved),
    /// A roster that is not signed by the site's key, is of another site, or not newer.
    #[error("a roster that is not to be taken")]
    Roster,
    /// Entries that are not to be taken.
    #[error(transparent)]
    Entries(#[from] NotTaken),
    /// The act of a coordinator whose place another has taken.
    #[error("the act of a coordinator whose place another has taken")]
    Fenced,
    /// Tickets that were dealt out already, or to another.
    #[error("tickets that were dealt out already, or to another")]
    Tickets,
    /// Asked or given by another roster than this member's.
    #[error("by another roster than this member's")]
    OtherRoster,
}

/// One member of a site.
#[derive(Debug)]
pub struct Member {
    me: MemberId,
    signer: Signer,
    trust: Trust,
    shared: Shared,
    numbers: Numbers,
    lease: Lease,
    seen: BTreeMap<MemberId, Seen>,
    /// Members whose logs go two ways.
    forked: BTreeSet<MemberId>,
    uplink: bool,
    through: Option<MemberId>,
    next_beat: Instant,
    asked: Option<(MemberId, Instant)>,
    asked_tickets: Option<Instant>,
    refused: BTreeMap<Refusal, u64>,
    outputs: VecDeque<Output>,
}

/// What was last heard of a member.
#[derive(Debug)]
struct Seen {
    at: Instant,
    epoch: u64,
    known: Vector,
    uplink: bool,
}

impl Member {
    /// Begins with the roster that the hub gave, or a newer one that is kept, and with all that is
    /// kept.
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin(
        identity: Identity,
        roster: &[u8],
        kept: &BTreeMap<Vec<u8>, Vec<u8>>,
        now: Moment,
    ) -> Result<Self, BeginError> {
        let Identity {
            site,
            site_key,
            id,
            signer,
        } = identity;
        let pairs = || {
            kept.iter()
                .map(|(key, value)| (key.as_slice(), value.as_slice()))
        };
        let first = kept.get(ROSTER).map_or(roster, Vec::as_slice);
        let trust = Trust::new(site.clone(), site_key, first.to_vec())?;
        let mut member = Self {
            shared: Shared::restore(site, id.clone(), pairs())?,
            numbers: Numbers::restore(id.clone(), pairs())?,
            lease: Lease::restore(id.clone(), pairs(), now.instant)?,
            me: id,
            signer,
            trust,
            seen: BTreeMap::new(),
            forked: BTreeSet::new(),
            uplink: false,
            through: None,
            next_beat: now.instant,
            asked: None,
            asked_tickets: None,
            refused: BTreeMap::new(),
            outputs: VecDeque::new(),
        };
        if !kept.contains_key(ROSTER) {
            member.keep_roster(Vec::new());
        }
        match member.handle_roster(roster, now) {
            Ok(()) | Err(RosterError::Old | RosterError::Twice) => Ok(member),
            Err(why) => Err(why.into()),
        }
    }

    /// With another number of entries than [`KEPT_MAX`](crate::KEPT_MAX) that are kept for others.
    #[must_use]
    pub fn keeping(mut self, kept_max: usize) -> Self {
        self.shared = self.shared.keeping(kept_max);
        self
    }

    /// Its name.
    pub fn id(&self) -> &MemberId {
        &self.me
    }

    /// Whom it believes.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// What is shared, as far as it knows.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Who is there, beside itself.
    pub fn there(&self) -> impl Iterator<Item = &MemberId> {
        self.seen.keys()
    }

    /// Who of them has a way of its own to the hub.
    pub fn linked(&self) -> impl Iterator<Item = &MemberId> {
        let linked = self.seen.iter().filter(|(_, seen)| seen.uplink);
        linked.map(|(id, _)| id)
    }

    /// Whose log goes two ways: their disks were put back, and they are to be enrolled anew under
    /// other names.
    pub fn forked(&self) -> impl Iterator<Item = &MemberId> {
        self.forked.iter()
    }

    /// What was refused since it began, and how often.
    pub fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> {
        self.refused.iter().map(|(why, count)| (*why, *count))
    }

    /// Who coordinates, if somebody does.
    pub fn coordinator(&self, now: Moment) -> Option<&Fence> {
        self.lease.coordinator(now.instant)
    }

    /// Adds an item to a set.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn add(
        &mut self,
        of: &Name,
        value: Vec<u8>,
        now: Moment,
    ) -> Result<Unsaved<Dot>, EditError> {
        let added = self.shared.add(of, value, now.wall, &self.signer)?;
        self.tell_soon(now);
        Ok(added)
    }

    /// Adds an item with the next receipt: both are on the disk, or neither.
    ///
    /// # Errors
    /// [`EditError`]; then the number is not used.
    pub fn add_with_receipt(
        &mut self,
        of: &Name,
        value: impl FnOnce(&Number) -> Vec<u8>,
        now: Moment,
    ) -> Result<Unsaved<(Number, Dot)>, EditError> {
        let number = self.numbers.next_receipt();
        let added = self.add(of, value(&number), now)?;
        let counted = self.numbers.receipt();
        Ok(counted.and(added))
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
        now: Moment,
    ) -> Result<Unsaved<Dot>, EditError> {
        let set = self.shared.set(of, field, value, now.wall, &self.signer)?;
        self.tell_soon(now);
        Ok(set)
    }

    /// Takes away items and values of fields.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn take_away(
        &mut self,
        dots: impl IntoIterator<Item = Dot>,
        now: Moment,
    ) -> Result<Unsaved<Dot>, EditError> {
        let taken = self.shared.take_away(dots, now.wall, &self.signer)?;
        self.tell_soon(now);
        Ok(taken)
    }

    /// The next receipt, for who keeps it elsewhere than in what is shared.
    pub fn receipt(&mut self) -> Unsaved<Number> {
        self.numbers.receipt()
    }

    /// The next ticket. It never waits for anybody.
    pub fn ticket(&mut self, now: Moment) -> Unsaved<Number> {
        let ticket = self.numbers.ticket();
        self.ask_tickets(now);
        ticket
    }

    /// Says whether this member has a way of its own to the hub.
    pub fn set_uplink(&mut self, up: bool, now: Moment) {
        if self.uplink != up {
            self.uplink = up;
            self.tell_soon(now);
        }
    }

    /// How what is for the hub gets there now.
    pub fn way(&mut self, now: Moment) -> Way {
        let coordinator = self.lease.coordinator(now.instant);
        let coordinator = coordinator.map(|fence| &fence.holder);
        let there = self.there_with_ranks();
        let way = uplink::way(self.uplink, self.through.as_ref(), coordinator, there);
        self.through = match &way {
            Way::Through(id) => Some(id.clone()),
            Way::Own | Way::None => None,
        };
        way
    }

    /// Where to get a file that all of the site need, by its digest.
    pub fn source(&self, digest: &[u8]) -> Source {
        uplink::source(digest, &self.me, self.uplink, self.there_with_ranks())
    }

    /// Takes a roster, from the hub or from anybody.
    ///
    /// # Errors
    /// [`RosterError`].
    pub fn handle_roster(&mut self, signed: &[u8], now: Moment) -> Result<(), RosterError> {
        let before = self.trust.roster().clone();
        if !self.trust.adopt(signed)? {
            return Ok(());
        }
        // The logs of whom the roster does not list, or lists with another key, count no more.
        let roster = self.trust.roster();
        let stays = |id: &MemberId| {
            roster
                .author(id)
                .is_some_and(|key| before.author(id) == Some(key))
        };
        let forgotten = self.shared.forget(stays);
        self.seen
            .retain(|id, _| roster.members.iter().any(|one| one.id == *id));
        self.forked.retain(stays);
        self.keep_roster(forgotten);
        self.tell_soon(now);
        Ok(())
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        let instant = now.instant;
        let trust = &self.trust;
        self.seen.retain(|id, seen| {
            instant < seen.at + SEEN && trust.roster().member(id, now.wall / 1000).is_ok()
        });
        if self
            .asked
            .as_ref()
            .is_some_and(|(_, until)| *until <= instant)
        {
            self.asked = None;
        }
        let held = self.lease.holds(instant);
        let lowest = self.is_lowest(now);
        if let Some(claim) = self.lease.handle_timeout(lowest, instant) {
            self.outputs.push_back(Output::Write(vec![claim]));
        }
        if held != self.lease.holds(instant) {
            self.next_beat = instant;
        }
        if self.next_beat <= instant {
            self.next_beat = instant + BEAT;
            self.beat(now);
            self.ask_tickets(now);
        }
    }

    /// What is to be done next, in this order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called, at the latest.
    pub fn poll_timeout(&self) -> Instant {
        let seen = self.seen.values().map(|seen| seen.at + SEEN);
        let asked = self.asked.iter().map(|(_, until)| *until);
        let others = seen.chain(asked).chain(self.lease.poll_timeout());
        others.fold(self.next_beat, Instant::min)
    }

    fn is_lowest(&self, now: Moment) -> bool {
        // Who is not believed by its own roster would not be heard by others.
        let Ok(own) = self.trust.roster().member(&self.me, now.wall / 1000) else {
            return false;
        };
        let own = rank(own);
        self.there_with_ranks().all(|one| one.rank > own)
    }

    fn there_with_ranks(&self) -> impl Iterator<Item = There<'_>> {
        let members = self.trust.roster().members.iter();
        members.filter_map(|member| {
            self.seen.get(&member.id).map(|seen| There {
                id: &member.id,
                rank: rank(member),
                uplink: seen.uplink,
            })
        })
    }

    fn keep_roster(&mut self, mut writes: Vec<Write>) {
        writes.push(Write::put(ROSTER.to_vec(), self.trust.signed().to_vec()));
        self.outputs.push_back(Output::Write(writes));
    }

    fn tell_soon(&mut self, now: Moment) {
        self.next_beat = self.next_beat.min(now.instant + SOON);
    }

    fn beat(&mut self, now: Moment) {
        let beat = Beat {
            epoch: self.trust.roster().epoch,
            known: self.shared.vector(),
            fence: self.lease.highest().cloned(),
            holds: self.lease.holds(now.instant),
            uplink: self.uplink,
        };
        for member in &self.trust.roster().members {
            if member.id != self.me && member.not_after >= now.wall / 1000 {
                self.outputs.push_back(Output::Send {
                    to: member.id.clone(),
                    message: Message::Beat(beat.clone()),
                });
            }
        }
    }

    fn ask_tickets(&mut self, now: Moment) {
        let asked = self.asked_tickets.is_some_and(|at| now.instant < at + ASK);
        if asked || !self.numbers.wants() {
            return;
        }
        let Some(fence) = self.lease.coordinator(now.instant).cloned() else {
            return;
        };
        if fence.holder != self.me {
            self.asked_tickets = Some(now.instant);
            self.send(fence.holder.clone(), Message::AskTickets(fence));
        }
    }

    fn send(&mut self, to: MemberId, message: Message) {
        self.outputs.push_back(Output::Send { to, message });
    }
}

fn rank(member: &Listed) -> (u16, &MemberId) {
    (member.priority, &member.id)
}
