//! What a connection waits for besides its peer: the disk, mostly.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use outgate_core::commands::Command;
use outgate_core::events::Taken;
use outgate_core::messages::Waiting;
use outgate_core::refusal::Refusal;
use outgate_core::twin::{Half, Twin};
use outgate_mqtt::connection::Token;
use outgate_mqtt::packet::{PacketId, ReasonCode};
use outgate_mqtt::topics::TopicFilter;

use super::shadows::OneTwin;
use crate::dialects::aws::jobs;
use crate::dialects::mqtt::broker::Granted;
use crate::dialects::mqtt::broker::replay::Replay;
use crate::dialects::mqtt::methods::{Exchange, Step};
use crate::dialects::mqtt::tongue::Utterance;

/// Something that is waited for.
pub(super) type Job<'a> = Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

/// What comes of the first poll of a job, which hands in what it has for the disk; the rest of it
/// only waits.
pub(super) fn handed_in(job: &mut Job<'_>) -> Poll<Done> {
    job.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// What has come of it.
#[derive(Debug)]
pub(super) enum Done {
    /// A message of the client is on the disk, or was refused; its packet, if that is noted too.
    Kept(Option<Token>, Option<u16>, Result<(), Refusal>),
    /// The next commands.
    Commands(Result<Vec<Command>, Refusal>),
    /// The twin, to be sent to this part of its topics.
    Twin(TwinPart, Result<Box<Twin>, Refusal>),
    /// What came of the client's own report; its packet, if that is noted too; and by what it knows
    /// the report.
    Reported(
        Option<Token>,
        Option<u16>,
        Option<bytes::Bytes>,
        Result<Half, Refusal>,
    ),
    /// What came of something asked of a shadow or of jobs: what is said of it.
    Asked(Option<Token>, Result<Vec<Utterance>, Refusal>),
    /// The jobs that the device has to do.
    Jobs(Result<jobs::Waiting, Refusal>),
    /// Twins of which it is told what differs, where one of these filters takes it.
    Deltas(Vec<TopicFilter>, Result<Vec<OneTwin>, Refusal>),
    /// The twin, from which on the client is told what changes; and the subscriptions that are to be
    /// answered then.
    Known(Result<Box<Twin>, Refusal>, Option<Box<Subscribed>>),
    /// Messages of the mailbox; the place up to which these are all, if they are.
    OnDisk(Result<Vec<Waiting>, Refusal>, Option<u64>),
    /// Events for a service.
    Events(Result<Taken, Refusal>),
    /// A service's place, if it has one of its own.
    FeedOpen(Result<u64, Refusal>),
    /// A service's new place is on the disk.
    Placed(Result<u64, Refusal>),
    /// Subscriptions are kept, and bring retained messages.
    Subscribed(PacketId, Vec<ReasonCode>, Vec<Replay>, Result<(), Refusal>),
    /// Subscriptions are forgotten.
    Unsubscribed(PacketId, Vec<ReasonCode>, Result<(), Refusal>),
    /// A received message's step is noted: the client may be told.
    Received(u64, PacketId, Result<(), Refusal>),
    /// That the client has let go of a packet is noted: it may be told.
    Released(PacketId, Result<(), Refusal>),
    /// An exchange of enhanced authentication has gone on, for the so manieth time.
    Stepped(Box<dyn Exchange>, usize, Step),
    /// Something that nobody waits for; a failure is for the log.
    Noted(&'static str, Result<(), Refusal>),
}

/// Subscriptions that are in force and not answered yet.
#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) packet_id: PacketId,
    pub(super) reasons: Vec<ReasonCode>,
    pub(super) granted: Vec<Granted>,
}

/// Which topic of the twin is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TwinPart {
    /// All of it, for who asked by this.
    Document(Option<bytes::Bytes>),
    /// The desired half.
    Desired,
}
