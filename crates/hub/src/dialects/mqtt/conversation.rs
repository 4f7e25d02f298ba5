//! One connection, from its CONNACK to its end.
//!
//! A conversation waits for whatever comes first: bytes, the disk, a message in its mailbox, news
//! for its device, the end of its session. Then it hands in what it read, fills what goes out, and
//! waits again. It holds no buffer while nothing happens.

mod authenticating;
mod delivering;
mod device;
mod feed;
mod job;
mod jobs;
mod publishing;
mod service;
mod shadows;
mod subscribing;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use outgate_core::commands::Settlement;
use outgate_core::events::NewEvent;
use outgate_core::id::{CommandId, DeviceId};
use outgate_core::identity::Scope;
use outgate_core::messages::{Inbound, Progress};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::{Ending, Session};
use outgate_core::twin::Half;
use outgate_mqtt::connection::{Connection, DropReason, Event, Incoming, Token};
use outgate_mqtt::packet::{Disconnect, QoS, ReasonCode, SubAck, UnsubAck, Version};
use outgate_mqtt::topics::TopicFilter;
use tokio::io::{AsyncRead, AsyncWrite};

use self::delivering::Letter;
use self::feed::Feed;
use self::job::{Done, Job};
use super::broker::client::Client;
use super::io::Outbox;
use super::methods::Agreed;
use super::policies::Subject;
use super::rules::Rules;
use super::tongue::Tongue;
use super::{Inner, reasons};

pub(super) use self::delivering::resumed;

/// The most acts of one connection that wait for the disk. No more is read before.
const MAX_JOBS: usize = 256;

/// The most bytes that are made ready to go out before they go.
const MAX_READY: usize = 64 * 1024;

/// One connection.
pub(super) struct Conversation<'a> {
    hub: &'a Inner,
    session: &'a Session,
    client: &'a Arc<Client>,
    role: Role,
    connection: Connection,
    /// What messages of QoS 1 and 2 on their way to the client are, by their keys.
    tags: HashMap<u64, Tag>,
    /// The most of those.
    pub(super) inflight: u16,
    /// What it was authenticated by, if by a method.
    pub(super) agreed: Option<Box<Agreed>>,
    /// The rules that its subscriptions were last held to.
    rules: Option<Arc<Rules>>,
    /// How many keys of our own were given.
    own_keys: u64,
    jobs: FuturesUnordered<Job<'a>>,
    /// Those that have to be seen through even when the connection has ended.
    commits: FuturesUnordered<Job<'static>>,
    /// Steps of messages in the mailbox that are to be noted.
    steps: Vec<Progress>,
    commands: CommandQueue,
    /// Messages of the hub's own that wait until the client has read what is ready for it.
    letters: VecDeque<Letter>,
    /// Whether the desired half of the twin was sent since it was subscribed to.
    desired_sent: bool,
    /// The desired half as the device knows it, where it is told what changes.
    desired_known: Option<Box<Half>>,
    /// Subscriptions that are new, and that may bring what differs of a shadow.
    fresh: Vec<TopicFilter>,
    /// What the device is told of its jobs unasked.
    news: jobs::News,
    reading_disk: bool,
    stalled: Option<Stalled>,
    end: Option<End>,
}

/// Who the client is.
pub(super) enum Role {
    /// A device.
    Device(DeviceRole),
    /// A service.
    Service(Box<ServiceRole>),
}

/// A device.
pub(super) struct DeviceRole {
    /// Which.
    pub(super) id: DeviceId,
    /// The same, as policies see it.
    pub(super) subject: Subject,
    /// In which topics it speaks.
    pub(super) tongue: Tongue,
}

/// A service.
pub(super) struct ServiceRole {
    /// What it sees.
    scope: Scope,
    feed: Option<Feed>,
    news: tokio::sync::watch::Receiver<u64>,
}

impl ServiceRole {
    /// A service that takes nothing yet.
    pub(super) fn new(hub: &Inner, scope: Scope) -> Self {
        Self {
            scope,
            feed: None,
            news: hub.core.events.newest(),
        }
    }
}

/// What a message to a client is to whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Nothing more is to be done for it.
    Nothing,
    /// It lies in the client's mailbox.
    Kept {
        /// At this place.
        seq: u64,
        /// With so many bytes.
        size: u64,
    },
    /// It is a command.
    Command(CommandId),
    /// It is the event at this place.
    Event(u64),
}

/// Where the device's commands are.
#[derive(Debug, Default)]
struct CommandQueue {
    /// Whether some are being fetched.
    taking: bool,
    /// Whether there may be more.
    more: bool,
}

/// Something that came too soon after others. Nothing more is read before its turn.
#[derive(Debug)]
struct Stalled {
    held: Held,
    until: Instant,
}

/// What waits for its turn.
#[derive(Debug)]
enum Held {
    /// An event.
    Event(Option<Token>, Option<Inbound>, NewEvent),
    /// A message to other devices, or a report.
    Message(Box<Incoming>),
}

/// What is left of a conversation, and others wait for.
pub(super) struct Leftovers {
    client: Arc<Client>,
    commits: FuturesUnordered<Job<'static>>,
    steps: Vec<Progress>,
}

impl Leftovers {
    /// Sees them through.
    pub(super) async fn finish(mut self, hub: &Inner) {
        while let Some(done) = self.commits.next().await {
            if let Done::Kept(_, Some(packet), Ok(())) | Done::Reported(_, Some(packet), _, Ok(_)) =
                done
            {
                self.client.note_inbound(packet);
            }
        }
        if let Some(mailbox) = self.client.mailbox.kept()
            && !self.steps.is_empty()
            && let Err(refusal) = hub.core.messages.note(mailbox, self.steps).await
        {
            tracing::warn!(error = %refusal, "what a client has was not noted; it comes again");
        }
    }
}

/// How a conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client said goodbye; for how many seconds its session is kept, if it said so.
    Goodbye {
        /// Seconds.
        lasts: Option<u32>,
        /// Whether it wants its will published.
        will: bool,
    },
    /// The connection broke, or one side ended it for the other's mistake.
    Broken,
    /// The session was ended.
    Ended(Ending),
}

impl<'a> Conversation<'a> {
    /// A conversation over a connection that was just accepted. `tags` is of what it sends first.
    pub(super) fn new(
        hub: &'a Inner,
        session: &'a Session,
        client: &'a Arc<Client>,
        role: Role,
        connection: Connection,
        tags: HashMap<u64, Tag>,
    ) -> Self {
        Self {
            hub,
            session,
            client,
            role,
            connection,
            tags,
            inflight: 1,
            agreed: None,
            rules: None,
            own_keys: 0,
            jobs: FuturesUnordered::new(),
            commits: FuturesUnordered::new(),
            steps: Vec::new(),
            commands: CommandQueue::default(),
            letters: VecDeque::new(),
            desired_sent: false,
            desired_known: None,
            fresh: Vec::new(),
            news: jobs::News::default(),
            reading_disk: false,
            stalled: None,
            end: None,
        }
    }

    /// Converses until the end.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> End {
        let mut out = Outbox::default();
        self.open_feed(true);
        for subscription in self.client.subscriptions() {
            self.note_fresh(&subscription.filter.filter);
        }
        self.on_subscribed();
        let session = self.session;
        let mut ended = Box::pin(session.ended());
        let mut alarm = Box::pin(tokio::time::sleep_until(self.deadline(Instant::now())));
        let end = loop {
            let now = Instant::now();
            self.heed_rules();
            self.take_events(now, &out);
            self.fill(now, &out);
            self.note_steps();
            if out.bytes.is_empty() {
                out.bytes = self.connection.take_output(now);
            }
            if let Some(end) = self.end {
                break end;
            }
            let deadline = self.deadline(now);
            if deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            let happened = self
                .wait(stream, &mut out, ended.as_mut(), alarm.as_mut())
                .await;
            if let Some(end) = self.on_happened(happened, alarm.as_mut()) {
                break end;
            }
        };
        if let End::Ended(why) = end {
            self.connection.disconnect(self.farewell(why));
        }
        // The client is told of it when it reads; nobody waits for that.
        out.bytes
            .unsplit(self.connection.take_output(Instant::now()));
        out.last_words(stream);
        end
    }

    /// What is to be seen through once the connection is closed. Nothing of it needs the session.
    pub(super) fn leave(mut self) -> Leftovers {
        self.place_at_last();
        let sent = self.tags.values().filter_map(|tag| match tag {
            Tag::Kept { seq, .. } => Some(*seq),
            Tag::Nothing | Tag::Command(_) | Tag::Event(_) => None,
        });
        if let Some(newest) = sent.max() {
            self.client.mailbox.was_sent(newest);
        }
        Leftovers {
            client: Arc::clone(self.client),
            commits: self.commits,
            steps: self.steps,
        }
    }

    fn take_events(&mut self, now: Instant, out: &Outbox) {
        while self.may_act(out) {
            let Some(event) = self.connection.poll_event(now) else {
                break;
            };
            self.on_event(event, now);
        }
    }

    /// Whether more of what the client wants may be taken up now. Letters that wait for it to read
    /// hold it up; those that wait for its acknowledgements must not.
    fn may_act(&self, out: &Outbox) -> bool {
        self.end.is_none()
            && self.stalled.is_none()
            && (self.letters.is_empty() || !self.window_is_open())
            && self.jobs.len() + self.commits.len() < MAX_JOBS
            && out.bytes.len() + self.connection.output_len() < MAX_READY
    }

    fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Publish(incoming) => self.on_publish(*incoming, now),
            Event::Subscribe(subscribe) => self.on_subscribe(subscribe),
            Event::Unsubscribe(unsubscribe) => self.on_unsubscribe(unsubscribe),
            Event::Settled { key, reason } => self.on_settled(key, reason),
            Event::Dropped { key, why } => self.on_dropped(key, why),
            Event::Received { key, packet_id } => self.on_received(key, packet_id),
            Event::Released { packet_id } => self.on_released(packet_id),
            Event::Disconnect(disconnect) => {
                self.end = Some(End::Goodbye {
                    lasts: disconnect.session_expiry,
                    will: disconnect.reason != ReasonCode::Success,
                });
            }
            Event::Failed(error) => {
                tracing::debug!(%error, "an MQTT connection failed");
                self.end = Some(End::Broken);
            }
            Event::Auth(auth) => self.on_auth(*auth),
            Event::Connect(_) => self.close(ReasonCode::ProtocolError),
        }
    }

    fn on_settled(&mut self, key: u64, reason: ReasonCode) {
        match self.tags.remove(&key) {
            Some(Tag::Kept { seq, size }) => {
                self.steps.push(Progress::Done { seq });
                self.client.mailbox.done(size);
            }
            Some(Tag::Command(id)) => {
                let how = if reason.is_failure() {
                    Settlement::Rejected
                } else {
                    Settlement::Completed
                };
                self.settle(id, how);
            }
            Some(Tag::Event(place)) => self.on_event_taken(place),
            Some(Tag::Nothing) | None => {}
        }
    }

    /// A message was not sent. What can never be sent is done with; all else waits for another
    /// time.
    fn on_dropped(&mut self, key: u64, why: DropReason) {
        self.count_dropped(why);
        match (why, self.tags.get(&key)) {
            // The core lets it expire by itself.
            (DropReason::Expired, Some(Tag::Command(_))) => {
                self.tags.remove(&key);
            }
            (DropReason::TooLarge | DropReason::Expired, _) => {
                self.on_settled(key, ReasonCode::PacketTooLarge);
            }
            (DropReason::Slow | DropReason::Full | DropReason::NotConnected, _) => {
                if let Some(Tag::Command(id)) = self.tags.remove(&key) {
                    self.settle(id, Settlement::Abandoned);
                }
            }
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Kept(token, inbound, Ok(())) => {
                if let Some(packet) = inbound {
                    self.client.note_inbound(packet);
                }
                self.acknowledge(token, ReasonCode::Success);
            }
            Done::Kept(token, _, Err(refusal)) => self.on_refused(token, &refusal),
            Done::Commands(commands) => self.on_commands(commands),
            Done::Twin(part, twin) => self.on_twin(part, twin),
            Done::Reported(token, packet, request, half) => {
                self.on_report(token, packet, request.as_ref(), half);
            }
            Done::Asked(token, said) => self.on_answered(token, said),
            Done::Jobs(waiting) => self.on_jobs(waiting),
            Done::Deltas(taken, twins) => self.on_deltas(&taken, twins),
            Done::Known(twin, subscribed) => self.on_known(twin, subscribed),
            Done::OnDisk(rows, before) => self.on_disk(rows, before),
            Done::Events(taken) => self.on_events(taken),
            Done::FeedOpen(place) => self.on_feed_open(place),
            Done::Placed(place) => self.on_placed(place),
            Done::Subscribed(packet_id, reasons, replays, Ok(())) => {
                for replay in replays {
                    self.client.begin_replay(replay);
                }
                self.connection.answer_subscribe(SubAck {
                    packet_id,
                    reasons,
                    reason_string: None,
                    user_properties: Vec::new(),
                });
                self.on_subscribed();
            }
            Done::Unsubscribed(packet_id, reasons, Ok(())) => {
                self.connection.answer_unsubscribe(UnsubAck {
                    packet_id,
                    reasons,
                    reason_string: None,
                    user_properties: Vec::new(),
                });
            }
            Done::Received(key, packet_id, Ok(())) => {
                if self.tags.contains_key(&key) {
                    self.connection.release(packet_id);
                }
            }
            Done::Released(packet_id, Ok(())) => {
                self.client.forget_inbound(packet_id.get());
                self.connection.complete(packet_id);
            }
            Done::Subscribed(_, _, _, Err(refusal))
            | Done::Unsubscribed(_, _, Err(refusal))
            | Done::Received(_, _, Err(refusal))
            | Done::Released(_, Err(refusal)) => {
                // Nothing false is said: the client finds its session as it was.
                tracing::warn!(error = %refusal, "a session was not kept");
                self.close(ReasonCode::UnspecifiedError);
            }
            Done::Stepped(exchange, steps, step) => self.on_stepped(exchange, steps, step),
            Done::Noted(what, noted) => on_noted(what, noted),
        }
    }

    fn acknowledge(&mut self, token: Option<Token>, reason: ReasonCode) {
        if let Some(token) = token {
            self.connection.acknowledge(token, reason, None);
        }
    }

    /// Ends the connection for a reason.
    fn close(&mut self, reason: ReasonCode) {
        if self.end.is_none() {
            self.connection.disconnect(Disconnect::new(reason));
            self.end = Some(End::Broken);
        }
    }

    fn version(&self) -> Version {
        self.connection.version()
    }

    /// What is said to a client whose session was ended.
    fn farewell(&self, why: Ending) -> Disconnect {
        let mut farewell = Disconnect::new(reasons::to_disconnect(why));
        if why == Ending::Draining {
            farewell.server_reference = self.hub.rules.load().elsewhere();
            if farewell.server_reference.is_some() {
                farewell.reason = ReasonCode::UseAnotherServer;
            }
        }
        farewell
    }

    /// Whether one of the client's subscriptions means `topic`, and with which quality of service.
    fn wanted(&self, topic: &str) -> Option<QoS> {
        self.client
            .wanted(topic)
            .filter(|_| self.may_receive(topic))
    }

    /// Whether its policy lets the client be given what is published to `topic`.
    fn may_receive(&self, topic: &str) -> bool {
        match &self.role {
            Role::Device(device) => {
                let policies = &self.hub.rules.load().policies;
                device
                    .tongue
                    .permit_receive(policies, &device.subject, topic)
            }
            Role::Service(_) => true,
        }
    }
}

fn on_noted(what: &'static str, noted: Result<(), Refusal>) {
    if let Err(refusal) = noted {
        tracing::warn!(error = %refusal, what, "something was not noted");
    }
}
