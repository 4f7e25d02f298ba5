//! What the writer's thread is asked to do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::backup::Backup;
use super::writer::MAX_WAITING;
use crate::refusal::Refusal;

/// Bytes that count as much as one waiting write.
const BYTES_A_PLACE: usize = 4_096;

/// What the writer's thread is asked to do.
pub(super) enum Order {
    /// To write.
    Write(Write),
    /// To copy the file.
    Backup(Backup),
}

/// Whether a write may use the reserve of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Importance {
    /// It may.
    Vital,
    /// It may not.
    Bulk,
}

/// A write that waits.
pub(super) struct Write {
    pub(super) importance: Importance,
    /// How many places it takes among those that wait.
    pub(super) places: u32,
    pub(super) work: Box<dyn Work>,
}

impl Write {
    pub(super) fn new(importance: Importance, bytes: usize, work: Box<dyn Work>) -> Self {
        Self {
            importance,
            places: Self::places(bytes),
            work,
        }
    }

    /// How many places a write takes that holds so many bytes.
    pub(super) fn places(bytes: usize) -> u32 {
        let places = 1 + bytes / BYTES_A_PLACE;
        u32::try_from(places)
            .unwrap_or(MAX_WAITING)
            .min(MAX_WAITING)
    }
}

/// A write and whoever waits for it.
pub(super) trait Work: Send {
    /// Does it.
    ///
    /// # Errors
    /// With what it refuses; then nothing of it is to be kept.
    fn apply(&mut self, connection: &Connection) -> Result<(), Refusal>;
    /// Answers, once the commit has gone through or not.
    fn answer(self: Box<Self>, commit: Result<(), Refusal>);
}

/// A write whose result somebody waits for.
pub(super) struct Task<T, F, N> {
    state: State<T, F>,
    then: N,
    reply: oneshot::Sender<Result<T, Refusal>>,
}

enum State<T, F> {
    Waiting(F),
    Running,
    Done(Result<T, Refusal>),
}

impl<T, F, N> Task<T, F, N> {
    pub(super) fn new(work: F, then: N, reply: oneshot::Sender<Result<T, Refusal>>) -> Self {
        Self {
            state: State::Waiting(work),
            then,
            reply,
        }
    }
}

impl<T, F, N> Work for Task<T, F, N>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Refusal> + Send,
    N: FnOnce(&T) + Send,
{
    fn apply(&mut self, connection: &Connection) -> Result<(), Refusal> {
        let done = match std::mem::replace(&mut self.state, State::Running) {
            // A mistake in one write must not be the end of the store.
            State::Waiting(work) => catch_unwind(AssertUnwindSafe(|| work(connection)))
                .unwrap_or(Err(Refusal::Internal("a write panicked"))),
            State::Running | State::Done(_) => Err(Refusal::Internal("a write was done twice")),
        };
        let kept = done.as_ref().map(|_| ()).map_err(Refusal::clone);
        self.state = State::Done(done);
        kept
    }

    fn answer(self: Box<Self>, commit: Result<(), Refusal>) {
        let answer = match (self.state, commit) {
            // Its own refusal says more than the fate of the others.
            (State::Done(Err(refusal)), _) => Err(refusal),
            (State::Done(Ok(_)) | State::Waiting(_) | State::Running, Err(refusal)) => Err(refusal),
            (State::Done(Ok(done)), Ok(())) => {
                (self.then)(&done);
                Ok(done)
            }
            (State::Waiting(_) | State::Running, Ok(())) => {
                Err(Refusal::Internal("a write was not done"))
            }
        };
        // Whoever waited may have gone.
        let _ = self.reply.send(answer);
    }
}
