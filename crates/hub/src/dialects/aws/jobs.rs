//! Jobs: a device's commands, which it begins by itself and reports on.
//!
//! A job's version is one more than that of the command's course, since AWS counts from one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use outgate_aws::jobs::{
    self, Asked, Code, Describe, Execution, Rejected, Request, Status, Update, changed, described,
    notified, pending, updated,
};
use outgate_core::Core;
use outgate_core::clock::Timestamp;
use outgate_core::commands::{Command, CommandState, Followed, Report, Stage};
use outgate_core::id::{CommandId, DeviceId};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Session;
use outgate_mqtt::connection::Incoming;
use outgate_mqtt::topics::TopicFilter;
use serde_json::{Map, Value, json};

use super::shadow::{said, seconds};
use crate::dialects::mqtt::tongue::Utterance;

/// The most jobs that are told of at once.
pub(in crate::dialects) const MAX_TOLD: u32 = 20;

/// Something that a device asks of its jobs.
#[derive(Debug)]
pub(in crate::dialects) struct Ask {
    topic: String,
    payload: Bytes,
}

/// The jobs that a device has to do, as it is told of them unasked.
#[derive(Debug)]
pub(in crate::dialects) struct Waiting {
    open: Vec<Followed>,
    /// The first, with what is to be done.
    next: Option<Followed>,
}

/// One who asks, and what they know their request by.
struct Asker<'a> {
    asked: Asked<'a>,
    thing: &'a str,
    token: Option<&'a str>,
    now: i64,
}

impl Ask {
    /// What `device` asks by a publish, if it is to a topic of its own jobs.
    pub(in crate::dialects) fn of(device: &DeviceId, incoming: &Incoming) -> Option<Self> {
        let (thing, _) = Asked::of(&incoming.topic)?;
        (thing == device.as_str()).then(|| Self {
            topic: incoming.topic.as_str().to_owned(),
            payload: incoming.payload.clone(),
        })
    }

    /// Does what is asked, and says what came of it.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::Draining`]: then nothing is said.
    pub(in crate::dialects) async fn answer(
        self,
        core: &Core,
        session: &Session,
    ) -> Result<Vec<Utterance>, Refusal> {
        let Some((thing, asked)) = Asked::of(&self.topic) else {
            return Ok(Vec::new());
        };
        let (token, request) = Request::read(asked, &self.payload);
        let asker = Asker {
            asked,
            thing,
            token: token.as_deref(),
            now: seconds(core.clock.now()),
        };
        let done = match request {
            Ok(Request::Pending) => asker.pending(core, session).await,
            Ok(Request::StartNext(details)) => {
                let begun = core.commands.begin(session, details).await;
                begun.map(|begun| asker.accepted(&asker.described(begun.as_ref(), true)))
            }
            Ok(Request::Describe(describe)) => asker.describe(core, session, describe).await,
            Ok(Request::Update(update)) => asker.update(core, session, update).await,
            Err(rejected) => Ok(asker.rejected(&rejected, None)),
        };
        match done {
            Err(refusal @ (Refusal::Revoked | Refusal::Draining)) => Err(refusal),
            Err(refusal) => Ok(vec![asker.rejected(&why(&refusal), None)]),
            Ok(said) => Ok(vec![said]),
        }
    }
}

impl Asker<'_> {
    async fn pending(&self, core: &Core, session: &Session) -> Result<Utterance, Refusal> {
        let open = core.commands.own_open(session, MAX_TOLD).await?;
        let open: Vec<_> = open.iter().map(|one| execution(one, false)).collect();
        Ok(self.accepted(&pending(&open, self.token, self.now)))
    }

    async fn describe(
        &self,
        core: &Core,
        session: &Session,
        describe: Describe,
    ) -> Result<Utterance, Refusal> {
        let commands = &core.commands;
        let id = match self.asked {
            Asked::Describe(job) | Asked::Update(job) => Some(named(job)?),
            Asked::Pending | Asked::StartNext | Asked::DescribeNext => {
                let open = commands.own_open(session, 1).await?;
                open.into_iter().next().map(|one| one.command.id)
            }
        };
        let followed = match id {
            Some(id) => Some(commands.own_one(session, &id).await?),
            None => None,
        };
        if followed.as_ref().is_some_and(has_ended) {
            let ended = Rejected::of(Code::TerminalStateReached, "the job has ended");
            return Ok(self.rejected(&ended, None));
        }
        Ok(self.accepted(&self.described(followed.as_ref(), describe.document)))
    }

    async fn update(
        &self,
        core: &Core,
        session: &Session,
        update: Update,
    ) -> Result<Utterance, Refusal> {
        let (Asked::Update(job) | Asked::Describe(job)) = self.asked else {
            return Err(Refusal::not_found("job", self.thing));
        };
        let (id, version) = (named(job)?, update.version);
        let report = Report {
            stage: stage(update.status),
            details: update.details,
            // No command has the last, as no job has version 0.
            if_version: version.map(|version| version.checked_sub(1).unwrap_or(u64::MAX)),
        };
        match core.commands.report(session, &id, report).await {
            Ok(followed) => {
                let execution = execution(&followed, update.tell_document);
                let body = updated(&execution, update.tell_state, self.token, self.now);
                Ok(self.accepted(&body))
            }
            Err(Refusal::Conflict { .. }) => {
                let followed = core.commands.own_one(session, &id).await?;
                let is_stale = version.is_some_and(|its| its != followed.course.version + 1);
                let rejected = if is_stale && !has_ended(&followed) {
                    Rejected::of(Code::VersionMismatch, "the job has another version")
                } else {
                    Rejected::of(
                        Code::InvalidStateTransition,
                        "the job is not to be changed so",
                    )
                };
                Ok(self.rejected(&rejected, Some(&execution(&followed, false))))
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn described(&self, followed: Option<&Followed>, with_document: bool) -> Value {
        let execution = followed.map(|one| execution(one, with_document));
        described(self.thing, execution.as_ref(), self.token, self.now)
    }

    fn accepted(&self, body: &Value) -> Utterance {
        said(self.asked.accepted(self.thing), body)
    }

    fn rejected(&self, why: &Rejected, state: Option<&Execution<'_>>) -> Utterance {
        let body = why.body(state, self.token, self.now);
        said(self.asked.rejected(self.thing), &body)
    }
}

impl Waiting {
    /// The jobs of the device of `session`.
    ///
    /// # Errors
    /// As [`outgate_core::commands::Commands::own_open`].
    pub(in crate::dialects) async fn of(core: &Core, session: &Session) -> Result<Self, Refusal> {
        let commands = &core.commands;
        let open = commands.own_open(session, MAX_TOLD).await?;
        let next = match open.first() {
            // It may have been forgotten meanwhile.
            Some(first) => commands.own_one(session, &first.command.id).await.ok(),
            None => None,
        };
        Ok(Self { open, next })
    }

    /// The places of the jobs, in their order.
    pub(in crate::dialects) fn places(&self) -> Vec<u64> {
        self.open.iter().map(|one| one.command.seq).collect()
    }

    /// Which jobs there are, as `device` is told.
    pub(in crate::dialects) fn all(&self, device: &DeviceId, now: Timestamp) -> Utterance {
        let open: Vec<_> = self.open.iter().map(|one| execution(one, false)).collect();
        let body = changed(&open, seconds(now));
        said(jobs::notify(device.as_str()), &body)
    }

    /// Which job is the next, as `device` is told.
    pub(in crate::dialects) fn next(&self, device: &DeviceId, now: Timestamp) -> Utterance {
        let next = self.next.as_ref().map(|one| execution(one, true));
        let body = notified(device.as_str(), next.as_ref(), seconds(now));
        said(jobs::notify_next(device.as_str()), &body)
    }
}

/// The topics in which `device` is told of its jobs unasked.
pub(in crate::dialects) fn told_in(device: &DeviceId) -> [String; 2] {
    let thing = device.as_str();
    [jobs::notify(thing), jobs::notify_next(thing)]
}

/// Whether who subscribes to `filter` is told of the jobs of `device` unasked.
pub(in crate::dialects) fn takes_jobs(device: &DeviceId, filter: &TopicFilter) -> bool {
    told_in(device).iter().any(|topic| filter.matches(topic))
}

fn named(job: &str) -> Result<CommandId, Refusal> {
    job.parse().map_err(|_| Refusal::not_found("command", job))
}

fn has_ended(followed: &Followed) -> bool {
    match followed.command.state {
        CommandState::Queued | CommandState::Delivered => false,
        CommandState::Completed
        | CommandState::Rejected
        | CommandState::Expired
        | CommandState::Cancelled => true,
    }
}

fn execution(followed: &Followed, with_document: bool) -> Execution<'_> {
    let (command, course) = (&followed.command, &followed.course);
    Execution {
        id: command.id.as_str(),
        status: status(followed),
        details: &course.details,
        queued: seconds(command.created),
        started: course.begun.map(seconds),
        updated: seconds(course.changed.unwrap_or(command.created)),
        version: course.version + 1,
        document: with_document.then(|| document(command)),
    }
}

fn status(followed: &Followed) -> Status {
    match followed.command.state {
        CommandState::Queued | CommandState::Delivered => {
            if followed.course.begun.is_some() || followed.command.deliveries > 0 {
                Status::InProgress
            } else {
                Status::Queued
            }
        }
        CommandState::Completed => Status::Succeeded,
        CommandState::Rejected if followed.course.failed => Status::Failed,
        CommandState::Rejected => Status::Rejected,
        CommandState::Expired => Status::TimedOut,
        CommandState::Cancelled => Status::Canceled,
    }
}

fn stage(status: Status) -> Stage {
    match status {
        Status::Succeeded => Stage::Completed,
        Status::Failed => Stage::Failed,
        Status::Rejected | Status::TimedOut | Status::Canceled => Stage::Rejected,
        Status::Queued | Status::InProgress => Stage::Begun,
    }
}

/// What is to be done: the payload if it is a JSON object, and the command's name as its
/// `operation`.
fn document(command: &Command) -> Value {
    let mut members = match serde_json::from_slice(&command.payload) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => {
            let mut members = Map::new();
            if let Ok(text) = str::from_utf8(&command.payload) {
                members.insert("payload".to_owned(), json!(text));
            } else {
                let payload = STANDARD.encode(&command.payload);
                members.insert("payloadBase64".to_owned(), json!(payload));
            }
            members
        }
    };
    let operation = members.entry("operation");
    operation.or_insert_with(|| json!(command.name));
    Value::Object(members)
}

fn why(refusal: &Refusal) -> Rejected {
    let (code, message) = match refusal {
        Refusal::NotFound { .. } => (Code::ResourceNotFound, "there is no such job"),
        Refusal::Conflict { .. } | Refusal::Exists { .. } => {
            (Code::InvalidStateTransition, "the job has changed")
        }
        Refusal::Invalid { .. }
        | Refusal::TooLarge { .. }
        | Refusal::TooMany { .. }
        | Refusal::Unauthenticated
        | Refusal::Forbidden { .. }
        | Refusal::Revoked
        | Refusal::AwaitsApproval => (Code::InvalidRequest, "it is not taken"),
        Refusal::Limited { .. } => (Code::RequestThrottled, "too many requests"),
        Refusal::Offline { .. }
        | Refusal::TakesNoCalls { .. }
        | Refusal::DeadlineExceeded
        | Refusal::Expired { .. }
        | Refusal::Full
        | Refusal::Draining
        | Refusal::Randomness
        | Refusal::Store(_)
        | Refusal::Internal(_) => {
            tracing::warn!(error = %refusal, "what was asked of a job failed");
            (Code::InternalError, "something of the hub's is wrong")
        }
    };
    Rejected::of(code, message)
}
