//! Messages of devices that publish without a connection of MQTT.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Session;
use outgate_mqtt::packet::{Message, PublishProperties, QoS};
use outgate_mqtt::text::Text;
use outgate_mqtt::topics::TopicName;

use super::Mqtt;
use super::broker::message::Routed;
use super::broker::{Publisher, Unpublished};
use super::events::new_event;
use super::policies::Subject;
use super::topics::{self, Meaning};
use crate::metrics::Direction;

/// A message that is published without a connection.
#[derive(Clone, Debug)]
pub(in crate::dialects) struct Posted {
    /// Where.
    pub(in crate::dialects) topic: String,
    /// What.
    pub(in crate::dialects) payload: Bytes,
    /// How surely it is handed on: at least once at the most.
    pub(in crate::dialects) qos: QoS,
    /// Whether it is kept for who subscribes later.
    pub(in crate::dialects) retain: bool,
    /// What it is.
    pub(in crate::dialects) content_type: Option<String>,
    /// In how many seconds nobody wants it any more.
    pub(in crate::dialects) expires_in: Option<u32>,
}

impl Mqtt {
    /// Publishes for a device that has a document for its policy. Returns when what is to be kept
    /// is on the disk.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when its policy does not allow it, or nobody publishes there so; as
    /// the core.
    pub(in crate::dialects) async fn post(
        &self,
        session: &Session,
        posted: Posted,
    ) -> Result<(), Refusal> {
        let device = session.device()?.clone();
        let key: Arc<str> = format!("device/{device}/").into();
        let subject = Subject::of(session.principal(), Arc::clone(&key));
        let subject = subject.ok_or_else(|| Refusal::forbidden("publishing"))?;
        let rules = self.0.rules.load_full();
        let policies = &rules.policies;
        let may = policies.is_document(&subject.policy)
            && policies.permit_publish(&subject, &posted.topic, posted.retain);
        if !may {
            return Err(Refusal::forbidden("publishing there"));
        }
        let topic = TopicName::new(&posted.topic);
        let topic = topic.map_err(|_| Refusal::invalid("topic", "a topic's name"))?;
        let properties = PublishProperties {
            content_type: posted.content_type.as_deref().map(Text::lossy),
            message_expiry: posted.expires_in,
            ..PublishProperties::default()
        };
        match topics::meaning(&topic, &device) {
            Meaning::Event(name) => {
                let event = new_event(name, &properties, &posted.payload);
                self.0.core.events.append(session, event).await.map(drop)
            }
            Meaning::Message => self.route(session, topic, &posted, &properties).await,
            Meaning::Answer(..) | Meaning::TwinGet | Meaning::Reported | Meaning::Refused => {
                Err(Refusal::forbidden("publishing there"))
            }
        }
    }

    async fn route(
        &self,
        session: &Session,
        topic: TopicName,
        posted: &Posted,
        properties: &PublishProperties,
    ) -> Result<(), Refusal> {
        let pass = session.pass();
        self.0.core.messages.may_send(&pass)?;
        let now = Instant::now();
        let owner = format!("device/{}", session.device()?);
        let (qos, retain) = (posted.qos, posted.retain);
        let message = Message::new(topic, &posted.payload, qos, retain, properties, now);
        let message = message.map_err(|_| Refusal::invalid("contentType", "a shorter text"))?;
        self.0.metrics.message(Direction::In, qos.number());
        let routed = Arc::new(Routed::new(message, now, self.0.core.clock.now()));
        let publisher = Publisher {
            number: 0,
            owner: owner.into(),
            pass: Some(pass),
            inbound: None,
            will: None,
        };
        match self.0.broker.publish(&publisher, &routed) {
            Ok((_, None)) => Ok(()),
            Ok((_, Some(commit))) => self.0.broker.commit(commit).await,
            Err(Unpublished::Refused(refusal)) => Err(refusal),
            Err(Unpublished::TooManyRetained) => Err(Refusal::Full),
        }
    }
}
