//! The device model on the wire: commands, calls, the twin.

use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use outgate_core::calls::Call;
use outgate_core::commands::{Command, Settlement};
use outgate_core::id::CommandId;
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Signal;
use outgate_core::twin::{Half, Twin};
use outgate_mqtt::connection::Token;
use outgate_mqtt::packet::{PacketId, ReasonCode};

use super::delivering::Letter;
use super::job::{Done, Job, Subscribed, TwinPart, handed_in};
use super::{Conversation, Role, Tag};
use crate::dialects::mqtt::tongue::{Part, Utterance};
use outgate_core::messages::Progress;

/// The most commands fetched at a time.
const COMMANDS: u32 = 16;

impl Conversation<'_> {
    /// There is news for the device.
    pub(super) fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Commands => {
                self.commands.more = true;
                self.read_jobs();
            }
            Signal::Desired => {
                self.read_twin(TwinPart::Desired);
                self.read_delta(None);
            }
            Signal::DesiredOf(name) => self.read_delta(Some(name)),
            Signal::Call(call) => self.on_call(call),
            // For agents, which do not speak MQTT, and for who asks about users, over HTTP.
            Signal::Roster | Signal::Spaces => {}
        }
    }

    /// Fetches commands, if there may be some and the client takes them.
    pub(super) fn take_commands(&mut self) {
        if let Role::Service(_) = &self.role {
            return;
        }
        let busy = self.commands.taking || !self.letters.is_empty();
        if !self.commands.more || busy || self.room() == 0 {
            return;
        }
        if !self.wants(Part::Commands) {
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

    /// Settles a command. That is handed in before anything else is taken up: a client may say
    /// goodbye right after its acknowledgement, and the command must not come again by that.
    pub(super) fn settle(&mut self, id: CommandId, how: Settlement) {
        let settled = self.hub.core.commands.settle(self.session, &id, how);
        let mut job: Job<'static> =
            Box::pin(async move { Done::Noted("how a command was settled", settled.await) });
        match handed_in(&mut job) {
            Poll::Ready(done) => self.on_done(done),
            Poll::Pending => self.commits.push(job),
        }
    }

    /// Reads the twin, to be sent to this part of its topics.
    pub(super) fn read_twin(&mut self, part: TwinPart) {
        let (twins, session) = (&self.hub.core.twins, self.session);
        self.jobs.push(Box::pin(async move {
            Done::Twin(part, twins.own(session).await.map(Box::new))
        }));
    }

    /// Reads what the client knows of its twin from now on; `subscribed` is answered then.
    pub(super) fn read_known(&mut self, subscribed: Option<Box<Subscribed>>) {
        let (twins, session) = (&self.hub.core.twins, self.session);
        self.jobs.push(Box::pin(async move {
            Done::Known(twins.own(session).await.map(Box::new), subscribed)
        }));
    }

    /// What the client knows of its twin has been read.
    pub(super) fn on_known(
        &mut self,
        twin: Result<Box<Twin>, Refusal>,
        subscribed: Option<Box<Subscribed>>,
    ) {
        match twin {
            // What was read later may have come sooner.
            Ok(twin) if self.desired_known.is_none() => {
                self.desired_known = Some(Box::new(twin.desired));
            }
            Ok(_) => {}
            Err(refusal) => {
                tracing::warn!(error = %refusal, "a twin cannot be read");
                return self.close(ReasonCode::UnspecifiedError);
            }
        }
        if let Some(subscribed) = subscribed {
            self.keep_granted(*subscribed);
        }
    }

    /// The twin has been read.
    pub(super) fn on_twin(&mut self, part: TwinPart, twin: Result<Box<Twin>, Refusal>) {
        if let Err(refusal) = &twin {
            tracing::warn!(error = %refusal, "a twin cannot be read");
        }
        let Role::Device(device) = &self.role else {
            return;
        };
        match part {
            TwinPart::Document(request) => {
                let document = device.tongue.document(twin.as_deref(), request);
                self.say(document, Tag::Nothing);
            }
            TwinPart::Desired => {
                if let Ok(twin) = twin {
                    self.on_desired(twin.desired);
                }
            }
        }
    }

    /// The desired half has changed, or is to be told for the first time.
    fn on_desired(&mut self, half: Half) {
        let Role::Device(device) = &self.role else {
            return;
        };
        if !self.wants(Part::Desired) {
            // Who subscribes again is told what changes from then on.
            self.desired_known = None;
            return;
        }
        let before = self.desired_known.as_deref();
        let told = device.tongue.desired(&device.id, before, &half);
        if device.tongue.tells_changes() && before.is_none_or(|its| its.version < half.version) {
            self.desired_known = Some(Box::new(half));
        }
        self.say(told, Tag::Nothing);
    }

    /// The client's report was taken or not.
    pub(super) fn on_report(
        &mut self,
        token: Option<Token>,
        packet: Option<u16>,
        request: Option<&Bytes>,
        half: Result<Half, Refusal>,
    ) {
        let Role::Device(device) = &self.role else {
            return;
        };
        let result = device.tongue.reported(&device.id, half.as_ref(), request);
        self.on_done(Done::Kept(token, packet, half.map(drop)));
        self.say(result, Tag::Nothing);
    }

    /// Whether the client is told what changes of the desired half, not how it is.
    pub(super) fn tells_changes(&self) -> bool {
        match &self.role {
            Role::Device(device) => device.tongue.tells_changes(),
            Role::Service(_) => false,
        }
    }

    /// Whether the client takes this part of what the hub has for it.
    pub(super) fn wants(&self, part: Part) -> bool {
        match &self.role {
            Role::Device(device) => {
                let place = device.tongue.place(&device.id, part);
                self.wanted(&place).is_some()
            }
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
        let now = self.hub.core.clock.now();
        let said = device.tongue.command(&command, now);
        // It may have unsubscribed meanwhile: the next session that takes commands gets it.
        self.say(Some(said), Tag::Command(command.id));
    }

    fn on_call(&mut self, call: Call) {
        let Role::Device(device) = &self.role else {
            return;
        };
        let said = device.tongue.call(&call);
        if self.wanted(&said.topic).is_none() {
            // Whoever called may have gone.
            let _ = self.hub.core.calls.decline(self.session, &call.id);
            return;
        }
        self.say(Some(said), Tag::Nothing);
    }

    /// Says something to the client, if it takes that.
    pub(super) fn say(&mut self, said: Option<Utterance>, tag: Tag) {
        let Some(said) = said else {
            return;
        };
        let Some(qos) = self.wanted(&said.topic) else {
            return;
        };
        let letter = Letter {
            topic: said.topic,
            payload: said.payload,
            properties: said.properties,
            qos,
            tag,
        };
        self.send(letter, Instant::now());
    }
}
