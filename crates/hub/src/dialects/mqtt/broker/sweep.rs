//! What time brings: wills that are due, sessions and retained messages that are over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use outgate_core::clock::Timestamp;
use outgate_core::identity::Principal;
use outgate_core::messages::{Will, WillId};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Pass;
use outgate_mqtt::packet::QoS;

use super::Broker;
use super::client::{Client, Standing};
use super::message::Routed;
use super::publish::{Publisher, Unpublished};
use crate::dialects::mqtt::VIA;
use crate::dialects::mqtt::policies::Subject;

/// The most wills that are being published at a time, when many are due.
const WILLS_AT_A_TIME: usize = 64;

impl Broker {
    /// Does what is due.
    pub(in super::super) async fn sweep(&self) {
        let now = self.core.clock.now();
        futures_util::stream::iter(self.due_wills(now))
            .for_each_concurrent(WILLS_AT_A_TIME, |will| self.publish_will(will))
            .await;
        for client in self.over(now) {
            // A connection may be about to take the seat; it finds out itself that it is over. If
            // nothing comes of that connection, the client's time is still to end.
            let Some(_seat) = client.try_sit() else {
                self.await_end(&client);
                continue;
            };
            if matches!(client.standing(), Standing::Away(Some(ends)) if ends <= now) {
                self.forget(&client).await;
            }
        }
        let expired = self.retained.expire(now);
        if !expired.is_empty()
            && let Err(refusal) = self.core.messages.drop_expired(expired, now).await
        {
            // They have expired all the same and are taken for it when they are read.
            tracing::warn!(error = %refusal, "expired retained messages were not removed");
        }
    }

    /// A connection has gone and leaves `will`; its session is kept for `lasts` seconds.
    pub(super) async fn settle_will(
        &self,
        client: &Arc<Client>,
        will: Option<Will>,
        lasts: u32,
        now: Timestamp,
    ) {
        let Some(mut will) = will else {
            return;
        };
        // Not later than the session's end [MQTT-3.1.2-8].
        let delay = will.delay.min(lasts);
        if delay == 0 {
            self.publish_will(will).await;
            return;
        }
        will.due = Some(now.after(Duration::from_secs(delay.into())));
        self.wills
            .lock()
            .insert(Arc::clone(&client.key), will.clone());
        if let Err(refusal) = self.core.messages.keep_will(None, will).await {
            tracing::warn!(error = %refusal, "when a will is due was not kept");
        }
    }

    /// Somebody connects as `client`: a will that waits for its absence is dropped, or published
    /// when the session it belongs to ends now (section 3.1.3.2.2).
    pub(super) async fn settle_old_will(&self, client: &Arc<Client>, session_ends: bool) {
        let Some(will) = self.wills.lock().remove(&client.key) else {
            return;
        };
        if session_ends {
            self.publish_will(will).await;
        } else {
            self.drop_will(&will.id).await;
        }
    }

    /// Forgets a will that is not to be published.
    pub(in super::super) async fn drop_will(&self, id: &WillId) {
        if let Err(refusal) = self.core.messages.drop_will(id.clone()).await {
            tracing::warn!(error = %refusal, "a will was not removed");
        }
    }

    fn due_wills(&self, now: Timestamp) -> Vec<Will> {
        let mut wills = self.wills.lock();
        let due: Vec<Arc<str>> = wills
            .iter()
            .filter(|(_, will)| will.due.is_some_and(|due| due <= now))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        due.iter().filter_map(|key| wills.remove(key)).collect()
    }

    /// Publishes a will and forgets it. One of a client that would not be let in any more, or may
    /// not publish it any more, is only forgotten.
    async fn publish_will(&self, will: Will) {
        let id = will.id.clone();
        let done = match self.core.stand_in(&will.credential, VIA).await {
            Ok(pass) if self.permits(&pass, &will.message.topic) => {
                self.publish_for(pass, will).await
            }
            Ok(_) => Err(Refusal::forbidden("publishing a will")),
            Err(refusal) => Err(refusal),
        };
        match done {
            Ok(true) => return,
            Ok(false) => {}
            Err(
                refusal @ (Refusal::Revoked | Refusal::Unauthenticated | Refusal::Forbidden { .. }),
            ) => {
                tracing::info!(error = %refusal, "a will is not published");
            }
            Err(refusal) => tracing::warn!(error = %refusal, "a will was not published"),
        }
        self.drop_will(&id).await;
    }

    /// Whether a device may publish to `topic`, as its policy is by now.
    fn permits(&self, pass: &Pass, topic: &str) -> bool {
        match pass.principal() {
            Principal::Device {
                device,
                site,
                policy,
            } => {
                let subject = Subject {
                    device: device.clone(),
                    site: site.clone(),
                    policy: policy.clone(),
                };
                let rules = self.rules.load();
                rules.policies.permit_publish(&subject, topic)
            }
            Principal::Operator { .. } | Principal::Service { .. } => false,
        }
    }

    /// Publishes a will with the right to act of whom it is. Whether that has left something to be
    /// kept, and the will is forgotten with it.
    async fn publish_for(&self, pass: Pass, will: Will) -> Result<bool, Refusal> {
        let (now, at) = (Instant::now(), self.core.clock.now());
        let publisher = Publisher {
            number: 0,
            owner: will.owner.as_str().into(),
            pass: Some(pass),
            inbound: None,
            will: Some(will.id),
        };
        let qos = QoS::from_number(will.qos).unwrap_or_default();
        let lasts = will
            .message
            .expires
            .map(|end| end.since(will.message.published));
        let mut message = will.message;
        // A will's expiry counts from when it is published (section 3.1.3.2.4).
        message.published = at;
        message.expires = lasts.map(|lasts| at.after(lasts));
        let Some(routed) = Routed::from_kept(message, qos, will.retain, now, at) else {
            return Ok(false);
        };
        match self.publish(&publisher, &Arc::new(routed)) {
            Ok((_, Some(commit))) => self.commit(commit).await.map(|()| true),
            Ok((_, None)) => Ok(false),
            Err(Unpublished::Refused(refusal)) => Err(refusal),
            Err(Unpublished::TooManyRetained) => {
                tracing::info!("a will was not retained: its device has too many already");
                Ok(false)
            }
        }
    }

    /// Clients whose time is over.
    fn over(&self, now: Timestamp) -> Vec<Arc<Client>> {
        let mut clients = self.clients.lock();
        let mut over = Vec::new();
        while let Some((ends, _)) = clients.away.first() {
            if *ends > now {
                break;
            }
            if let Some((_, key)) = clients.away.pop_first() {
                over.extend(clients.by_key.get(&key).cloned());
            }
        }
        over
    }
}
