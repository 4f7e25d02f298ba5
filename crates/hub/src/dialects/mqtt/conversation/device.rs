//! The device model on the wire: commands, calls, the twin.

use std::time::Instant;

use bytes::Bytes;
use outgate_core::calls::Call;
use outgate_core::commands::{Command, Settlement};
use outgate_core::id::CommandId;
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Signal;
use outgate_core::twin::{Half, Twin};
use outgate_mqtt::connection::Token;
use outgate_mqtt::packet::{PacketId, PublishProperties};
use outgate_mqtt::text::Text;
use outgate_mqtt::topics::TopicName;
use serde_json::json;

use super::delivering::Letter;
use super::job::{Done, TwinPart};
use super::{Conversation, Role, Tag};
use crate::dialects::mqtt::{reasons, topics};
use outgate_core::messages::Progress;

/// The most commands fetched at a time.
const COMMANDS: u32 = 16;

impl Conversation<'_> {
    /// There is news for the device.
    pub(super) fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Commands => self.commands.more = true,
            Signal::Desired => self.read_twin(TwinPart::Desired),
            Signal::Call(call) => self.on_call(call),
            // For agents, which do not speak MQTT.
            Signal::Roster => {}
        }
    }

    /// Fetches commands, if there may be some and the client takes them.
    pub(super) fn take_commands(&mut self) {
        let Role::Device(device) = &self.role else {
            return;
        };
        let busy = self.commands.taking || !self.letters.is_empty();
        if !self.commands.more || busy || self.room() == 0 {
            return;
        }
        if self
            .wanted(&topics::command(&device.id, "-", "-"))
            .is_none()
        {
            self.commands.more = false;
            return;
        }
        self.commands.taking = true;
        self.commands.more = false;
        let (commands, session) = (&self.hub.core.commands, self.session);
        let limit = COMMANDS.min(u32::try_from(self.room()).unwrap_or(COMMANDS));
        self.jobs.push(Box::pin(async move {
            Done::Commands(commands.take(session, limit).await)
        }));
    }

    /// Commands have been fetched.
    pub(super) fn on_commands(&mut self, commands: Result<Vec<Command>, Refusal>) {
        self.commands.taking = false;
        let commands = match commands {
            Ok(commands) => commands,
            Err(refusal) => {
                tracing::warn!(error = %refusal, "commands cannot be read");
                return;
            }
        };
        self.commands.more |= !commands.is_empty();
        for command in commands {
            self.send_command(command);
        }
    }

    /// Settles a command.
    pub(super) fn settle(&mut self, id: CommandId, how: Settlement) {
        let (commands, session) = (&self.hub.core.commands, self.session);
        self.jobs.push(Box::pin(async move {
            Done::Noted(
                "how a command was settled",
                commands.settle(session, &id, how).await,
            )
        }));
    }

    /// Reads the twin, to be sent to this part of its topics.
    pub(super) fn read_twin(&mut self, part: TwinPart) {
        let (twins, session) = (&self.hub.core.twins, self.session);
        self.jobs.push(Box::pin(async move {
            Done::Twin(part, twins.own(session).await.map(Box::new))
        }));
    }

    /// The twin has been read.
    pub(super) fn on_twin(&mut self, part: TwinPart, twin: Result<Box<Twin>, Refusal>) {
        let twin = match twin {
            Ok(twin) => twin,
            Err(refusal) => {
                tracing::warn!(error = %refusal, "a twin cannot be read");
                return;
            }
        };
        match part {
            TwinPart::Document(correlation_data) => {
                let document = json!({
                    "desired": half(&twin.desired),
                    "reported": half(&twin.reported),
                });
                let properties = PublishProperties {
                    correlation_data,
                    ..PublishProperties::default()
                };
                self.send_twin(topics::DOCUMENT, &document, properties);
            }
            TwinPart::Desired => {
                let properties = PublishProperties::default();
                self.send_twin(topics::DESIRED, &half(&twin.desired), properties);
            }
        }
    }

    /// The client's report was taken or not.
    pub(super) fn on_report(
        &mut self,
        token: Option<Token>,
        packet: Option<u16>,
        half: Result<Half, Refusal>,
    ) {
        let result = match &half {
            Ok(half) => json!({ "status": 200, "version": half.version }),
            Err(refusal) => json!({
                "status": reasons::to_status(refusal),
                "error": refusal.to_string(),
            }),
        };
        self.on_done(Done::Kept(token, packet, half.map(drop)));
        self.send_twin(topics::RESULT, &result, PublishProperties::default());
    }

    /// Whether the client takes this part of its twin's topics.
    pub(super) fn wants_twin(&self, part: &str) -> bool {
        match &self.role {
            Role::Device(device) => self.wanted(&topics::twin(&device.id, part)).is_some(),
            Role::Service(_) => false,
        }
    }

    /// The client has a message of QoS 2: it is noted before it is told so.
    pub(super) fn on_received(&mut self, key: u64, packet_id: PacketId) {
        let mailbox = self.client.mailbox.kept();
        match (self.tags.get(&key), mailbox) {
            (Some(Tag::Kept { seq, .. }), Some(mailbox)) => {
                let step = vec![Progress::Released { seq: *seq }];
                let messages = &self.hub.core.messages;
                self.jobs.push(Box::pin(async move {
                    Done::Received(key, packet_id, messages.note(mailbox, step).await)
                }));
            }
            (_, _) => self.connection.release(packet_id),
        }
    }

    /// The client has let go of a packet of its own: that is noted before it is told so, since it
    /// may use the packet again at once.
    pub(super) fn on_released(&mut self, packet_id: PacketId) {
        let known = self.client.inbound().contains(&packet_id.get());
        let (Some(mailbox), true) = (self.client.mailbox.kept(), known) else {
            return self.connection.complete(packet_id);
        };
        let step = vec![Progress::Inbound {
            packet: packet_id.get(),
        }];
        let messages = &self.hub.core.messages;
        self.jobs.push(Box::pin(async move {
            Done::Released(packet_id, messages.note(mailbox, step).await)
        }));
    }

    /// Notes how far messages of the mailbox are.
    pub(super) fn note_steps(&mut self) {
        if self.steps.is_empty() {
            return;
        }
        let steps = std::mem::take(&mut self.steps);
        if let Some(mailbox) = self.client.mailbox.kept() {
            let messages = self.hub.core.messages.clone();
            self.commits.push(Box::pin(async move {
                Done::Noted("what a client has", messages.note(mailbox, steps).await)
            }));
        }
    }

    fn send_command(&mut self, command: Command) {
        let Role::Device(device) = &self.role else {
            return;
        };
        let topic = topics::command(&device.id, command.id.as_str(), &command.name);
        // It may have unsubscribed meanwhile: the next session that takes commands gets it.
        let Some(qos) = self.wanted(&topic) else {
            return;
        };
        let left = command.expires.since(self.hub.core.clock.now());
        let user_properties = command
            .properties
            .iter()
            .map(|(name, value)| (Text::lossy(name), Text::lossy(value)));
        let properties = PublishProperties {
            message_expiry: u32::try_from(left.as_secs()).ok(),
            content_type: content_type(&command.content_type),
            user_properties: user_properties.collect(),
            ..PublishProperties::default()
        };
        let letter = Letter {
            topic,
            payload: command.payload,
            properties,
            qos,
            tag: Tag::Command(command.id),
        };
        self.send(letter, Instant::now());
    }

    fn on_call(&mut self, call: Call) {
        let Role::Device(device) = &self.role else {
            return;
        };
        let topic = topics::call(&device.id, call.id.as_str(), &call.method);
        let Some(qos) = self.wanted(&topic) else {
            // Whoever called may have gone.
            let _ = self.hub.core.calls.decline(self.session, &call.id);
            return;
        };
        let answers = topics::answers(&device.id, call.id.as_str());
        let properties = PublishProperties {
            content_type: content_type(&call.content_type),
            response_topic: TopicName::new(&answers).ok(),
            correlation_data: Some(Bytes::copy_from_slice(call.id.as_str().as_bytes())),
            ..PublishProperties::default()
        };
        let letter = Letter {
            topic,
            payload: call.payload,
            properties,
            qos,
            tag: Tag::Nothing,
        };
        self.send(letter, Instant::now());
    }

    fn send_twin(
        &mut self,
        part: &str,
        document: &serde_json::Value,
        properties: PublishProperties,
    ) {
        let Role::Device(device) = &self.role else {
            return;
        };
        let topic = topics::twin(&device.id, part);
        let Some(qos) = self.wanted(&topic) else {
            return;
        };
        let letter = Letter {
            topic,
            payload: Bytes::from(document.to_string()),
            properties: PublishProperties {
                content_type: content_type("application/json"),
                ..properties
            },
            qos,
            tag: Tag::Nothing,
        };
        self.send(letter, Instant::now());
    }
}

fn half(half: &Half) -> serde_json::Value {
    json!({ "version": half.version, "document": half.document })
}

fn content_type(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| Text::lossy(text))
}
