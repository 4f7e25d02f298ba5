//! Retained messages for those who have just subscribed: a few at a time, as they are taken.

use std::sync::Arc;

use outgate_core::messages::Slot;
use outgate_mqtt::topics::{Change, TopicFilter, TopicName};

use super::Broker;
use super::client::{Client, Subscription};
use super::mailbox::{Delivery, Pushed};
use super::message::Routed;
use super::publish::Commit;
use super::retained::Read;

/// The most messages handed over at a time.
const AT_A_TIME: usize = 64;

/// What a subscription brings that has not been handed over yet.
#[derive(Clone, Debug)]
pub(in super::super) struct Replay {
    /// The subscription.
    pub(in super::super) subscription: Subscription,
    /// What was retained later reached the client when it was published.
    pub(in super::super) since: Change,
    /// Up to this topic all has been handed over.
    pub(in super::super) after: Option<TopicName>,
}

impl Replay {
    /// Whether it is of the subscription with this filter.
    pub(super) fn is_of(&self, filter: &TopicFilter) -> bool {
        self.subscription.filter.filter == *filter
    }
}

/// What was handed over.
#[derive(Debug, Default)]
pub(in super::super) struct Replayed {
    /// How many messages.
    pub(in super::super) count: usize,
    /// What has to be committed of them.
    pub(in super::super) commits: Vec<Commit>,
    /// Subscriptions that bring nothing more.
    pub(in super::super) finished: Vec<Subscription>,
}

impl Broker {
    /// Hands over the next retained messages that a client's subscriptions bring. To be called
    /// when nothing else waits for it: then there is room.
    pub(in super::super) fn replay(&self, client: &Arc<Client>) -> Replayed {
        let now = self.core.clock.now();
        let mut replayed = Replayed::default();
        while replayed.count < AT_A_TIME
            && let Some(mut replay) = client.next_replay()
        {
            let subscription = replay.subscription.clone();
            let read = self.retained.read(client, &mut replay, now, |message| {
                replayed.count < AT_A_TIME
                    && self.hand_over(client, &subscription, message, &mut replayed)
            });
            match read {
                Read::All => replayed.finished.push(subscription),
                Read::Some | Read::Waits => {
                    client.go_on_replaying(replay);
                    break;
                }
            }
        }
        replayed
    }

    /// Hands over one message. `false` when there is no room for it now.
    fn hand_over(
        &self,
        client: &Arc<Client>,
        subscription: &Subscription,
        message: &Arc<Routed>,
        replayed: &mut Replayed,
    ) -> bool {
        let delivery = Delivery {
            qos: message.message.qos().min(subscription.filter.qos),
            message: Arc::clone(message),
            retain: true,
            identifiers: subscription.identifier.into_iter().collect(),
            seq: None,
        };
        let (qos, identifiers) = (delivery.qos.number(), delivery.identifiers.clone());
        match client.mailbox.push(delivery) {
            Pushed::Keep(mailbox, seq) => {
                let slot = Slot {
                    mailbox,
                    seq,
                    qos,
                    retain: true,
                    identifiers,
                };
                replayed.commits.push(Commit::of_one(message, client, slot));
            }
            Pushed::Waits => {}
            Pushed::Dropped if client.mailbox.is_empty() => {
                // There never will be.
                self.metrics.message_dropped("no-room");
                return true;
            }
            Pushed::Dropped => return false,
        }
        replayed.count += 1;
        true
    }
}
