//! Has the member and its disk, and does what it says in the order in which it says it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use outgate_neighbours::{Member, MemberId, Message, Moment, Output, Way, Write};
use outgate_store::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::status::{self, Board};

use super::address::Addresses;
use super::disk::Disk;
use super::serve::Site;
use super::{View, call};

/// So much waits for one member; what does not fit is lost, and said again if it still counts.
const WAITING_MAX: usize = 8;

/// Something done with the member: what is to be written, and what to do then.
pub(super) type Change =
    Box<dyn FnOnce(&mut Member, Moment) -> (Vec<Write>, Box<dyn FnOnce() + Send>) + Send>;

/// What the driver is asked to do.
pub(super) enum Command {
    Change(Change),
    /// A roster from anybody.
    Roster(Vec<u8>),
    /// What a member said, whose signature holds.
    Heard {
        from: MemberId,
        /// Where it can be reached, as far as it is known.
        address: Option<SocketAddr>,
        message: Message,
        /// Who waits for an answer: it goes back by the same connection.
        answer: Option<oneshot::Sender<Option<Message>>>,
    },
}

/// The time by the machine's clocks.
pub(super) fn now() -> Moment {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let wall = wall.unwrap_or_default().as_millis();
    Moment {
        instant: Instant::now(),
        wall: u64::try_from(wall).unwrap_or(u64::MAX),
    }
}

pub(super) struct Driver {
    member: Member,
    disk: Disk,
    site: Arc<Site>,
    seen: watch::Sender<View>,
    board: Board,
    /// To whom it speaks.
    lines: BTreeMap<MemberId, mpsc::Sender<call::Waiting>>,
    calls: JoinSet<()>,
    roster: u64,
    /// Where members are, as it is on the disk.
    kept: Addresses,
}

impl Driver {
    pub(super) fn new(
        member: Member,
        (disk, kept): (Disk, Addresses),
        site: Arc<Site>,
        (seen, board): (watch::Sender<View>, Board),
    ) -> Self {
        Self {
            kept,
            roster: member.trust().roster().epoch,
            member,
            disk,
            site,
            seen,
            board,
            lines: BTreeMap::new(),
            calls: JoinSet::new(),
        }
    }

    /// Goes on until the disk fails: then memory is ahead of it, and all is to begin anew.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let timeout = tokio::time::Instant::from_std(self.member.poll_timeout());
            let done = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => return,
                },
                () = tokio::time::sleep_until(timeout) => {
                    self.member.handle_timeout(now());
                    self.drain(None).await
                }
            };
            if let Err(error) = done {
                tracing::error!(%error, "what is kept of the neighbours cannot be written");
                return;
            }
            self.show();
        }
    }

    async fn handle(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Change(change) => {
                let (writes, told) = change(&mut self.member, now());
                if !writes.is_empty() {
                    self.disk.write(writes).await?;
                }
                told();
                self.drain(None).await
            }
            Command::Roster(signed) => {
                let from = self.member.id().clone();
                self.member
                    .handle_message(&from, Message::Roster(signed), now());
                self.drain(None).await
            }
            Command::Heard {
                from,
                address,
                message,
                answer,
            } => {
                if let Some(address) = address {
                    self.site.addresses.guess(&from, address);
                }
                if let Some(kept) = self.site.addresses.unkept(&from, &mut self.kept) {
                    self.disk.write(vec![kept]).await?;
                }
                self.member.handle_message(&from, message, now());
                self.drain(answer.map(|answer| (from, answer))).await
            }
        }
    }

    /// Does what the member wants done. What answers the one who waits goes to it.
    async fn drain(
        &mut self,
        mut waits: Option<(MemberId, oneshot::Sender<Option<Message>>)>,
    ) -> Result<(), Error> {
        while let Some(output) = self.member.poll_output() {
            match output {
                Output::Write(writes) => self.disk.write(writes).await?,
                Output::Send { to, message } => {
                    let asked = waits.take_if(|(from, _)| *from == to && is_answer(&message));
                    match asked {
                        Some((_, answer)) => {
                            // Who does not wait any more asks again.
                            let _ = answer.send(Some(message));
                        }
                        None => self.say(to, message),
                    }
                }
            }
        }
        if let Some((_, answer)) = waits {
            let _ = answer.send(None);
        }
        Ok(())
    }

    fn say(&mut self, to: MemberId, message: Message) {
        let line = self.lines.entry(to.clone()).or_insert_with(|| {
            let (line, messages) = mpsc::channel(WAITING_MAX);
            let site = Arc::clone(&self.site);
            self.calls.spawn(call::speak(to, messages, site));
            line
        });
        let _ = line.try_send((Instant::now(), message));
    }

    /// Shows how things stand, and lets the others know of a new roster.
    fn show(&mut self) {
        let through = match self.member.way(now()) {
            Way::Through(id) => Some(id),
            Way::Own | Way::None => None,
        };
        let roster = self.member.trust().roster();
        if self.roster != roster.epoch {
            self.roster = roster.epoch;
            self.site.envelope.set_roster(roster);
            self.lines.retain(|id, _| roster.author(id).is_some());
            while self.calls.try_join_next().is_some() {}
        }
        let by_member = self.member.refused();
        let mut refused: BTreeMap<String, u64> = by_member
            .map(|(why, count)| (why.to_string(), count))
            .collect();
        for (why, count) in self.site.envelope.refused() {
            *refused.entry(why.to_owned()).or_default() += count;
        }
        let view = View {
            roster: roster.epoch,
            members: {
                let all = roster.members.iter().map(|member| member.id.clone());
                all.filter(|id| id != self.member.id()).collect()
            },
            known: self.member.shared().vector(),
            there: self.member.there().cloned().collect(),
            linked: self.member.linked().cloned().collect(),
            through,
            coordinator: self.member.coordinator(now()).cloned(),
            refused,
            forked: self.member.forked().cloned().collect(),
        };
        let column = self.column(&view);
        self.board.write(|status| status.neighbours = Some(column));
        self.seen.send_if_modified(|seen| {
            let changed = *seen != view;
            *seen = view;
            changed
        });
    }

    /// The neighbours' column of the board.
    fn column(&self, view: &View) -> status::Neighbours {
        let names = |ids: &[MemberId]| ids.iter().map(ToString::to_string).collect();
        let coordinator = view.coordinator.as_ref();
        status::Neighbours {
            site: Some(self.member.trust().roster().site.to_string()),
            name: Some(self.member.id().to_string()),
            address: Some(self.site.own.to_string()),
            roster: view.roster,
            members: names(&view.members),
            there: names(&view.there),
            linked: names(&view.linked),
            through: view.through.as_ref().map(ToString::to_string),
            coordinator: coordinator.map(|fence| fence.holder.to_string()),
            refused: view.refused.clone(),
            forked: names(&view.forked),
        }
    }
}

/// Whether a message only makes sense as the answer to another one.
fn is_answer(message: &Message) -> bool {
    match message {
        Message::Give(_) | Message::Tickets(_) | Message::Roster(_) => true,
        Message::Beat(_) | Message::Ask { .. } | Message::AskTickets(_) => false,
    }
}
