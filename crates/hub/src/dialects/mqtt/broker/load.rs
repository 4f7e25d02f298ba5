//! The broker as it was when the hub last stopped, however it stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outgate_core::Core;
use outgate_core::clock::Timestamp;
use outgate_core::messages::{Mailbox, Retained, Will};
use outgate_core::refusal::Refusal;
use outgate_mqtt::packet::QoS;

use super::Broker;
use super::client::Standing;
use super::message::Routed;
use super::replay::Replay;
use super::retained::RetainedMessage;
use super::subscribe::from_kept;
use crate::dialects::mqtt::rules::Current;
use crate::metrics::Metrics;

impl Broker {
    /// Finds everything again. Whoever was connected is taken to have gone just now.
    ///
    /// # Errors
    /// As the store.
    pub(in super::super) async fn load(
        core: Core,
        metrics: Metrics,
        rules: Current,
    ) -> Result<Self, Refusal> {
        let kept = core.messages.load().await?;
        let (now, at) = (Instant::now(), core.clock.now());
        let broker = Self::new(core, metrics, rules);
        for retained in kept.retained {
            broker.restore_retained(retained, now, at);
        }
        for mailbox in kept.mailboxes {
            broker.restore_client(mailbox, at);
        }
        for will in kept.wills {
            broker.restore_will(will, at);
        }
        Ok(broker)
    }

    fn restore_retained(&self, retained: Retained, now: Instant, at: Timestamp) {
        let qos = QoS::from_number(retained.retain.qos).unwrap_or_default();
        if let Some(routed) = Routed::from_kept(retained.message, qos, true, now, at) {
            self.retained.restore(RetainedMessage {
                owner: retained.retain.owner.as_str().into(),
                message: Arc::new(routed),
            });
        }
    }

    fn restore_client(&self, mailbox: Mailbox, at: Timestamp) {
        // The owner is what stands before the client's own name.
        let mut parts = mailbox.key.splitn(3, '/');
        let owner = match (parts.next(), parts.next()) {
            (Some(kind), Some(name)) => format!("{kind}/{name}"),
            (_, _) => return,
        };
        let client = self.new_client(mailbox.key.as_str().into(), owner.into());
        client
            .mailbox
            .keep_in(mailbox.id, mailbox.waiting, mailbox.bytes, mailbox.newest);
        for packet in mailbox.inbound {
            client.note_inbound(packet);
        }
        let since = self.retained.newest();
        for (subscription, unfinished) in mailbox.subscriptions.into_iter().filter_map(from_kept) {
            if !self.subscribers.write().insert(&client, &subscription) {
                tracing::warn!("a subscription has no room any more");
                continue;
            }
            client.note_subscription(subscription.clone());
            if unfinished {
                client.begin_replay(Replay {
                    subscription,
                    since,
                    after: None,
                });
            }
        }
        self.clients.lock().add(Arc::clone(&client));
        let ends = mailbox.ends.or_else(|| {
            let lasts = Duration::from_secs(mailbox.lasts.into());
            (mailbox.lasts != u32::MAX).then(|| at.after(lasts))
        });
        match ends {
            Some(_) => self.stand_away(&client, ends),
            None => client.stand(Standing::Away(None)),
        }
    }

    fn restore_will(&self, mut will: Will, at: Timestamp) {
        let key: Arc<str> = will.id.key.as_str().into();
        if will.due.is_none() {
            let client = self.clients.lock().by_key.get(&key).cloned();
            let delayed = at.after(Duration::from_secs(will.delay.into()));
            will.due = Some(match client.map(|client| client.standing()) {
                // Not later than the session's end [MQTT-3.1.2-8].
                Some(Standing::Away(Some(ends))) => delayed.min(ends),
                Some(_) => delayed,
                // A session that was not kept has ended with the hub.
                None => at,
            });
        }
        self.wills.lock().insert(key, will);
    }
}
