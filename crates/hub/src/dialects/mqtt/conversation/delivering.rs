//! What goes out to a client.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use outgate_core::Core;
use outgate_core::messages::{Progress, Waiting};
use outgate_core::refusal::Refusal;
use outgate_mqtt::connection::{Delivered, DropReason};
use outgate_mqtt::packet::{Message, PacketId, PublishProperties, QoS};
use outgate_mqtt::session::{
    Outgoing, Queued, Session, SessionLimits, SessionRecord, packet_id_for_key,
};
use outgate_mqtt::topics::TopicName;

use super::job::Done;
use super::{Conversation, MAX_JOBS, MAX_READY, Tag};
use crate::dialects::mqtt::Inner;
use crate::dialects::mqtt::broker::client::Client;
use crate::dialects::mqtt::broker::mailbox::{self, Delivery, Next};
use crate::dialects::mqtt::broker::message::Routed;
use crate::dialects::mqtt::io::Outbox;
use crate::dialects::mqtt::tongue::capped;
use crate::metrics::Direction;

/// The most messages of the hub's own that wait for the client to read. Of those, calls come
/// unasked, and whoever called hears when one is not answered; what answers the client's own
/// questions it asks again.
const MAX_LETTERS: usize = 256;

/// The most bytes of those; commands, which are not taken from the queue before there is room, wait
/// all the same.
const MAX_LETTERS_BYTES: usize = 8 << 20;

/// A message of the hub's own to the client.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) topic: String,
    pub(super) payload: bytes::Bytes,
    pub(super) properties: PublishProperties,
    /// With which quality of service the client has asked for it.
    pub(super) qos: QoS,
    pub(super) tag: Tag,
}

impl Conversation<'_> {
    /// Makes ready what goes out next.
    pub(super) fn fill(&mut self, now: Instant, out: &Outbox) {
        if !out.bytes.is_empty() || self.end.is_some() {
            return;
        }
        self.send_letters(now);
        while self.connection.output_len() < MAX_READY {
            match self.client.mailbox.take(self.room() > 0) {
                Next::Delivery(delivery) => self.deliver(*delivery, now),
                Next::OnDisk {
                    mailbox,
                    after,
                    before,
                } if !self.reading_disk => {
                    self.reading_disk = true;
                    let messages = &self.hub.core.messages;
                    let limit = u32::try_from(self.room()).unwrap_or(u32::MAX);
                    self.jobs.push(Box::pin(async move {
                        let rows = messages.waiting(mailbox, after, before, limit).await;
                        let all = rows.as_ref().is_ok_and(|rows| rows.len() < limit as usize);
                        Done::OnDisk(rows, all.then_some(before - 1))
                    }));
                    break;
                }
                Next::Nothing if self.replay() => {}
                Next::OnDisk { .. } | Next::Nothing => break,
            }
        }
        self.take_commands();
        self.read_events();
    }

    /// Hands over the next retained messages that subscriptions bring, when nothing else waits.
    /// Whether there were any.
    fn replay(&mut self) -> bool {
        let may_act = self.jobs.len() + self.commits.len() < MAX_JOBS;
        if !may_act || !self.client.mailbox.is_idle() {
            return false;
        }
        let replayed = self.hub.broker.replay(self.client);
        for commit in replayed.commits {
            let broker = Arc::clone(&self.hub.broker);
            self.commits.push(Box::pin(async move {
                Done::Noted("a retained message", broker.commit(commit).await)
            }));
        }
        if !replayed.finished.is_empty() && self.client.mailbox.kept().is_some() {
            let (broker, client) = (Arc::clone(&self.hub.broker), Arc::clone(self.client));
            let pass = self.session.pass();
            let finished = replayed.finished.into_iter();
            let finished = finished.map(|subscription| (subscription, false)).collect();
            self.jobs.push(Box::pin(async move {
                let done = broker.keep_subscriptions(&client, pass, finished).await;
                Done::Noted("that all retained messages were handed over", done)
            }));
        }
        replayed.count > 0
    }

    /// How many more messages of QoS 1 and 2 may be on their way.
    pub(super) fn room(&self) -> usize {
        let under_way = self.tags.len() + self.letters.len();
        usize::from(self.inflight).saturating_sub(under_way)
    }

    /// Whether the client has acknowledged enough for another message of QoS 1 or 2.
    pub(super) fn window_is_open(&self) -> bool {
        self.tags.len() < usize::from(self.inflight)
    }

    /// Messages of the mailbox have been read.
    pub(super) fn on_disk(&mut self, rows: Result<Vec<Waiting>, Refusal>, all: Option<u64>) {
        self.reading_disk = false;
        let rows = match rows {
            Ok(rows) => rows,
            Err(refusal) => {
                tracing::warn!(error = %refusal, "what waits for a client cannot be read");
                return self.close(outgate_mqtt::packet::ReasonCode::UnspecifiedError);
            }
        };
        let read = all.or(rows.last().map(|row| row.slot.seq));
        self.client.mailbox.has_read(read.unwrap_or(0));
        let (now, at) = (Instant::now(), self.hub.core.clock.now());
        for row in rows {
            let (seq, size) = (row.slot.seq, row.message.bytes());
            let qos = QoS::from_number(row.slot.qos).unwrap_or(QoS::AtLeastOnce);
            match Routed::from_kept(row.message.clone(), qos, row.slot.retain, now, at) {
                Some(routed) => self.deliver(Delivery::from_disk(row, Arc::new(routed)), now),
                None => {
                    self.steps.push(Progress::Done { seq });
                    self.client.mailbox.done(size);
                }
            }
        }
    }

    /// Sends a message of the hub's own, now or when the client has read what came before.
    pub(super) fn send(&mut self, letter: Letter, now: Instant) {
        let waiting = self.letters.iter().map(|letter| letter.payload.len());
        let is_command = matches!(letter.tag, Tag::Command(_));
        let is_much = !is_command && waiting.sum::<usize>() >= MAX_LETTERS_BYTES;
        if is_much || self.letters.len() >= MAX_LETTERS {
            return self.count_dropped(DropReason::Slow);
        }
        self.letters.push_back(letter);
        self.send_letters(now);
    }

    fn send_letters(&mut self, now: Instant) {
        while self.connection.output_len() < MAX_READY && self.window_is_open() {
            let Some(letter) = self.letters.pop_front() else {
                break;
            };
            self.send_now(letter, now);
        }
    }

    fn send_now(&mut self, letter: Letter, now: Instant) {
        let Letter {
            topic,
            payload,
            properties,
            qos,
            tag,
        } = letter;
        let message = TopicName::new(&topic)
            .ok()
            .and_then(|topic| Message::new(topic, &payload, qos, false, &properties, now).ok());
        let Some(message) = message else {
            tracing::warn!(topic, "a message of the hub's own cannot be said in MQTT");
            return;
        };
        let outgoing = Outgoing {
            key: self.own_key(),
            message: Arc::new(message),
            // Never exactly once: what these are is no part of the session, which that needs.
            qos: capped(qos),
            retain: false,
            subscription_ids: self.client.identifiers(&topic),
        };
        self.hand_over(outgoing, tag, now);
    }

    /// A message was not sent.
    pub(super) fn count_dropped(&self, why: DropReason) {
        self.hub.metrics.message_dropped(match why {
            DropReason::TooLarge => "too-large",
            DropReason::Expired => "expired",
            DropReason::Slow => "slow",
            DropReason::Full => "full",
            DropReason::NotConnected => "gone",
        });
    }

    fn deliver(&mut self, delivery: Delivery, now: Instant) {
        if !self.may_receive(delivery.message.message.topic().as_str()) {
            return self.withhold(&delivery);
        }
        self.hub
            .metrics
            .message(Direction::Out, delivery.qos.number());
        let size = delivery.message.size;
        let tag = delivery
            .seq
            .map_or(Tag::Nothing, |seq| Tag::Kept { seq, size });
        let outgoing = Outgoing {
            key: delivery.seq.unwrap_or_else(|| self.own_key()),
            message: Arc::clone(&delivery.message.message),
            qos: delivery.qos,
            retain: delivery.retain,
            subscription_ids: identifiers(&delivery.identifiers),
        };
        self.hand_over(outgoing, tag, now);
    }

    /// Lets go of a message that the client's policy does not let it have.
    fn withhold(&mut self, delivery: &Delivery) {
        self.hub.metrics.message_dropped("refused");
        if let Some(seq) = delivery.seq {
            let size = delivery.message.size;
            self.tags.insert(seq, Tag::Kept { seq, size });
            self.on_settled(seq, outgate_mqtt::packet::ReasonCode::Success);
        }
    }

    fn hand_over(&mut self, outgoing: Outgoing, tag: Tag, now: Instant) {
        let (key, qos) = (outgoing.key, outgoing.qos);
        self.tags.insert(key, tag);
        match self.connection.deliver(outgoing, now) {
            Delivered::Dropped(why) => self.on_dropped(key, why),
            Delivered::Sent if qos == QoS::AtMostOnce => {
                self.on_settled(key, outgate_mqtt::packet::ReasonCode::Success);
            }
            Delivered::Sent | Delivered::Queued => {}
        }
    }

    /// A key for a message that has no place in the mailbox.
    fn own_key(&mut self) -> u64 {
        self.own_keys += 1;
        mailbox::own_key(self.own_keys)
    }
}

/// The session of a client that has been here before: what was on its way when it went comes
/// first, under the same packet identifiers.
///
/// # Errors
/// As the store.
pub(in super::super) async fn resumed(
    hub: &Inner,
    client: &Client,
    inflight: u16,
) -> Result<(Session, HashMap<u64, Tag>), Refusal> {
    let limits = SessionLimits {
        queued: usize::from(inflight) * 2,
        queued_bytes: usize::MAX,
        subscriptions: 0,
    };
    let received = client.inbound().into_iter().filter_map(PacketId::new);
    let mut record = SessionRecord {
        received: received.collect(),
        ..SessionRecord::default()
    };
    let mut tags = HashMap::new();
    if let Some((id, sent)) = client.mailbox.sent().filter(|(_, sent)| *sent > 0) {
        let messages = &hub.core.messages;
        let rows = messages.waiting(id, 0, sent + 1, inflight.into()).await?;
        if let Some(last) = rows.last() {
            client.mailbox.has_read(last.slot.seq);
        }
        for row in rows {
            let (seq, size) = (row.slot.seq, row.message.bytes());
            if let Some(queued) = queued(&hub.core, row) {
                tags.insert(seq, Tag::Kept { seq, size });
                record.queued.push(queued);
            }
        }
    }
    Ok((Session::restore(record, limits), tags))
}

/// A message that may have been sent before.
fn queued(core: &Core, row: Waiting) -> Option<Queued> {
    let key = row.slot.seq;
    let packet_id = packet_id_for_key(key);
    if row.released {
        return Some(Queued::Release { packet_id, key });
    }
    let qos = QoS::from_number(row.slot.qos)?;
    let retain = row.slot.retain;
    let routed = Routed::from_kept(row.message, qos, retain, Instant::now(), core.clock.now())?;
    let outgoing = Outgoing {
        key,
        message: routed.message,
        qos,
        retain,
        subscription_ids: identifiers(&row.slot.identifiers),
    };
    Some(Queued::Publish {
        packet_id,
        outgoing,
        sent_before: true,
    })
}

fn identifiers(numbers: &[u32]) -> Box<[NonZeroU32]> {
    numbers
        .iter()
        .filter_map(|number| NonZeroU32::new(*number))
        .collect()
}
