//! The list of all that is counted: its names, and what they mean.

use super::{
    Counted, Counter, Family, Histogram, Info, Message, Registry, Seconds, Unit,
    exponential_buckets, forwarding, live, seconds, signalr,
};

impl Counted {
    /// Everything at nothing, known to a registry.
    pub(super) fn registered() -> Self {
        let messages = Family::default();
        let of = |direction| {
            [0, 1, 2].map(|qos| messages.get_or_create_owned(&Message { direction, qos }))
        };
        let mut counted = Self {
            registry: Registry::with_prefix("outgate"),
            connections: Family::default(),
            connections_opened: Family::default(),
            connections_refused: Family::default(),
            handshakes: Family::default(),
            sessions: Family::default(),
            sessions_opened: Family::default(),
            logins_refused: Family::default(),
            kept_from_pages: Family::default(),
            events: Family::default(),
            event_bytes: Counter::default(),
            events_refused: Family::default(),
            event_seconds: seconds(),
            logs: Counter::default(),
            log_bytes: Counter::default(),
            logs_refused: Family::default(),
            commands: Family::default(),
            schedules: Family::default(),
            calls: Family::default(),
            call_seconds: seconds(),
            messages_in: of("in"),
            messages_out: of("out"),
            messages: messages.clone(),
            messages_dropped: Family::default(),
            limited: Family::default(),
            commit_writes: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            commit_seconds: seconds(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(Seconds),
            webhook_attempts: Family::default(),
            webhook_seconds: seconds(),
            webhook_events: Counter::default(),
            webhook_set_aside: Counter::default(),
            webhook_behind: Family::default(),
            echoes: Family::default(),
            pushes: Family::default(),
            pushes_again: Counter::default(),
            signalr: signalr::Counted::default(),
            forwarding: forwarding::Counted::default(),
            live: live::Counted::default(),
        };
        counted.register_connections();
        counted.register_model();
        counted.register_logs();
        counted.register_rest();
        counted.register_pushes();
        counted.signalr.register(&mut counted.registry);
        counted.forwarding.register(&mut counted.registry);
        counted.live.register(&mut counted.registry);
        counted
    }

    fn register_connections(&mut self) {
        let to = &mut self.registry;
        to.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        to.register(
            "connections",
            "Connections that are live",
            self.connections.clone(),
        );
        to.register(
            "connections_opened",
            "Connections that came through the door",
            self.connections_opened.clone(),
        );
        to.register(
            "connections_refused",
            "Connections turned away before their handshake",
            self.connections_refused.clone(),
        );
        to.register(
            "handshakes",
            "TLS handshakes by how they ended",
            self.handshakes.clone(),
        );
        to.register("sessions", "Sessions that are live", self.sessions.clone());
        to.register(
            "sessions_opened",
            "Sessions opened",
            self.sessions_opened.clone(),
        );
        to.register(
            "logins_refused",
            "Credentials that were not accepted",
            self.logins_refused.clone(),
        );
        to.register(
            "kept_from_pages",
            "What pages of origins that are not configured were kept from",
            self.kept_from_pages.clone(),
        );
    }

    fn register_logs(&mut self) {
        let to = &mut self.registry;
        to.register("log_records", "Log records kept", self.logs.clone());
        to.register_with_unit(
            "log",
            "Log records kept, with what they belong to",
            Unit::Bytes,
            self.log_bytes.clone(),
        );
        to.register(
            "logs_refused",
            "Requests with log records refused, once it was known whose they are",
            self.logs_refused.clone(),
        );
    }

    fn register_model(&mut self) {
        let to = &mut self.registry;
        to.register("events", "Events acknowledged", self.events.clone());
        to.register_with_unit(
            "event",
            "Payload of acknowledged events",
            Unit::Bytes,
            self.event_bytes.clone(),
        );
        to.register(
            "events_refused",
            "Events refused",
            self.events_refused.clone(),
        );
        to.register_with_unit(
            "event_acknowledgement",
            "From an event's arrival until it was on the disk",
            Unit::Seconds,
            self.event_seconds.clone(),
        );
        to.register("commands", "What became of commands", self.commands.clone());
        to.register(
            "schedule_moments",
            "What became of the moments of schedules",
            self.schedules.clone(),
        );
        to.register("calls", "What became of calls", self.calls.clone());
        to.register_with_unit(
            "call",
            "From a call until its answer or its end",
            Unit::Seconds,
            self.call_seconds.clone(),
        );
        to.register(
            "messages",
            "Messages between devices",
            self.messages.clone(),
        );
        to.register(
            "messages_dropped",
            "Messages between devices that were not delivered",
            self.messages_dropped.clone(),
        );
        to.register(
            "limited",
            "How often devices came too soon, with what",
            self.limited.clone(),
        );
    }

    fn register_pushes(&mut self) {
        let to = &mut self.registry;
        to.register(
            "pushes",
            "Messages to registrations of devices by what came of them",
            self.pushes.clone(),
        );
        to.register(
            "pushes_again",
            "Messages to registrations of devices that were to be sent once more",
            self.pushes_again.clone(),
        );
    }

    fn register_rest(&mut self) {
        let to = &mut self.registry;
        to.register(
            "store_commit_writes",
            "Writes that one commit carried",
            self.commit_writes.clone(),
        );
        to.register_with_unit(
            "store_commit",
            "How long commits took",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        to.register(
            "http_requests",
            "HTTP requests answered",
            self.requests.clone(),
        );
        to.register_with_unit(
            "http_request",
            "From an HTTP request until its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        to.register(
            "webhook_attempts",
            "Requests sent to webhooks by how they ended",
            self.webhook_attempts.clone(),
        );
        to.register_with_unit(
            "webhook_attempt",
            "How long requests to webhooks took",
            Unit::Seconds,
            self.webhook_seconds.clone(),
        );
        to.register(
            "webhook_events",
            "Events delivered by webhooks",
            self.webhook_events.clone(),
        );
        to.register(
            "webhook_messages_set_aside",
            "Messages that a webhook did not take and that were set aside",
            self.webhook_set_aside.clone(),
        );
        to.register(
            "webhook_behind_events",
            "How many places a webhook is behind the newest event",
            self.webhook_behind.clone(),
        );
        to.register(
            "echoes",
            "Questions to the echoes of SIP and RTP",
            self.echoes.clone(),
        );
    }
}
