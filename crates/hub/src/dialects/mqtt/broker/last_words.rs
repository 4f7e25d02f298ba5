//! What clients that have gone leave to be said: wills.
//!
//! A will is a message between devices, or an event of its device. Either is said with the right
//! to act of whom it is, as that is by then: not by who was revoked, nor against its policy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outgate_core::clock::Timestamp;
use outgate_core::events::NewEvent;
use outgate_core::id::DeviceId;
use outgate_core::messages::{Will, WillId};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Pass;
use outgate_mqtt::packet::{Message, QoS};
use outgate_mqtt::topics::TopicName;

use super::Broker;
use super::client::Client;
use super::message::Routed;
use super::publish::{Publisher, Unpublished};
use crate::dialects::mqtt::VIA;
use crate::dialects::mqtt::events::new_event;
use crate::dialects::mqtt::policies::{Policies, Subject};
use crate::dialects::mqtt::topics::{self, Meaning};

/// After how long an event that had no room is tried again: longer than it takes to look, shorter
/// than anybody waits who has just made room.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The most events that wait for room. Each may have as many bytes as a CONNECT.
const MAX_PUT_OFF: usize = 1_000;

impl Broker {
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

    pub(super) fn due_wills(&self, now: Timestamp) -> Vec<Will> {
        let mut wills = self.wills.lock();
        let due: Vec<Arc<str>> = wills
            .iter()
            .filter(|(_, will)| will.due.is_some_and(|due| due <= now))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        due.iter().filter_map(|key| wills.remove(key)).collect()
    }

    /// Publishes a will and forgets it. One of a client that would not be let in any more, or may
    /// not publish it any more, is only forgotten. An event that has no room is tried again.
    pub(super) async fn publish_will(&self, will: Will) {
        let id = will.id.clone();
        let event = event_of(&will);
        let is_event = event.is_some();
        let done = match event {
            Some(event) => self.append_will(&will, event).await,
            None => self.send_will(will.clone()).await,
        };
        match done {
            Ok(true) => return,
            Ok(false) => {}
            Err(
                refusal @ (Refusal::Revoked | Refusal::Unauthenticated | Refusal::Forbidden { .. }),
            ) => {
                tracing::info!(error = %refusal, "a will is not published");
            }
            // A message has reached some already, and would reach them again.
            Err(refusal) if is_event && may_pass(&refusal) && self.put_off(&will) => {
                tracing::warn!(error = %refusal, "a will that is an event has to wait");
                return;
            }
            Err(refusal) => tracing::warn!(error = %refusal, "a will was not published"),
        }
        self.drop_will(&id).await;
    }

    /// Hands a will that is an event to the core, which forgets it in the same commit.
    async fn append_will(&self, will: &Will, event: NewEvent) -> Result<bool, Refusal> {
        let pass = self.stand_in(will).await?;
        if !self.permits(&pass, will, Policies::permit_own) {
            return Err(Refusal::forbidden("leaving a will"));
        }
        let events = &self.core.events;
        let kept = events.append_will(pass, event, will.id.clone()).await;
        kept.map(|_| true)
    }

    /// The right to act of whom a will is.
    async fn stand_in(&self, will: &Will) -> Result<Pass, Refusal> {
        let device = device_of(will);
        let core = &self.core;
        core.stand_in_as(&will.credential, device.as_ref(), VIA)
            .await
    }

    /// Publishes a will that is a message between devices, if its device may say that by now.
    async fn send_will(&self, will: Will) -> Result<bool, Refusal> {
        let pass = self.stand_in(&will).await?;
        if !self.permits(&pass, &will, Policies::permit_publish) {
            return Err(Refusal::forbidden("publishing a will"));
        }
        self.core.messages.may_send_will(&pass)?;
        self.publish_for(pass, will).await
    }

    /// Whether a device may leave a will, as its policy is by now.
    fn permits(
        &self,
        pass: &Pass,
        will: &Will,
        permit: fn(&Policies, &Subject, &str, bool) -> bool,
    ) -> bool {
        let subject = Subject::of(pass.principal(), will.id.key.as_str().into());
        let policies = &self.rules.load().policies;
        let topic = will.message.topic.as_str();
        subject.is_some_and(|subject| permit(policies, &subject, topic, will.retain))
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
    /// Events that had no room and are to be tried again at `now`.
    pub(super) fn put_off_until(&self, now: Timestamp) -> Vec<Will> {
        let mut put_off = self.put_off.lock();
        let due = put_off.partition_point(|(again, _)| *again <= now);
        put_off.drain(..due).map(|(_, will)| will).collect()
    }

    /// Has an event that had no room tried again later. `false` when too many wait already.
    fn put_off(&self, will: &Will) -> bool {
        let again = self.core.clock.now().after(TRIED_AGAIN_AFTER);
        let mut put_off = self.put_off.lock();
        let has_room = put_off.len() < MAX_PUT_OFF;
        if has_room {
            put_off.push_back((again, will.clone()));
        }
        has_room
    }
}

/// Whose will it is, if it is a device's.
fn device_of(will: &Will) -> Option<DeviceId> {
    will.owner.strip_prefix("device/")?.parse().ok()
}

/// The event that a will is, if it is one.
fn event_of(will: &Will) -> Option<NewEvent> {
    let device = device_of(will)?;
    let Meaning::Event(name) = topics::meaning(&will.message.topic, &device) else {
        return None;
    };
    let message = Message::from_stored(
        TopicName::new(&will.message.topic).ok()?,
        will.message.payload.clone(),
        QoS::from_number(will.qos)?,
        will.retain,
        will.message.headers.clone(),
        None,
    );
    let message = message.ok()?;
    let properties = message.properties().ok()?;
    Some(new_event(name, &properties, message.payload()))
}

/// Whether what was refused now may be taken later.
fn may_pass(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Full | Refusal::Limited { .. } | Refusal::Draining | Refusal::Store(_) => true,
        Refusal::Unauthenticated
        | Refusal::Forbidden { .. }
        | Refusal::Revoked
        | Refusal::AwaitsApproval
        | Refusal::Invalid { .. }
        | Refusal::TooLarge { .. }
        | Refusal::TooMany { .. }
        | Refusal::NotFound { .. }
        | Refusal::Exists { .. }
        | Refusal::Conflict { .. }
        | Refusal::Offline { .. }
        | Refusal::TakesNoCalls { .. }
        | Refusal::DeadlineExceeded
        | Refusal::Expired { .. }
        | Refusal::Randomness
        | Refusal::Internal(_) => false,
    }
}
