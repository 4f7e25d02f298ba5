//! In which topics a device speaks and is spoken to, and what lies in them.
//!
//! A conversation is the same whichever it is: a tongue says what a publish means to the core, and
//! in which topic and form what the core has for the device goes out. It keeps nothing.

pub(super) mod plain;

use std::sync::Arc;

use bytes::Bytes;
use outgate_core::calls::{Answer, Call};
use outgate_core::clock::Timestamp;
use outgate_core::commands::Command;
use outgate_core::events::NewEvent;
use outgate_core::id::{CallId, DeviceId};
use outgate_core::identity::{Identified, Principal};
use outgate_core::refusal::Refusal;
use outgate_core::twin::{Half, Twin};
use outgate_mqtt::connection::Incoming;
use outgate_mqtt::packet::{Connect, PublishProperties, QoS, ReasonCode, SubscribeFilter, Will};
use outgate_mqtt::topics::TopicFilter;

use super::policies::{Policies, Subject};
use crate::dialects::aws::mqtt as aws;
use crate::dialects::aws::{jobs, shadow};
use crate::dialects::azure::mqtt as azure;

/// In which topics a device speaks.
#[derive(Clone, Debug)]
pub(super) enum Tongue {
    /// The hub's own.
    Plain,
    /// Azure IoT Hub's.
    Azure(Arc<azure::Speaker>),
    /// The hub's own and those of shadows and jobs, under a policy document, as AWS IoT Core has it.
    Aws,
}

/// What a device has published.
#[derive(Debug)]
pub(in crate::dialects) enum Said {
    /// An event.
    Event(NewEvent),
    /// The answer to a call.
    Answer(CallId, Answer),
    /// It asks for its twin, and knows the answer by this.
    TwinGet(Option<Bytes>),
    /// A patch of the reported half of its twin; it knows what came of it by this.
    Reported(Option<Bytes>),
    /// It asks something of one of its shadows.
    Shadow(Box<shadow::Ask>),
    /// It asks something of its jobs.
    Job(Box<jobs::Ask>),
    /// A message between devices, for the policy to allow.
    Message,
    /// Nothing that it may publish: the hub's own, or another device's.
    Refused,
}

/// A message of the hub's own to a device.
#[derive(Debug)]
pub(in crate::dialects) struct Utterance {
    /// Where.
    pub(in crate::dialects) topic: String,
    /// What.
    pub(in crate::dialects) payload: Bytes,
    /// What is said of it.
    pub(in crate::dialects) properties: PublishProperties,
}

/// What the hub has for a device, each for those who have subscribed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialects) enum Part {
    /// Commands.
    Commands,
    /// Its twin, as it has asked for.
    Document,
    /// The desired half of its twin.
    Desired,
}

impl Tongue {
    /// What a client speaks, as its CONNECT says; or as it has come, if in AWS's way.
    pub(super) fn of(connect: &Connect, is_aws: bool) -> Self {
        if is_aws {
            return Self::Aws;
        }
        match azure::Speaker::of(connect) {
            Some(speaker) => Self::Azure(Arc::new(speaker)),
            None => Self::Plain,
        }
    }

    /// What a client speaks that has been made out: who has a document for a policy is held to it
    /// whichever way it has come, and nobody without one comes in AWS's way.
    ///
    /// # Errors
    /// That it may not speak so.
    pub(super) fn of_policy(
        self,
        policies: &Policies,
        identified: &Identified,
    ) -> Result<Self, ReasonCode> {
        let is_document = match &identified.principal {
            Principal::Device { policy, .. } => policies.is_document(policy),
            Principal::Service { .. } | Principal::Operator { .. } => false,
        };
        match (self, is_document) {
            (Self::Plain | Self::Aws, true) => Ok(Self::Aws),
            (Self::Plain, false) => Ok(Self::Plain),
            (Self::Azure(speaker), false) => Ok(Self::Azure(speaker)),
            (Self::Aws, false) | (Self::Azure(_), true) => Err(ReasonCode::NotAuthorized),
        }
    }

    /// The will of `device` in the hub's own topics.
    ///
    /// # Errors
    /// The reason why it may not be left.
    pub(super) fn will(&self, will: Will, device: &DeviceId) -> Result<Will, ReasonCode> {
        match self {
            Self::Plain | Self::Aws => Ok(will),
            Self::Azure(speaker) => speaker.will(will, device),
        }
    }

    /// What sessions are called in which it is spoken.
    pub(super) fn via(&self) -> &'static str {
        match self {
            Self::Plain => super::VIA,
            Self::Aws => aws::VIA,
            Self::Azure(_) => azure::VIA,
        }
    }

    /// Whether who says what it may not is put out at once.
    pub(super) fn is_strict(&self) -> bool {
        match self {
            Self::Plain | Self::Aws => false,
            Self::Azure(_) => true,
        }
    }

    /// Whether a device may publish this at all, whatever it means.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn permit_publish(
        &self,
        policies: &Policies,
        subject: &Subject,
        incoming: &Incoming,
    ) -> Result<(), ReasonCode> {
        match self {
            Self::Plain | Self::Azure(_) => Ok(()),
            Self::Aws if incoming.delivery.qos() == QoS::ExactlyOnce => {
                Err(ReasonCode::QosNotSupported)
            }
            Self::Aws if policies.permit_publish(subject, &incoming.topic, incoming.retain) => {
                Ok(())
            }
            Self::Aws => Err(ReasonCode::NotAuthorized),
        }
    }

    /// Whether a device may be given what is published to `topic`, where it has subscribed.
    pub(super) fn permit_receive(
        &self,
        policies: &Policies,
        subject: &Subject,
        topic: &str,
    ) -> bool {
        match self {
            Self::Plain | Self::Azure(_) => true,
            Self::Aws => policies.permit_receive(subject, topic),
        }
    }

    /// Whether the device speaks of shadows and jobs.
    pub(super) fn has_shadows(&self) -> bool {
        match self {
            Self::Plain | Self::Azure(_) => false,
            Self::Aws => true,
        }
    }

    /// What a publish of `device` means.
    pub(super) fn understand(&self, device: &DeviceId, incoming: &Incoming) -> Said {
        match self {
            Self::Plain => plain::understand(device, incoming),
            Self::Aws => {
                let shadow = shadow::Ask::of(device, incoming);
                let job = jobs::Ask::of(device, incoming);
                match (shadow, job) {
                    (Some(ask), _) => Said::Shadow(Box::new(ask)),
                    (None, Some(ask)) => Said::Job(Box::new(ask)),
                    (None, None) => plain::understand(device, incoming),
                }
            }
            Self::Azure(speaker) => speaker.understand(incoming),
        }
    }

    /// A topic in which this part of what the hub has for `device` may lie.
    pub(super) fn place(&self, device: &DeviceId, part: Part) -> String {
        match self {
            Self::Plain | Self::Aws => plain::place(device, part),
            Self::Azure(speaker) => speaker.place(part),
        }
    }

    /// Whether a device may have a subscription, and with which quality of service.
    pub(super) fn permit(
        &self,
        policies: &Policies,
        subject: &Subject,
        asked: &SubscribeFilter,
    ) -> Result<QoS, ReasonCode> {
        match self {
            Self::Plain => plain::permit(policies, subject, asked),
            Self::Aws => permit_by_document(policies, subject, asked),
            Self::Azure(speaker) => speaker.permit(asked),
        }
    }

    /// A command, on its way at `now`.
    pub(super) fn command(&self, command: &Command, now: Timestamp) -> Utterance {
        match self {
            Self::Plain | Self::Aws => plain::command(command, now),
            Self::Azure(speaker) => speaker.command(command),
        }
    }

    /// A call.
    pub(super) fn call(&self, call: &Call) -> Utterance {
        match self {
            Self::Plain | Self::Aws => plain::call(call),
            Self::Azure(_) => azure::call(call),
        }
    }

    /// The twin, for who asked by `request`; or why not, where that can be said.
    pub(super) fn document(
        &self,
        twin: Result<&Twin, &Refusal>,
        request: Option<Bytes>,
    ) -> Option<Utterance> {
        match self {
            Self::Plain | Self::Aws => twin.ok().map(|twin| plain::document(twin, request)),
            Self::Azure(_) => azure::document(twin, request.as_ref()),
        }
    }

    /// What came of a report of `device`, which knows it by `request`.
    pub(super) fn reported(
        &self,
        device: &DeviceId,
        half: Result<&Half, &Refusal>,
        request: Option<&Bytes>,
    ) -> Option<Utterance> {
        match self {
            Self::Plain | Self::Aws => Some(plain::reported(device, half)),
            Self::Azure(_) => azure::reported(half, request),
        }
    }

    /// Whether the device is told what has changed of the desired half, not how it is: then what
    /// it knows has to be known.
    pub(super) fn tells_changes(&self) -> bool {
        match self {
            Self::Plain | Self::Aws => false,
            Self::Azure(_) => true,
        }
    }

    /// The desired half, to a device that was told of `before`.
    pub(super) fn desired(
        &self,
        device: &DeviceId,
        before: Option<&Half>,
        half: &Half,
    ) -> Option<Utterance> {
        match self {
            Self::Plain | Self::Aws => Some(plain::desired(device, half)),
            Self::Azure(_) => azure::desired(before?, half),
        }
    }
}

/// Whether a device may have a subscription under a policy document. Nothing is said exactly once,
/// as with AWS.
fn permit_by_document(
    policies: &Policies,
    subject: &Subject,
    asked: &SubscribeFilter,
) -> Result<QoS, ReasonCode> {
    if asked.filter.shared().is_some() {
        return Err(ReasonCode::SharedSubscriptionsNotSupported);
    }
    // What AWS reserves is each thing's own, whatever a document says.
    let is_reserved = asked.filter.as_str().starts_with('$');
    if is_reserved && !within(&shadow::own_filter(&subject.device), &asked.filter) {
        return Err(ReasonCode::NotAuthorized);
    }
    if !policies.permit_subscribe(subject, &asked.filter) {
        return Err(ReasonCode::NotAuthorized);
    }
    plain::permit(policies, subject, asked).map(capped)
}

/// Whether `asked` means nothing beyond the filter `whole`.
pub(in crate::dialects) fn within(whole: &str, asked: &TopicFilter) -> bool {
    TopicFilter::new(whole).is_ok_and(|whole| whole.covers(asked))
}

/// The quality of service as messages of the hub's own have it: at least once, or less where the
/// client has asked for less.
pub(in crate::dialects) fn capped(qos: QoS) -> QoS {
    qos.min(QoS::AtLeastOnce)
}
