//! Who subscribes to what.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use outgate_mqtt::packet::QoS;
use outgate_mqtt::topics::{
    self, InTurn, Matches, Subscriptions, SubscriptionsLimits, TopicFilter,
};

use super::client::{Client, Standing, Subscription};

thread_local! {
    /// What is found, one for each thread, so that nothing is made anew for each message.
    static FOUND: RefCell<Matches<u64>> = RefCell::default();
}

/// The subscriptions of all clients.
#[derive(Debug)]
pub(in super::super) struct Subscribers {
    subscriptions: Subscriptions<u64>,
    /// Whoever has subscriptions, by their numbers.
    clients: HashMap<u64, Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    client: Arc<Client>,
    /// How many subscriptions it has.
    count: usize,
}

/// What one client gets of a message.
#[derive(Debug)]
pub(in super::super) struct Copy<'a> {
    /// Who.
    pub(in super::super) client: &'a Arc<Client>,
    /// With this quality of service at the most.
    pub(in super::super) qos: QoS,
    /// Whether the message keeps the retain flag that it was published with.
    pub(in super::super) retain_as_published: bool,
    /// The identifiers of the subscriptions that it matches.
    pub(in super::super) identifiers: &'a [NonZeroU32],
}

impl Default for Subscribers {
    fn default() -> Self {
        Self {
            subscriptions: Subscriptions::new(SubscriptionsLimits::default()),
            clients: HashMap::new(),
        }
    }
}

impl Subscribers {
    /// Adds a subscription, or puts it in the place of the client's own of the same filter.
    /// `false` when there are too many in all.
    pub(in super::super) fn insert(
        &mut self,
        client: &Arc<Client>,
        subscription: &Subscription,
    ) -> bool {
        let how = topics::Subscription::asked_for(
            &subscription.filter,
            subscription.identifier.and_then(NonZeroU32::new),
        );
        let filter = &subscription.filter.filter;
        let Ok(replaced) = self.subscriptions.subscribe(client.number, filter, how) else {
            return false;
        };
        if replaced.is_none() {
            let subscriber = self.clients.entry(client.number);
            let subscriber = subscriber.or_insert_with(|| Subscriber {
                client: Arc::clone(client),
                count: 0,
            });
            subscriber.count += 1;
        }
        true
    }

    /// Takes out a subscription of the client numbered `number`.
    pub(in super::super) fn remove(&mut self, number: u64, filter: &TopicFilter) {
        if self.subscriptions.unsubscribe(number, filter).is_none() {
            return;
        }
        if let Some(subscriber) = self.clients.get_mut(&number) {
            subscriber.count -= 1;
            if subscriber.count == 0 {
                self.clients.remove(&number);
            }
        }
    }

    /// Hands to `give` who gets a message on `topic` from the client numbered `publisher`, each
    /// once however many of its filters match, and one of each group. Returns how many these are.
    pub(in super::super) fn each(
        &self,
        topic: &str,
        publisher: u64,
        mut give: impl FnMut(Copy<'_>),
    ) -> usize {
        FOUND.with_borrow_mut(|found| {
            self.subscriptions
                .find_matches(topic, Some(publisher), found);
            let mut count = 0;
            for one in found.clients() {
                let Some(subscriber) = self.clients.get(&one.subscriber) else {
                    continue;
                };
                count += 1;
                give(Copy {
                    client: &subscriber.client,
                    qos: one.qos,
                    retain_as_published: one.retain_as_published,
                    identifiers: found.subscription_ids(one),
                });
            }
            for group in found.groups() {
                let Some((client, how)) = self.whose_turn(group) else {
                    continue;
                };
                count += 1;
                give(Copy {
                    client,
                    qos: how.qos,
                    retain_as_published: how.retain_as_published,
                    identifiers: how.id.as_slice(),
                });
            }
            count
        })
    }

    /// The next of a group who is connected, or the next at all.
    fn whose_turn<'a>(
        &'a self,
        group: InTurn<'a, u64>,
    ) -> Option<(&'a Arc<Client>, &'a topics::Subscription)> {
        let known = |(number, how): &'a (u64, topics::Subscription)| {
            Some((&self.clients.get(number)?.client, how))
        };
        let mut connected = group.0.iter().filter_map(known);
        connected
            .find(|(client, _)| matches!(client.standing(), Standing::Connected(_)))
            .or_else(|| group.0.iter().find_map(known))
    }
}
