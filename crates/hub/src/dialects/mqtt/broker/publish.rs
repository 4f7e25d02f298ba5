//! From one publisher to everybody who gets it.

use std::sync::Arc;

use outgate_core::messages::{Keep, MailboxId, Retain, Slot};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Pass;

use super::Broker;
use super::client::Client;
use super::mailbox::{Delivery, Pushed};
use super::message::Routed;
use super::retained::RetainedMessage;

/// Who publishes.
#[derive(Clone, Debug)]
pub(in super::super) struct Publisher {
    /// The client's number; 0 for one that is gone.
    pub(in super::super) number: u64,
    /// Who answers for it.
    pub(in super::super) owner: Arc<str>,
    /// The right to act, of a live session.
    pub(in super::super) pass: Option<Pass>,
    /// The mailbox and packet to be noted, so that the packet is not taken twice.
    pub(in super::super) inbound: Option<(MailboxId, u16)>,
}

/// Why something is not published.
#[derive(Debug)]
pub(in super::super) enum Unpublished {
    /// It may not, or no longer.
    Refused(Refusal),
    /// No more messages may be retained.
    TooManyRetained,
}

/// What has to be on the disk before a message is acknowledged. Must be seen through: mailboxes
/// wait for it.
#[derive(Debug)]
pub(in super::super) struct Commit {
    keep: Keep,
    pass: Option<Pass>,
    places: Places,
}

/// Mailboxes that wait for a commit. Dropped without an outcome they stop to wait.
#[derive(Debug)]
struct Places {
    size: u64,
    waiting: Vec<(Arc<Client>, u64)>,
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
        let retain = self.retain(publisher, message)?;
        let mut matches = Vec::new();
        let topic = message.message.topic().as_str();
        self.routes
            .read()
            .find(topic, publisher.number, &mut matches);
        let count = matches.len();
        let mut slots = Vec::new();
        let mut waiting = Vec::new();
        for found in matches {
            let delivery = Delivery {
                message: Arc::clone(message),
                qos: message.message.qos().min(found.qos),
                retain: found.retain_as_published && message.message.retain(),
                identifiers: found.identifiers,
                seq: None,
            };
            self.deliver(found.client, delivery, &mut slots, &mut waiting);
        }
        if slots.is_empty() && retain.is_none() && publisher.inbound.is_none() {
            return Ok((count, None));
        }
        let commit = Commit::new(publisher, message, slots, waiting, retain);
        Ok((count, Some(commit)))
    }

    /// Hands retained messages to one client that has just subscribed.
    pub(in super::super) fn hand_over(
        &self,
        client: &Arc<Client>,
        deliveries: Vec<Delivery>,
    ) -> Vec<Commit> {
        let publisher = Publisher {
            number: 0,
            owner: Arc::clone(&client.owner),
            pass: None,
            inbound: None,
        };
        let mut commits = Vec::new();
        for delivery in deliveries {
            let message = Arc::clone(&delivery.message);
            let (mut slots, mut waiting) = (Vec::new(), Vec::new());
            self.deliver(Arc::clone(client), delivery, &mut slots, &mut waiting);
            if !slots.is_empty() {
                commits.push(Commit::new(&publisher, &message, slots, waiting, None));
            }
        }
        commits
    }

    /// Retains a message that says so.
    fn retain(
        &self,
        publisher: &Publisher,
        message: &Arc<Routed>,
    ) -> Result<Option<Retain>, Unpublished> {
        if !message.message.retain() {
            return Ok(None);
        }
        let retained = RetainedMessage {
            owner: Arc::clone(&publisher.owner),
            message: Arc::clone(message),
            qos: message.message.qos(),
        };
        if !self.retained.lock().set(retained, &self.settings) {
            return Err(Unpublished::TooManyRetained);
        }
        Ok(Some(Retain {
            owner: publisher.owner.as_ref().to_owned(),
            qos: message.message.qos().number(),
        }))
    }

    /// Sees a commit through.
    pub(in super::super) async fn commit(&self, commit: Commit) -> Result<(), Refusal> {
        let Commit {
            keep,
            pass,
            mut places,
        } = commit;
        let done = self.core.messages.keep(pass, keep).await;
        places.settle(done.is_ok());
        done
    }
}

impl Broker {
    /// Puts a message in one mailbox, and notes what has to be committed of it.
    fn deliver(
        &self,
        client: Arc<Client>,
        delivery: Delivery,
        slots: &mut Vec<Slot>,
        waiting: &mut Vec<(Arc<Client>, u64)>,
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
                waiting.push((client, seq));
            }
            Pushed::Waits => {}
            Pushed::Dropped => self.metrics.message_dropped("no-room"),
        }
    }
}

impl Commit {
    fn new(
        publisher: &Publisher,
        message: &Arc<Routed>,
        slots: Vec<Slot>,
        waiting: Vec<(Arc<Client>, u64)>,
        retain: Option<Retain>,
    ) -> Self {
        Self {
            keep: Keep {
                message: message.kept(),
                slots,
                retain,
                inbound: publisher.inbound,
            },
            pass: publisher.pass.clone(),
            places: Places {
                size: message.size,
                waiting,
            },
        }
    }
}

impl Places {
    fn settle(&mut self, went_through: bool) {
        for (client, seq) in self.waiting.drain(..) {
            client.mailbox.committed(seq, self.size, went_through);
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.settle(true);
    }
}
