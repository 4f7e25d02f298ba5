//! From one publisher to everybody who gets it.

use std::sync::Arc;

use outgate_core::messages::{Inbound, Keep, MailboxId, Retain, Slot, WillId};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Pass;
use outgate_mqtt::topics::RetainedFull;

use super::Broker;
use super::client::Client;
use super::mailbox::{Delivery, Pushed};
use super::message::Routed;
use super::retained::{Pending, RetainedMessage};

/// Who publishes.
#[derive(Clone, Debug)]
pub(in super::super) struct Publisher {
    /// The client's number; 0 for one that is gone.
    pub(in super::super) number: u64,
    /// Who answers for it.
    pub(in super::super) owner: Arc<str>,
    /// The right to act, of a live session.
    pub(in super::super) pass: Option<Pass>,
    /// The packet to be noted, so that it is not taken twice.
    pub(in super::super) inbound: Option<Inbound>,
    /// The will that is published, to be forgotten in the same commit.
    pub(in super::super) will: Option<WillId>,
}

/// Why something is not published.
#[derive(Debug)]
pub(in super::super) enum Unpublished {
    /// It may not, or no longer.
    Refused(Refusal),
    /// No more messages may be retained.
    TooManyRetained,
}

/// What has to be on the disk before a message is acknowledged. Mailboxes wait for it; dropped, it
/// does not come to be.
#[derive(Debug)]
pub(in super::super) struct Commit {
    keep: Keep,
    pass: Option<Pass>,
    /// Seen by others once it is on the disk.
    retained: Option<Pending>,
    places: Places,
}

/// Places of mailboxes that wait for a commit. They go along with what is handed to the store, so
/// that they learn what became of it whoever waits for that; dropped, they were not kept.
#[derive(Debug)]
struct Places {
    size: u64,
    waiting: Vec<Place>,
}

/// A place of a client's mailbox.
#[derive(Debug)]
struct Place {
    client: Arc<Client>,
    mailbox: MailboxId,
    seq: u64,
}

impl Broker {
    /// Hands a message to all who subscribe to its topic, and retains it if it says so. Returns
    /// how many get it, and what is to be committed if anything is.
    pub(in super::super) fn publish(
        &self,
        publisher: &Publisher,
        message: &Arc<Routed>,
    ) -> Result<(usize, Option<Commit>), Unpublished> {
        if let Some(pass) = &publisher.pass {
            pass.check().map_err(Unpublished::Refused)?;
        }
        let retained = self.begin_retaining(publisher, message)?;
        let mut slots = Vec::new();
        let mut waiting = Vec::new();
        let topic = message.message.topic().as_str();
        let count = self
            .subscribers
            .read()
            .each(topic, publisher.number, |copy| {
                let delivery = Delivery {
                    message: Arc::clone(message),
                    qos: message.message.qos().min(copy.qos),
                    retain: copy.retain_as_published && message.message.retain(),
                    identifiers: copy.identifiers.iter().map(|id| id.get()).collect(),
                    seq: None,
                };
                self.deliver(copy.client, delivery, &mut slots, &mut waiting);
            });
        if slots.is_empty() && retained.is_none() && publisher.inbound.is_none() {
            return Ok((count, None));
        }
        let places = Places {
            size: message.size,
            waiting,
        };
        let keep = Keep {
            message: message.kept(),
            slots,
            retain: retained.is_some().then(|| Retain {
                owner: publisher.owner.as_ref().to_owned(),
                qos: message.message.qos().number(),
            }),
            inbound: publisher.inbound,
            will: publisher.will.clone(),
        };
        let commit = Commit {
            keep,
            pass: publisher.pass.clone(),
            retained,
            places,
        };
        Ok((count, Some(commit)))
    }

    /// Hands a commit to the store when it is first polled, and waits for it. Once it is handed in,
    /// what becomes of it is seen to, whether or not it is waited for.
    pub(in super::super) async fn commit(&self, commit: Commit) -> Result<(), Refusal> {
        let Commit {
            keep,
            pass,
            retained,
            places,
        } = commit;
        let seen = move || {
            retained.into_iter().for_each(Pending::apply);
            places.are_kept();
        };
        self.core.messages.keep_then(pass, keep, seen).await
    }

    /// Takes room for a message that is to be retained.
    fn begin_retaining(
        &self,
        publisher: &Publisher,
        message: &Arc<Routed>,
    ) -> Result<Option<Pending>, Unpublished> {
        if !message.message.retain() {
            return Ok(None);
        }
        let retained = RetainedMessage {
            owner: Arc::clone(&publisher.owner),
            message: Arc::clone(message),
        };
        match self.retained.begin(retained) {
            Ok(pending) => Ok(Some(pending)),
            Err(RetainedFull) => Err(Unpublished::TooManyRetained),
        }
    }

    /// Puts a message in one mailbox, and notes what has to be committed of it.
    fn deliver(
        &self,
        client: &Arc<Client>,
        delivery: Delivery,
        slots: &mut Vec<Slot>,
        waiting: &mut Vec<Place>,
    ) {
        let (qos, retain) = (delivery.qos.number(), delivery.retain);
        // Only what is kept on the disk needs them twice.
        let identifiers = if client.mailbox.kept().is_some() {
            delivery.identifiers.clone()
        } else {
            Vec::new()
        };
        match client.mailbox.push(delivery) {
            Pushed::Keep(mailbox, seq) => {
                slots.push(Slot {
                    mailbox,
                    seq,
                    qos,
                    retain,
                    identifiers,
                });
                waiting.push(Place {
                    client: Arc::clone(client),
                    mailbox,
                    seq,
                });
            }
            Pushed::Waits => {}
            Pushed::Dropped => self.metrics.message_dropped("no-room"),
        }
    }
}

impl Commit {
    /// That `message` lies at one place of a client's mailbox.
    pub(super) fn of_one(message: &Arc<Routed>, client: &Arc<Client>, slot: Slot) -> Self {
        Self {
            pass: None,
            retained: None,
            places: Places {
                size: message.size,
                waiting: vec![Place {
                    client: Arc::clone(client),
                    mailbox: slot.mailbox,
                    seq: slot.seq,
                }],
            },
            keep: Keep {
                message: message.kept(),
                slots: vec![slot],
                retain: None,
                inbound: None,
                will: None,
            },
        }
    }
}

impl Places {
    /// They are on the disk.
    fn are_kept(mut self) {
        self.settle(true);
    }

    fn settle(&mut self, went_through: bool) {
        for place in self.waiting.drain(..) {
            let mailbox = &place.client.mailbox;
            mailbox.committed(place.mailbox, place.seq, self.size, went_through);
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.settle(false);
    }
}

#[cfg(test)]
mod tests;
