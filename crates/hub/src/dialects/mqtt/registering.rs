//! Devices that connect only to be told which hub is theirs: Azure's device provisioning service.
//!
//! Such a connection has no session of the broker's: it may subscribe to its answers, publish
//! requests, and nothing else.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outgate_azure::provisioning::{ANSWERS, Registrant, Request, answer_topic};
use outgate_door::Facts;
use outgate_mqtt::connection::{Connection, Event, Incoming};
use outgate_mqtt::packet::{
    ConnAck, Connect, Message, PublishProperties, QoS, ReasonCode, SubAck, Subscribe, UnsubAck,
    Unsubscribe, Version,
};
use outgate_mqtt::session::{Outgoing, Session, SessionLimits};
use outgate_mqtt::topics::TopicName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::io::{Moved, Outbox, poll_move};
use super::{Inner, reasons, welcome};
use crate::dialects::azure::provisioning::{Desk, Shown, VIA};

/// How long such a connection lasts at most: who waits for approval comes again.
const LASTS: Duration = Duration::from_secs(60 * 60);

/// How often it is looked whether the hub goes down.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much a device may have waiting for it.
const LIMITS: SessionLimits = SessionLimits {
    queued: 16,
    queued_bytes: 64 * 1024,
    subscriptions: 1,
};

/// Who registers by a CONNECT, if it is one of those.
pub(super) fn registrant(connect: &Connect) -> Option<Registrant> {
    Registrant::of_user_name(connect.user_name.as_deref()?)
}

/// Serves one connection to its end.
pub(super) async fn serve<S>(
    hub: &Inner,
    mut connection: Connection,
    connect: &Connect,
    registrant: Registrant,
    (mut stream, facts): (S, &Facts),
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let desk = match open(hub, connect, registrant, facts).await {
        Ok(desk) => desk,
        Err(reason) => {
            hub.metrics.login_refused(VIA);
            connection.refuse(ConnAck::new(reason));
            let last = connection.take_output(Instant::now());
            return welcome::write_last(&last, &mut stream).await;
        }
    };
    let _live = hub.metrics.session(VIA);
    let answer = ConnAck::new(ReasonCode::Success);
    connection.accept(Session::new(LIMITS), answer, Instant::now());
    let mut conversation = Registering {
        connection,
        desk,
        granted: None,
        sent: 0,
        over: false,
    };
    conversation.run(hub, &mut stream).await;
    // Whoever ends the device's sessions is told that this one is closed when it is.
    drop(stream);
    drop(conversation);
}

async fn open(
    hub: &Inner,
    connect: &Connect,
    registrant: Registrant,
    facts: &Facts,
) -> Result<Desk, ReasonCode> {
    if connect.version == Version::V5 {
        return Err(ReasonCode::UnsupportedProtocolVersion);
    }
    if connect.client_id.as_str() != registrant.registration {
        return Err(ReasonCode::ClientIdentifierNotValid);
    }
    if hub.is_draining() {
        return Err(ReasonCode::ServerUnavailable);
    }
    let password = connect.password.as_ref().map(|password| password.expose());
    let shown = match password.map(str::from_utf8) {
        None | Some(Ok("")) => Shown::Certificate,
        Some(Ok(token)) => Shown::Token(token),
        Some(Err(_)) => return Err(ReasonCode::NotAuthorized),
    };
    let settings = Arc::clone(&hub.rules.load().settings.provisioning);
    let opened = Desk::open(&hub.core, settings, registrant, shown, facts).await;
    opened.map_err(|refusal| {
        // Anybody may bring this about as often as they like.
        tracing::debug!(error = %refusal, peer = %facts.peer.ip(), "a registration failed");
        let reason = reasons::to_connect(&refusal);
        if reason == ReasonCode::BadUserNameOrPassword {
            return ReasonCode::NotAuthorized;
        }
        reason
    })
}

/// A connection that has been accepted.
struct Registering {
    connection: Connection,
    desk: Desk,
    /// With which quality of service it has subscribed to its answers.
    granted: Option<QoS>,
    /// How many answers were sent.
    sent: u64,
    over: bool,
}

impl Registering {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, hub: &Inner, stream: &mut S) {
        let mut out = Outbox::default();
        let mut until = pin!(tokio::time::sleep(LASTS));
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            let now = Instant::now();
            while !self.over
                && let Some(event) = self.connection.poll_event(now)
            {
                self.on_event(event).await;
            }
            if out.bytes.is_empty() {
                out.bytes = self.connection.take_output(now);
            }
            if self.over || hub.is_draining() {
                break;
            }
            let silent = self.connection.poll_timeout().unwrap_or(now + LASTS);
            let wants_more = self.connection.wants_input();
            let connection = &mut self.connection;
            let mut take = |bytes: &[u8]| connection.handle_bytes(bytes, Instant::now());
            let moved =
                poll_fn(|context| poll_move(stream, context, &mut out, wants_more, &mut take));
            tokio::select! {
                biased;
                () = &mut until => break,
                () = self.desk.ended() => break,
                moved = moved => match moved {
                    Ok(Moved::Read(_) | Moved::Written) => {}
                    Ok(Moved::Closed) | Err(_) => return,
                },
                () = tokio::time::sleep_until(silent.into()) => {
                    self.connection.handle_timeout(Instant::now());
                }
                _ = looks.tick() => {}
            }
        }
        out.bytes
            .unsplit(self.connection.take_output(Instant::now()));
        out.last_words(stream);
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Publish(incoming) => self.on_publish(*incoming).await,
            Event::Subscribe(subscribe) => self.on_subscribe(&subscribe),
            Event::Unsubscribe(unsubscribe) => self.on_unsubscribe(&unsubscribe),
            Event::Settled { .. } | Event::Dropped { .. } => {}
            Event::Received { packet_id, .. } => self.connection.release(packet_id),
            Event::Released { packet_id } => self.connection.complete(packet_id),
            Event::Connect(_) | Event::Auth(_) | Event::Disconnect(_) | Event::Failed(_) => {
                self.over = true;
            }
        }
    }

    fn on_subscribe(&mut self, subscribe: &Subscribe) {
        let reasons = subscribe.filters.iter().map(|asked| {
            if asked.filter.as_str() != ANSWERS {
                return ReasonCode::UnspecifiedError;
            }
            match asked.qos {
                QoS::AtMostOnce => {
                    self.granted = Some(QoS::AtMostOnce);
                    ReasonCode::Success
                }
                QoS::AtLeastOnce | QoS::ExactlyOnce => {
                    self.granted = Some(QoS::AtLeastOnce);
                    ReasonCode::GrantedQos1
                }
            }
        });
        let reasons = reasons.collect();
        self.connection.answer_subscribe(SubAck {
            packet_id: subscribe.packet_id,
            reasons,
            reason_string: None,
            user_properties: Vec::new(),
        });
    }

    fn on_unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        if unsubscribe
            .filters
            .iter()
            .any(|its| its.as_str() == ANSWERS)
        {
            self.granted = None;
        }
        let reasons = vec![ReasonCode::Success; unsubscribe.filters.len()];
        self.connection.answer_unsubscribe(UnsubAck {
            packet_id: unsubscribe.packet_id,
            reasons,
            reason_string: None,
            user_properties: Vec::new(),
        });
    }

    async fn on_publish(&mut self, incoming: Incoming) {
        let Some(request) = Request::of_topic(incoming.topic.as_str()) else {
            // As the service does with whoever publishes anything else.
            self.over = true;
            return;
        };
        let told = self.desk.answer(&request.ask, &incoming.payload).await;
        if let Some(token) = incoming.token {
            self.connection
                .acknowledge(token, ReasonCode::Success, None);
        }
        let Some(qos) = self.granted else {
            return;
        };
        let now = Instant::now();
        let topic = answer_topic(told.status, &request.rid, told.retry_after);
        let properties = PublishProperties::default();
        let message = TopicName::new(&topic)
            .ok()
            .and_then(|topic| Message::new(topic, &told.body, qos, false, &properties, now).ok());
        let Some(message) = message else {
            return;
        };
        self.sent += 1;
        let outgoing = Outgoing {
            key: self.sent,
            message: Arc::new(message),
            qos,
            retain: false,
            subscription_ids: Box::new([]),
        };
        // Who reads nothing for so long as to have too much waiting asks again.
        self.connection.deliver(outgoing, now);
    }
}
