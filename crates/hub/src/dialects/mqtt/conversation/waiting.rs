//! Waiting for whatever comes first.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Instant;

use futures_util::StreamExt as _;
use outgate_core::sessions::{Ending, Signal};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::job::Done;
use super::{Conversation, End, Held, MAX_JOBS, MAX_READY, Role};
use crate::dialects::mqtt::io::{Moved, Outbox, poll_move};

/// What comes first.
#[derive(Debug)]
pub(super) enum Happened {
    /// The session has to end.
    Ended(Ending),
    /// Something waited for is done.
    Done(Box<Done>),
    /// Bytes have moved.
    Moved(std::io::Result<Moved>),
    /// There may be something in the mailbox.
    Rung,
    /// There is news for the device.
    Signal(Box<Signal>),
    /// There are new events for the service.
    News,
    /// Time is up for something.
    Alarm,
}

/// How far ahead the alarm is set when nothing else says when.
const FAR_AHEAD: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

impl Conversation<'_> {
    /// When something is due at the latest.
    pub(super) fn deadline(&self, now: Instant) -> tokio::time::Instant {
        let connection = self.connection.poll_timeout();
        let stalled = self.stalled.as_ref().map(|stalled| stalled.until);
        let first = connection.into_iter().chain(stalled).min();
        tokio::time::Instant::from_std(first.unwrap_or(now + FAR_AHEAD))
    }

    /// Waits for whatever comes first.
    pub(super) async fn wait<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        out: &mut Outbox,
        ended: Pin<&mut (impl Future<Output = Ending> + ?Sized)>,
        alarm: Pin<&mut Sleep>,
    ) -> Happened {
        let wants_more = self.stalled.is_none()
            && self.connection.wants_input()
            && self.jobs.len() + self.commits.len() < MAX_JOBS
            && out.bytes.len() < MAX_READY;
        let Self {
            session,
            client,
            role,
            connection,
            jobs,
            commits,
            ..
        } = self;
        let mut take = |bytes: &[u8]| connection.handle_bytes(bytes, Instant::now());
        let is_device = matches!(role, Role::Device(_));
        let news = async {
            match role {
                Role::Service(service) => service.news.changed().await.is_ok(),
                Role::Device(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            why = ended => Happened::Ended(why),
            Some(done) = jobs.next(), if !jobs.is_empty() => Happened::Done(Box::new(done)),
            Some(done) = commits.next(), if !commits.is_empty() => Happened::Done(Box::new(done)),
            moved = poll_fn(|context| poll_move(stream, context, out, wants_more, &mut take)) => {
                Happened::Moved(moved)
            }
            () = client.mailbox.rung() => Happened::Rung,
            signal = session.signal(), if is_device => Happened::Signal(Box::new(signal)),
            _ = news => Happened::News,
            () = alarm => Happened::Alarm,
        }
    }

    /// Does what follows. Some things end the conversation.
    pub(super) fn on_happened(
        &mut self,
        happened: Happened,
        mut alarm: Pin<&mut Sleep>,
    ) -> Option<End> {
        match happened {
            Happened::Ended(why) => return Some(End::Ended(why)),
            Happened::Done(done) => self.on_done(*done),
            Happened::Moved(Ok(Moved::Read(_) | Moved::Written)) | Happened::Rung => {}
            Happened::Moved(Ok(Moved::Closed)) => return Some(self.end.unwrap_or(End::Broken)),
            Happened::Moved(Err(error)) => {
                tracing::debug!(%error, "an MQTT connection broke");
                return Some(End::Broken);
            }
            Happened::Signal(signal) => self.on_signal(*signal),
            Happened::News => self.read_events(),
            Happened::Alarm => {
                let now = Instant::now();
                self.connection.handle_timeout(now);
                if self
                    .stalled
                    .as_ref()
                    .is_some_and(|stalled| stalled.until <= now)
                    && let Some(stalled) = self.stalled.take()
                {
                    match stalled.held {
                        Held::Event(token, inbound, event) => self.append(token, inbound, event),
                        Held::Message(incoming) => self.on_publish(*incoming, now),
                    }
                }
                let next = self.deadline(now);
                alarm.as_mut().reset(next);
            }
        }
        None
    }
}
