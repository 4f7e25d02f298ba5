//! Retained messages: the last word on each topic that is on the disk.

use std::collections::HashMap;
use std::sync::Arc;

use outgate_core::clock::Timestamp;
use outgate_mqtt::topics::{
    Change, Retainable, Retained, RetainedFull, RetainedLimits, TopicFilter, TopicName,
};
use parking_lot::Mutex;

use super::client::Client;
use super::message::Routed;
use super::replay::Replay;
use crate::dialects::mqtt::settings::Settings;

/// The retained messages of all topics.
#[derive(Debug)]
pub(in super::super) struct RetainedMessages(Mutex<Inside>);

#[derive(Debug)]
struct Inside {
    retained: Retained<RetainedMessage>,
    /// Whoever waits for a change to come to be or not, by their numbers.
    waiting: HashMap<u64, Arc<Client>>,
}

/// A retained message.
#[derive(Clone, Debug)]
pub(in super::super) struct RetainedMessage {
    /// Who published it.
    pub(in super::super) owner: Arc<str>,
    /// The message.
    pub(in super::super) message: Arc<Routed>,
}

/// A change that is not on the disk yet. Dropped, it does not come to be.
#[derive(Debug)]
pub(in super::super) struct Pending {
    messages: Arc<RetainedMessages>,
    topic: TopicName,
    change: Option<Change>,
}

/// How far it has been read of what a subscription brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Read {
    /// To the end.
    All,
    /// To where nothing more was taken.
    Some,
    /// To a topic that is about to change; the client is rung then.
    Waits,
}

impl Retainable for RetainedMessage {
    type Owner = Arc<str>;
    type Time = Timestamp;

    fn topic(&self) -> &TopicName {
        self.message.message.topic()
    }

    fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    fn size(&self) -> usize {
        usize::try_from(self.message.size).unwrap_or(usize::MAX)
    }

    fn is_empty(&self) -> bool {
        self.message.message.payload().is_empty()
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.message.expires
    }
}

impl RetainedMessages {
    /// Nothing is retained.
    pub(in super::super) fn new(settings: &Settings) -> Self {
        let (all, share) = limits(settings);
        Self(Mutex::new(Inside {
            retained: Retained::with_shares(all, share),
            waiting: HashMap::new(),
        }))
    }

    /// Sets other limits. What is retained already stays.
    pub(in super::super) fn set_limits(&self, settings: &Settings) {
        let (all, share) = limits(settings);
        self.0.lock().retained.set_limits(all, share);
    }

    /// Retains what was found on the disk. Limits may have been lowered since; what does not fit
    /// is not served.
    pub(in super::super) fn restore(&self, message: RetainedMessage) {
        if self.0.lock().retained.set(message).is_err() {
            tracing::warn!("a retained message has no room any more");
        }
    }

    /// Begins to retain a message; an empty one takes back the last word on its topic. Nobody
    /// sees it before [`Pending::apply`].
    ///
    /// # Errors
    /// [`RetainedFull`].
    pub(in super::super) fn begin(
        self: &Arc<Self>,
        message: RetainedMessage,
    ) -> Result<Pending, RetainedFull> {
        let topic = message.topic().clone();
        let change = self.0.lock().retained.begin(message)?;
        Ok(Pending {
            messages: Arc::clone(self),
            topic,
            change: Some(change),
        })
    }

    /// What is to be handed over for a subscription that is in force: whatever is retained by now,
    /// since what comes later reaches the client by itself. `None` when there is nothing.
    pub(in super::super) fn since_now(&self, filter: &TopicFilter) -> Option<Change> {
        let inside = self.0.lock();
        let mut found = inside.retained.places_matching(filter, None);
        found.next().map(|_| inside.retained.newest())
    }

    /// The newest change.
    pub(in super::super) fn newest(&self) -> Change {
        self.0.lock().retained.newest()
    }

    /// Hands to `take` what `replay` brings next, in the order of topics, until it says no.
    pub(in super::super) fn read(
        &self,
        client: &Arc<Client>,
        replay: &mut Replay,
        now: Timestamp,
        mut take: impl FnMut(&Arc<Routed>) -> bool,
    ) -> Read {
        let mut inside = self.0.lock();
        let filter = replay.subscription.filter.filter.clone();
        let mut read = Read::All;
        let mut after = replay.after.take();
        let start = after.clone();
        for found in inside.retained.places_matching(&filter, start.as_ref()) {
            // What began later was handed over when it was published.
            let came_later = found.current.is_some_and(|(by, _)| by > replay.since);
            if found.is_changing && !came_later {
                read = Read::Waits;
                break;
            }
            let current = found.current.map(|(_, message)| &message.message);
            let is_wanted =
                |message: &&Arc<Routed>| !came_later && message.expires.is_none_or(|end| end > now);
            if !current.filter(is_wanted).is_none_or(&mut take) {
                read = Read::Some;
                break;
            }
            after = Some(found.topic.clone());
        }
        replay.after = after;
        if read == Read::Waits {
            inside.waiting.insert(client.number, Arc::clone(client));
        }
        read
    }

    /// Takes back what has expired, and says on which topics.
    pub(in super::super) fn expire(&self, now: Timestamp) -> Vec<String> {
        let expired = self.0.lock().retained.remove_expired(now);
        expired
            .iter()
            .map(|message| message.topic().as_str().to_owned())
            .collect()
    }

    fn settle(&self, topic: &TopicName, change: Change, comes_to_be: bool) {
        let mut inside = self.0.lock();
        if comes_to_be {
            inside.retained.apply(topic, change);
        } else {
            inside.retained.abandon(topic, change);
        }
        let waiting = std::mem::take(&mut inside.waiting);
        drop(inside);
        for client in waiting.into_values() {
            client.mailbox.ring();
        }
    }
}

impl Pending {
    /// It is on the disk: from now on it is seen.
    pub(in super::super) fn apply(mut self) {
        if let Some(change) = self.change.take() {
            self.messages.settle(&self.topic, change, true);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(change) = self.change.take() {
            self.messages.settle(&self.topic, change, false);
        }
    }
}

/// The limits of all, and of each owner.
fn limits(settings: &Settings) -> (RetainedLimits, RetainedLimits) {
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let all = RetainedLimits {
        messages: settings.max_retained_in_all,
        bytes: bytes(settings.max_retained_bytes_in_all),
    };
    let share = RetainedLimits {
        messages: settings.max_retained,
        bytes: bytes(settings.max_retained_bytes),
    };
    (all, share)
}
