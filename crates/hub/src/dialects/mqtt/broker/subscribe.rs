//! Subscriptions, and the retained messages that they bring.

use std::sync::Arc;

use outgate_core::messages;
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Pass;
use outgate_mqtt::packet::{QoS, RetainHandling, SubscribeFilter};
use outgate_mqtt::topics::TopicFilter;

use super::Broker;
use super::client::{Client, Subscription};
use super::replay::Replay;

/// A subscription that is in force.
#[derive(Debug)]
pub(in super::super) struct Granted {
    /// The subscription.
    pub(in super::super) subscription: Subscription,
    /// The retained messages that it brings. Begins once the client knows of the subscription.
    pub(in super::super) replay: Option<Replay>,
}

impl Broker {
    /// Adds a subscription that is allowed; `None` when the client has too many, or all have, or
    /// it comes too soon after others.
    pub(in super::super) fn subscribe(
        &self,
        client: &Arc<Client>,
        pass: &Pass,
        subscription: Subscription,
    ) -> Option<Granted> {
        let filter = &subscription.filter.filter;
        let most = self.rules.load().settings.max_subscriptions;
        let too_many = client.subscription_count() >= most;
        if too_many && !client.has_subscription(filter) {
            return None;
        }
        self.core.messages.may_subscribe(pass).ok()?;
        if !self.subscribers.write().insert(client, &subscription) {
            return None;
        }
        let existed = client.note_subscription(subscription.clone());
        let wanted = match subscription.filter.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => !existed,
            RetainHandling::Keep => false,
        };
        // Those who share get none [MQTT-4.8.2, non-normative].
        let since = if wanted && filter.shared().is_none() {
            self.retained.since_now(filter)
        } else {
            None
        };
        let replay = since.map(|since| Replay {
            subscription: subscription.clone(),
            since,
            after: None,
        });
        Some(Granted {
            subscription,
            replay,
        })
    }

    /// Takes out a subscription; `false` when there was none.
    pub(in super::super) fn unsubscribe(&self, client: &Client, filter: &TopicFilter) -> bool {
        let existed = client.forget_subscription(filter);
        if existed {
            self.subscribers.write().remove(client.number, filter);
        }
        existed
    }

    /// Keeps subscriptions of a client that is kept, and of each whether it brings something that
    /// is yet to be handed over.
    pub(in super::super) async fn keep_subscriptions(
        &self,
        client: &Client,
        pass: Pass,
        subscriptions: Vec<(Subscription, bool)>,
    ) -> Result<(), Refusal> {
        let Some(mailbox) = client.mailbox.kept() else {
            return Ok(());
        };
        let kept = subscriptions
            .iter()
            .map(|(subscription, unfinished)| messages::Subscription {
                filter: subscription.filter.filter.as_str().to_owned(),
                options: options(&subscription.filter, *unfinished),
                identifier: subscription.identifier,
            });
        let kept = kept.collect();
        self.core.messages.subscribe(pass, mailbox, kept).await
    }

    /// Forgets subscriptions of a client that is kept.
    pub(in super::super) async fn forget_subscriptions(
        &self,
        client: &Client,
        filters: Vec<String>,
    ) -> Result<(), Refusal> {
        match client.mailbox.kept() {
            Some(mailbox) => self.core.messages.unsubscribe(mailbox, filters).await,
            None => Ok(()),
        }
    }
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
/// Retained messages are yet to be handed over. Not MQTT's, which leaves the bit free.
const UNFINISHED: u8 = 0x40;

/// A subscription's options as the byte that MQTT 5 has for them (section 3.8.3.1); how retained
/// messages are handled matters only when it is made.
fn options(filter: &SubscribeFilter, unfinished: bool) -> u8 {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    filter.qos.number()
        | flag(filter.no_local, NO_LOCAL)
        | flag(filter.retain_as_published, RETAIN_AS_PUBLISHED)
        | flag(unfinished, UNFINISHED)
}

/// A subscription as it was kept, and whether it brings something that is yet to be handed over;
/// `None` when it does not read: somebody has changed the store.
pub(super) fn from_kept(kept: messages::Subscription) -> Option<(Subscription, bool)> {
    let subscription = Subscription {
        filter: SubscribeFilter {
            filter: TopicFilter::new(&kept.filter).ok()?,
            qos: QoS::from_number(kept.options & 0x03)?,
            no_local: kept.options & NO_LOCAL != 0,
            retain_as_published: kept.options & RETAIN_AS_PUBLISHED != 0,
            retain_handling: RetainHandling::Send,
        },
        identifier: kept.identifier,
    };
    Some((subscription, kept.options & UNFINISHED != 0))
}
