//! Messages between devices: what a broker keeps over a restart.
//!
//! A *mailbox* is what outlives the connections of one client: its subscriptions, the messages
//! that wait for it, and how far each has been handed over. What a broker reads on the way (topic
//! matching, order, limits) is the dialect's; here is only what lies on the disk, in the words of
//! no protocol.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;

use crate::clock::{Clock, Timestamp};
use crate::happening::Hook;
use crate::id::{CredentialId, SessionId};
use crate::limits::{Limits, Rate, Turns};
use crate::refusal::Refusal;
use crate::sessions::Pass;
use crate::store::Store;

mod progress;
mod reading;
mod schema;
mod writing;

pub use progress::Progress;
pub(crate) use schema::SCHEMA;

/// A mailbox, by its place in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(pub(crate) i64);

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic that it was published to.
    pub topic: String,
    /// Whatever the dialect needs besides, in its own coding.
    pub headers: Bytes,
    /// The payload.
    pub payload: Bytes,
    /// When it was published.
    pub published: Timestamp,
    /// After when nobody wants it any more.
    pub expires: Option<Timestamp>,
}

/// A message's place in one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whose.
    pub mailbox: MailboxId,
    /// The place: goes up in each mailbox; the broker counts.
    pub seq: u64,
    /// With which quality of service it is to be delivered: 1 or 2.
    pub qos: u8,
    /// Whether it is delivered as retained.
    pub retain: bool,
    /// The identifiers of the subscriptions that it matched.
    pub identifiers: Vec<u32>,
}

/// What a publish leaves behind, all in one commit.
#[derive(Clone, Debug)]
pub struct Keep {
    /// The message.
    pub message: Message,
    /// Whose mailboxes it goes to.
    pub slots: Vec<Slot>,
    /// Whether it becomes the retained message of its topic; with an empty payload it clears it.
    pub retain: Option<Retain>,
    /// The mailbox and packet of the publisher, so that the same packet is not taken twice.
    pub inbound: Option<Inbound>,
    /// The will that it was, which is done with.
    pub will: Option<WillId>,
}

/// A packet of a client, noted with what it brings so that it is not taken twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Whose.
    pub mailbox: MailboxId,
    /// Which.
    pub packet: u16,
}

/// A retained message's own facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retain {
    /// Who published it, for limits.
    pub owner: String,
    /// With which quality of service.
    pub qos: u8,
}

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place.
    pub slot: Slot,
    /// The packet under which it was sent, if it was and that matters.
    pub packet: Option<u16>,
    /// Whether the receiver has it and only the last exchange is left.
    pub released: bool,
    /// The message.
    pub message: Message,
}

/// A subscription as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The filter, as it was sent.
    pub filter: String,
    /// Its options, in the dialect's own coding.
    pub options: u8,
    /// Its identifier, if it has one.
    pub identifier: Option<u32>,
}

/// A mailbox as it is kept, without its messages.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Its place.
    pub id: MailboxId,
    /// Its name.
    pub key: String,
    /// How many seconds it lasts without a connection.
    pub lasts: u32,
    /// Until when, unless it is connected or lasts for ever.
    pub ends: Option<Timestamp>,
    /// Its subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Packets of the client that have been taken and not been released yet.
    pub inbound: Vec<u16>,
    /// How many messages wait.
    pub waiting: u64,
    /// How many bytes those have.
    pub bytes: u64,
    /// The newest place in it.
    pub newest: u64,
}

/// One will: a client that comes back has another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillId {
    /// Whose: the name of the mailbox or connection.
    pub key: String,
    /// The session that left it.
    pub session: SessionId,
}

/// A message for when its client is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Which.
    pub id: WillId,
    /// Who answers for it, in the dialect's own words.
    pub owner: String,
    /// By what its client came in: it is published only if that still holds.
    pub credential: CredentialId,
    /// The message.
    pub message: Message,
    /// With which quality of service.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
    /// How many seconds after the client has gone.
    pub delay: u32,
    /// When it is due, if the client has gone.
    pub due: Option<Timestamp>,
}

/// A retained message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    /// Its own facts.
    pub retain: Retain,
    /// The message.
    pub message: Message,
}

/// All that is kept, as it is found at the start.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The mailboxes.
    pub mailboxes: Vec<Mailbox>,
    /// The retained messages.
    pub retained: Vec<Retained>,
    /// The wills.
    pub wills: Vec<Will>,
}

/// The messages of all mailboxes.
#[derive(Clone, Debug)]
pub struct Messages {
    store: Store,
    sending: Arc<Turns>,
    subscribing: Arc<Turns>,
}

impl Messages {
    pub(crate) fn new(store: Store, clock: &Clock, limits: &Limits, hook: &Hook) -> Self {
        let turns = |what, rate| Arc::new(Turns::new(what, rate, clock.clone(), hook.clone()));
        Self {
            store,
            sending: turns("messages", sending(limits)),
            subscribing: turns("subscriptions", subscribing(limits)),
        }
    }

    /// Goes on with other limits.
    pub fn limit(&self, limits: &Limits) {
        self.sending.set(sending(limits));
        self.subscribing.set(subscribing(limits));
    }

    /// Lets a device send one message to others now. Whoever routes messages asks before it does.
    ///
    /// # Errors
    /// [`Refusal::Limited`].
    pub fn may_send(&self, pass: &Pass) -> Result<(), Refusal> {
        self.sending.take(pass)
    }

    /// As [`Messages::may_send`], for a will: there is nobody to send it again, so that what comes
    /// after it waits instead.
    ///
    /// # Errors
    /// [`Refusal::Limited`] only when devices may send no messages at all.
    pub fn may_send_will(&self, pass: &Pass) -> Result<(), Refusal> {
        self.sending.take_ahead(pass)
    }

    /// Lets a device make or renew one subscription now. A service is not held up.
    ///
    /// # Errors
    /// [`Refusal::Limited`].
    pub fn may_subscribe(&self, pass: &Pass) -> Result<(), Refusal> {
        self.subscribing.take(pass)
    }

    /// All that is kept, without the messages that wait in mailboxes.
    ///
    /// # Errors
    /// As the store.
    pub async fn load(&self) -> Result<Kept, Refusal> {
        self.store.read(reading::load).await
    }

    /// Makes the mailbox `key` if there is none and says that it is connected; `fresh` empties it
    /// first. It lasts `lasts` seconds after the connection.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when the session may not act any more; [`Refusal::Full`] when there is
    /// none and no room for one; as the store.
    pub async fn open(
        &self,
        pass: Pass,
        key: String,
        lasts: u32,
        fresh: bool,
    ) -> Result<MailboxId, Refusal> {
        let (known, its) = (key.clone(), pass.clone());
        let opened = self
            .store
            .write_bulk(key.len(), move |connection| {
                pass.check()?;
                writing::open(connection, &key, lasts, fresh)
            })
            .await;
        if !matches!(opened, Err(Refusal::Full)) {
            return opened;
        }
        // What there is may be taken up, and so emptied, when there is no room for more.
        self.store
            .write(move |connection| {
                its.check()?;
                match writing::is_there(connection, &known)? {
                    true => writing::open(connection, &known, lasts, fresh),
                    false => Err(Refusal::Full),
                }
            })
            .await
    }

    /// Says that nobody is connected to a mailbox any more, and until when it is kept.
    ///
    /// # Errors
    /// As the store.
    pub async fn close(
        &self,
        mailbox: MailboxId,
        lasts: u32,
        ends: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        self.store
            .write(move |connection| writing::close(connection, mailbox, lasts, ends))
            .await
    }

    /// Removes mailboxes with all that waits in them.
    ///
    /// # Errors
    /// As the store.
    pub async fn remove(&self, mailboxes: Vec<MailboxId>) -> Result<(), Refusal> {
        self.store
            .write(move |connection| {
                mailboxes
                    .iter()
                    .try_for_each(|mailbox| writing::remove(connection, *mailbox))
            })
            .await
    }

    /// Adds subscriptions to a mailbox; one of the same filter is replaced.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when the session may not act any more; [`Refusal::Full`]; as the store.
    pub async fn subscribe(
        &self,
        pass: Pass,
        mailbox: MailboxId,
        subscriptions: Vec<Subscription>,
    ) -> Result<(), Refusal> {
        let bytes = subscriptions.iter().map(|one| one.filter.len()).sum();
        self.store
            .write_bulk(bytes, move |connection| {
                pass.check()?;
                writing::subscribe(connection, mailbox, &subscriptions)
            })
            .await
    }

    /// Takes subscriptions out of a mailbox.
    ///
    /// # Errors
    /// As the store.
    pub async fn unsubscribe(
        &self,
        mailbox: MailboxId,
        filters: Vec<String>,
    ) -> Result<(), Refusal> {
        self.store
            .write(move |connection| writing::unsubscribe(connection, mailbox, &filters))
            .await
    }

    /// Keeps what a publish leaves behind. `pass` is the publisher's, if it is a live one.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when the session may not act any more; [`Refusal::Full`]; as the store.
    pub async fn keep(&self, pass: Option<Pass>, keep: Keep) -> Result<(), Refusal> {
        self.keep_then(pass, keep, || ()).await
    }

    /// As [`Messages::keep`], and runs `then` once it is on the disk, whether or not the caller
    /// still waits: those of several publishes run in the order in which they were written. When
    /// it is refused `then` is dropped.
    ///
    /// # Errors
    /// As [`Messages::keep`].
    pub async fn keep_then(
        &self,
        pass: Option<Pass>,
        keep: Keep,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), Refusal> {
        let bytes = usize::try_from(keep.message.bytes()).unwrap_or(usize::MAX);
        let work = move |connection: &Connection| {
            pass.iter().try_for_each(Pass::check)?;
            writing::keep(connection, &keep)
        };
        self.store
            .write_bulk_then(bytes, work, move |(): &()| then())
            .await
    }

    /// Notes how far messages of a mailbox have been handed over.
    ///
    /// # Errors
    /// As the store.
    pub async fn note(&self, mailbox: MailboxId, steps: Vec<Progress>) -> Result<(), Refusal> {
        self.store
            .write(move |connection| {
                steps
                    .iter()
                    .try_for_each(|step| progress::note(connection, mailbox, step))
            })
            .await
    }

    /// Notes that a packet has been taken which brings nothing else that is kept.
    ///
    /// # Errors
    /// [`Refusal::Full`]; as the store.
    pub async fn note_inbound(&self, inbound: Inbound) -> Result<(), Refusal> {
        self.store
            .write_bulk(0, move |connection| inbound.note(connection))
            .await
    }

    /// The messages of a mailbox after the place `after` and before `before`, at most `limit`.
    ///
    /// # Errors
    /// As the store.
    pub async fn waiting(
        &self,
        mailbox: MailboxId,
        after: u64,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Waiting>, Refusal> {
        self.store
            .read(move |connection| reading::waiting(connection, mailbox, after, before, limit))
            .await
    }

    /// Keeps a will, in place of the one of the same key.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when the session may not act any more; [`Refusal::Full`]; as the store.
    pub async fn keep_will(&self, pass: Option<Pass>, will: Will) -> Result<(), Refusal> {
        let bytes = usize::try_from(will.message.bytes()).unwrap_or(usize::MAX);
        self.store
            .write_bulk(bytes, move |connection| {
                pass.iter().try_for_each(Pass::check)?;
                writing::keep_will(connection, &will)
            })
            .await
    }

    /// Forgets a will. One that has taken its place stays.
    ///
    /// # Errors
    /// As the store.
    pub async fn drop_will(&self, id: WillId) -> Result<(), Refusal> {
        self.store
            .write(move |connection| writing::drop_will(connection, &id))
            .await
    }

    /// Forgets the retained messages of these topics that have expired at `now`.
    ///
    /// # Errors
    /// As the store.
    pub async fn drop_expired(&self, topics: Vec<String>, now: Timestamp) -> Result<(), Refusal> {
        self.store
            .write(move |connection| {
                topics
                    .iter()
                    .try_for_each(|topic| writing::drop_expired(connection, topic, now))
            })
            .await
    }
}

fn sending(limits: &Limits) -> Rate {
    Rate::a_second(limits.messages_a_second, limits.message_burst)
}

fn subscribing(limits: &Limits) -> Rate {
    Rate::a_second(limits.subscriptions_a_second, limits.subscription_burst)
}

#[cfg(test)]
mod tests;
