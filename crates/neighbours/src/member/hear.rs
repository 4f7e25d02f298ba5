//! What a member does with what it hears.

use crate::message::{Beat, Dealt, Message};
use crate::name::MemberId;
use crate::record::Write;
use crate::shared::{Give, NotTaken, Vector};

use super::{ASK, Fence, Member, Moment, Output, Refusal, Seen};

impl Member {
    /// Takes a message that `from` signed, to this member and not before. What cannot be acted on is
    /// counted ([`Member::refused`]).
    pub fn handle_message(&mut self, from: &MemberId, message: Message, now: Moment) {
        if let Message::Roster(signed) = &message {
            if self.handle_roster(signed, now).is_err() {
                self.refuse(Refusal::Roster);
            }
            return;
        }
        if let Err(why) = self.trust.roster().member(from, now.wall / 1000) {
            self.refuse(why.into());
            // Perhaps it has not heard yet.
            if let Message::Beat(beat) = &message {
                self.offer_roster(from, beat.epoch);
            }
            return;
        }
        match message {
            Message::Roster(_) => {}
            Message::Beat(beat) => self.hear_beat(from, beat, now),
            Message::Ask { epoch, known } => self.hear_ask(from, epoch, &known),
            Message::Give(give) => self.hear_give(from, &give, now),
            Message::AskTickets(fence) => self.hear_ask_tickets(from, fence, now),
            Message::Tickets(dealt) => self.hear_tickets(from, dealt, now),
        }
    }

    fn hear_beat(&mut self, from: &MemberId, beat: Beat, now: Moment) {
        self.offer_roster(from, beat.epoch);
        if let Some(fence) = &beat.fence {
            let holds = beat.holds && fence.holder == *from;
            let kept = self.lease.handle_fence(fence, holds, now.instant);
            self.write(kept.into_iter().collect());
        }
        let seen = Seen {
            at: now.instant,
            epoch: beat.epoch,
            known: beat.known,
            uplink: beat.uplink,
        };
        if self.seen.insert(from.clone(), seen).is_none() {
            self.tell_soon(now);
        }
        self.catch_up(from, now);
    }

    fn offer_roster(&mut self, to: &MemberId, epoch: u64) {
        if epoch < self.trust.roster().epoch {
            let signed = self.trust.signed().to_vec();
            self.send(to.clone(), Message::Roster(signed));
        }
    }

    /// Asks a member for what it knows beyond this one, unless an answer is waited for.
    fn catch_up(&mut self, from: &MemberId, now: Moment) {
        let epoch = self.trust.roster().epoch;
        let known = self.known();
        let beyond = |seen: &Seen| seen.epoch == epoch && seen.known.is_beyond(&known);
        if self.asked.is_none() && self.seen.get(from).is_some_and(beyond) {
            self.asked = Some((from.clone(), now.instant + ASK));
            self.send(from.clone(), Message::Ask { epoch, known });
        }
    }

    /// How far it knows each log, and nothing wanted of those that go two ways.
    fn known(&self) -> Vector {
        let mut known = self.shared.vector();
        for member in &self.forked {
            known.set(member, u64::MAX);
        }
        known
    }

    fn hear_ask(&mut self, from: &MemberId, epoch: u64, known: &Vector) {
        if epoch != self.trust.roster().epoch {
            self.refuse(Refusal::OtherRoster);
            return;
        }
        let give = self.shared.give(known, epoch);
        self.send(from.clone(), Message::Give(give));
    }

    fn hear_give(&mut self, from: &MemberId, give: &Give, now: Moment) {
        if self.asked.as_ref().is_some_and(|(asked, _)| asked == from) {
            self.asked = None;
        }
        if give.epoch != self.trust.roster().epoch {
            self.refuse(Refusal::OtherRoster);
            return;
        }
        let (taken, writes) = self.shared.take(give, self.trust.roster()).split();
        self.write(writes);
        for (member, why) in taken.refused {
            self.refuse(why.into());
            if let (Some(member), NotTaken::Forked) = (member, why) {
                self.forked.insert(member);
            }
        }
        // Who gave nothing new is asked again when it says the next time that it knows more.
        if taken.entries > 0 || taken.snapshot {
            self.catch_up(from, now);
        }
    }

    fn hear_ask_tickets(&mut self, from: &MemberId, fence: Fence, now: Moment) {
        let current = self.lease.highest() == Some(&fence);
        if !current || !self.lease.holds(now.instant) {
            self.refuse(Refusal::Fenced);
            return;
        }
        let (block, writes) = self.numbers.deal().split();
        self.write(writes);
        let to = from.clone();
        let dealt = Dealt { to, fence, block };
        self.send(from.clone(), Message::Tickets(dealt));
    }

    fn hear_tickets(&mut self, from: &MemberId, dealt: Dealt, now: Moment) {
        let Dealt { to, fence, block } = dealt;
        if self.lease.admit(&fence).is_err() {
            self.refuse(Refusal::Fenced);
            return;
        }
        let own = to == self.me && fence.holder == *from && block.issuer == *from;
        let accepted = if own {
            self.numbers.accept(block)
        } else {
            None
        };
        match accepted {
            Some(accepted) => {
                let kept = self.lease.handle_fence(&fence, false, now.instant);
                let (_, mut writes) = accepted.split();
                writes.extend(kept);
                self.write(writes);
            }
            None => self.refuse(Refusal::Tickets),
        }
    }

    fn write(&mut self, writes: Vec<Write>) {
        if !writes.is_empty() {
            self.outputs.push_back(Output::Write(writes));
        }
    }

    fn refuse(&mut self, why: Refusal) {
        *self.refused.entry(why).or_default() += 1;
    }
}
