//! What the writer's thread is asked to do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::backup::Backup;
use crate::error::{Error, Failure};
use crate::writer::MAX_WAITING;

/// Bytes that count as much as one waiting write.
const BYTES_A_PLACE: usize = 4_096;

/// What the writer's thread is asked to do.
pub(super) enum Order<E> {
    /// To write.
    Write(Write<E>),
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
pub(super) struct Write<E> {
    pub(super) importance: Importance,
    /// How many places it takes among those that wait.
    pub(super) places: u32,
    pub(super) work: Box<dyn Work<E>>,
}

impl<E> Write<E> {
    pub(super) fn new(importance: Importance, bytes: usize, work: Box<dyn Work<E>>) -> Self {
        Self {
            importance,
            places: places(bytes),
            work,
        }
    }
}

/// How many places a write takes that holds so many bytes.
pub(super) fn places(bytes: usize) -> u32 {
    let places = 1 + bytes / BYTES_A_PLACE;
    u32::try_from(places)
        .unwrap_or(MAX_WAITING)
        .min(MAX_WAITING)
}

/// A write and whoever waits for it.
pub(super) trait Work<E>: Send {
    /// Does it.
    ///
    /// # Errors
    /// With what it fails with; then nothing of it is to be kept.
    fn apply(&mut self, connection: &Connection) -> Result<(), E>;
    /// Answers, once the commit has gone through or not.
    fn answer(self: Box<Self>, commit: Result<(), E>);
}

/// A write whose result somebody waits for.
pub(super) struct Task<T, E, F, N> {
    state: State<T, E, F>,
    then: N,
    reply: oneshot::Sender<Result<T, E>>,
}

enum State<T, E, F> {
    Waiting(F),
    Running,
    Done(Result<T, E>),
}

impl<T, E, F, N> Task<T, E, F, N> {
    pub(super) fn new(work: F, then: N, reply: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            state: State::Waiting(work),
            then,
            reply,
        }
    }
}

impl<T, E, F, N> Work<E> for Task<T, E, F, N>
where
    T: Send,
    E: Failure,
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    N: FnOnce(&T) + Send,
{
    fn apply(&mut self, connection: &Connection) -> Result<(), E> {
        let done = match std::mem::replace(&mut self.state, State::Running) {
            // A mistake in one write must not be the end of the store.
            State::Waiting(work) => catch_unwind(AssertUnwindSafe(|| work(connection)))
                .unwrap_or_else(|_| Err(Error::Internal("a write panicked").into())),
            State::Running | State::Done(_) => {
                Err(Error::Internal("a write was done twice").into())
            }
        };
        let kept = done.as_ref().map(|_| ()).map_err(E::clone);
        self.state = State::Done(done);
        kept
    }

    fn answer(self: Box<Self>, commit: Result<(), E>) {
        let answer = match (self.state, commit) {
            // Its own failure says more than the fate of the others.
            (State::Done(Err(failure)), _) => Err(failure),
            (State::Done(Ok(_)) | State::Waiting(_) | State::Running, Err(failure)) => Err(failure),
            (State::Done(Ok(done)), Ok(())) => {
                (self.then)(&done);
                Ok(done)
            }
            (State::Waiting(_) | State::Running, Ok(())) => {
                Err(Error::Internal("a write was not done").into())
            }
        };
        // Whoever waited may have gone.
        let _ = self.reply.send(answer);
    }
}
