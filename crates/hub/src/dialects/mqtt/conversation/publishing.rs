//! What a client publishes.

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use outgate_core::calls::Answer;
use outgate_core::events::NewEvent;
use outgate_core::id::CallId;
use outgate_core::messages::Inbound;
use outgate_core::refusal::Refusal;
use outgate_mqtt::connection::{Incoming, Token};
use outgate_mqtt::packet::{Delivery, Message, ReasonCode, Version};
use serde_json::Value;
use tracing::Instrument as _;

use super::job::{Done, Job, TwinPart, handed_in};
use super::{Conversation, Held, Role, Stalled};
use crate::dialects::mqtt::broker::message::Routed;
use crate::dialects::mqtt::broker::{Publisher, Unpublished};
use crate::dialects::mqtt::reasons;
use crate::dialects::mqtt::tongue::{Part, Said};
use crate::metrics::Direction;

impl Conversation<'_> {
    /// The client publishes.
    pub(super) fn on_publish(&mut self, incoming: Incoming, now: Instant) {
        let Role::Device(device) = &self.role else {
            // Services publish nothing: they act through the API.
            return self.refuse(incoming.token, ReasonCode::NotAuthorized);
        };
        let rules = self.hub.rules.load();
        let (tongue, subject) = (&device.tongue, &device.subject);
        if let Err(why) = tongue.permit_publish(&rules.policies, subject, &incoming) {
            return self.refuse(incoming.token, why);
        }
        match tongue.understand(&device.id, &incoming) {
            Said::Event(event) => self.append(incoming.token, self.inbound(&incoming), event),
            Said::Answer(call, answer) => self.on_answer(&call, answer, &incoming),
            Said::TwinGet(request) => self.on_twin_get(request, &incoming),
            Said::Reported(request) => self.on_reported(request, &incoming),
            Said::Shadow(ask) => self.on_shadow(*ask, incoming.token),
            Said::Job(ask) => self.on_job(*ask, incoming.token),
            Said::Message
                if rules
                    .policies
                    .permit_publish(subject, &incoming.topic, incoming.retain) =>
            {
                self.on_message(&incoming, now);
            }
            Said::Refused if tongue.is_strict() => self.close(ReasonCode::NotAuthorized),
            Said::Message | Said::Refused => {
                self.refuse(incoming.token, ReasonCode::NotAuthorized);
            }
        }
    }

    /// Hands an event to the core. Those of one connection are handed in in their order, so when
    /// one comes too soon after the others nothing more is read until it is in.
    pub(super) fn append(
        &mut self,
        token: Option<Token>,
        inbound: Option<Inbound>,
        event: NewEvent,
    ) {
        let (events, pass) = (self.hub.core.events.clone(), self.session.pass());
        let again = event.clone();
        let packet = inbound.map(|inbound| inbound.packet);
        let span = tracing::debug_span!(
            "publish",
            otel.kind = "server",
            messaging.system = "mqtt",
            client = %self.client.key,
        );
        let kept = async move {
            let kept = events.append_noting(pass, event, inbound).await;
            Done::Kept(token, packet, kept.map(drop))
        };
        let mut job: Job<'static> = Box::pin(kept.instrument(span));
        match handed_in(&mut job) {
            Poll::Ready(Done::Kept(_, _, Err(Refusal::Limited { retry_after, .. }))) => {
                self.stalled = Some(Stalled {
                    held: Held::Event(token, inbound, again),
                    until: Instant::now() + retry_after,
                });
            }
            Poll::Ready(done) => self.on_done(done),
            Poll::Pending => self.wait_for(job, inbound),
        }
    }

    /// Waits for what is to be kept of a message. When a packet is noted with it, the next
    /// connection has to know of that, so it is seen through whatever becomes of this one.
    fn wait_for(&mut self, job: Job<'static>, inbound: Option<Inbound>) {
        if inbound.is_some() {
            self.commits.push(job);
        } else {
            self.jobs.push(job);
        }
    }

    /// The packet of a message of QoS 2, where the session outlives its connections. It is noted
    /// with what the message brings: the client may send it again over another one.
    fn inbound(&self, incoming: &Incoming) -> Option<Inbound> {
        match (incoming.delivery, self.client.mailbox.kept()) {
            (Delivery::ExactlyOnce { packet_id, .. }, Some(mailbox)) => Some(Inbound {
                mailbox,
                packet: packet_id.get(),
            }),
            (_, _) => None,
        }
    }

    /// Acknowledges a message of which nothing else is kept.
    fn acknowledge_taken(&mut self, incoming: &Incoming) {
        let Some(inbound) = self.inbound(incoming) else {
            return self.acknowledge(incoming.token, ReasonCode::Success);
        };
        let (messages, token) = (self.hub.core.messages.clone(), incoming.token);
        self.commits.push(Box::pin(async move {
            let noted = messages.note_inbound(inbound).await;
            Done::Kept(token, Some(inbound.packet), noted)
        }));
    }

    /// A message between devices.
    fn on_message(&mut self, incoming: &Incoming, now: Instant) {
        if let Err(refusal) = self.hub.core.messages.may_send(&self.session.pass()) {
            if !self.hold(incoming, &refusal) {
                self.on_refused(incoming.token, &refusal);
            }
            return;
        }
        let qos = incoming.delivery.qos();
        let message = Message::new(
            incoming.topic.clone(),
            &incoming.payload,
            qos,
            incoming.retain,
            &incoming.properties,
            now,
        );
        let Ok(message) = message else {
            return self.refuse(incoming.token, ReasonCode::UnspecifiedError);
        };
        self.hub.metrics.message(Direction::In, qos.number());
        let routed = Arc::new(Routed::new(message, now, self.hub.core.clock.now()));
        let inbound = self.inbound(incoming);
        let publisher = Publisher {
            number: self.client.number,
            owner: Arc::clone(&self.client.owner),
            pass: Some(self.session.pass()),
            inbound,
            will: None,
        };
        match self.hub.broker.publish(&publisher, &routed) {
            Ok((0, None)) => self.acknowledge(incoming.token, ReasonCode::NoMatchingSubscribers),
            Ok((_, None)) => self.acknowledge(incoming.token, ReasonCode::Success),
            Ok((_, Some(commit))) => {
                let (broker, token) = (Arc::clone(&self.hub.broker), incoming.token);
                let packet = inbound.map(|inbound| inbound.packet);
                self.commits.push(Box::pin(async move {
                    Done::Kept(token, packet, broker.commit(commit).await)
                }));
            }
            Err(Unpublished::Refused(refusal)) => self.on_refused(incoming.token, &refusal),
            Err(Unpublished::TooManyRetained) => {
                self.refuse(incoming.token, ReasonCode::QuotaExceeded);
            }
        }
    }

    fn on_answer(&mut self, call: &CallId, answer: Answer, incoming: &Incoming) {
        match self.hub.core.calls.answer(self.session, call, answer) {
            // Too late is not the device's fault, and sending it again would not help.
            Ok(()) | Err(Refusal::NotFound { .. }) => self.acknowledge_taken(incoming),
            Err(refusal) => self.on_refused(incoming.token, &refusal),
        }
    }

    fn on_twin_get(&mut self, request: Option<Bytes>, incoming: &Incoming) {
        if !self.wants(Part::Document) {
            return self.acknowledge(incoming.token, ReasonCode::NoMatchingSubscribers);
        }
        self.acknowledge_taken(incoming);
        self.read_twin(TwinPart::Document(request));
    }

    fn on_reported(&mut self, request: Option<Bytes>, incoming: &Incoming) {
        let Ok(patch) = serde_json::from_slice::<Value>(&incoming.payload) else {
            let wrong = Refusal::invalid("payload", "a JSON object");
            return self.on_done(Done::Reported(incoming.token, None, request, Err(wrong)));
        };
        let (twins, pass) = (self.hub.core.twins.clone(), self.session.pass());
        let (token, inbound) = (incoming.token, self.inbound(incoming));
        let packet = inbound.map(|inbound| inbound.packet);
        let mut job: Job<'static> = Box::pin(async move {
            let half = twins.report_noting(pass, patch, None, inbound).await;
            Done::Reported(token, packet, request, half)
        });
        // The first poll hands it in; the rest only waits.
        match handed_in(&mut job) {
            Poll::Ready(Done::Reported(_, _, _, Err(refusal))) if self.hold(incoming, &refusal) => {
            }
            Poll::Ready(done) => self.on_done(done),
            Poll::Pending => self.wait_for(job, inbound),
        }
    }

    /// Holds a message that came too soon until its turn, if its client waits for an answer and
    /// cannot be told that it came too soon. Nothing more is read before.
    fn hold(&mut self, incoming: &Incoming, refusal: &Refusal) -> bool {
        let Refusal::Limited { retry_after, .. } = refusal else {
            return false;
        };
        if incoming.token.is_none() || self.version() == Version::V5 {
            return false;
        }
        self.stalled = Some(Stalled {
            held: Held::Message(Box::new(incoming.clone())),
            until: Instant::now() + *retry_after,
        });
        true
    }

    /// A message was not taken. One that never can be is acknowledged to a client of 3.1.1, which
    /// would send it for ever otherwise; it is counted, as is one whose sender waits for no answer.
    pub(super) fn on_refused(&mut self, token: Option<Token>, refusal: &Refusal) {
        if matches!(refusal, Refusal::Revoked | Refusal::Draining) {
            // The session is about to end, and says so itself.
            return;
        }
        tracing::debug!(error = %refusal, "a message was not taken");
        let hopeless = matches!(refusal, Refusal::Invalid { .. } | Refusal::TooLarge { .. });
        match (token, self.version()) {
            (Some(_), Version::V3_1 | Version::V3_1_1) if hopeless => {
                self.hub.metrics.message_dropped("refused");
                self.acknowledge(token, ReasonCode::Success);
            }
            (None, _) => self.hub.metrics.message_dropped("refused"),
            (Some(_), _) => self.refuse(token, reasons::to_publish(refusal)),
        }
    }

    /// Says no to a message. A client of 3.1.1 cannot be told, so it is closed: an acknowledgement
    /// would be a lie (section 3.3.5 leaves the choice).
    pub(super) fn refuse(&mut self, token: Option<Token>, reason: ReasonCode) {
        match (token, self.version()) {
            (Some(_), Version::V5) => self.acknowledge(token, reason),
            (Some(_), Version::V3_1 | Version::V3_1_1) => self.close(reason),
            (None, _) => tracing::debug!(?reason, "a message of QoS 0 is not taken"),
        }
    }
}
