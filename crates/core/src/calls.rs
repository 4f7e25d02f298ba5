//! Calls: a request to a device that is there now, and its answer within a deadline.

use bytes::Bytes;

use crate::clock::Clock;
use crate::id::{CallId, DeviceId};
use crate::sessions::Sessions;

/// A call on its way to a device.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name, which the answer carries.
    pub id: CallId,
    /// To whom.
    pub device: DeviceId,
    /// What is asked: 1 to 128 bytes, no slashes.
    pub method: String,
    /// A media type, or empty.
    pub content_type: String,
    /// The payload, at most [`crate::limits::MAX_EVENT`] bytes.
    pub payload: Bytes,
}

/// What a device answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The device's own status, 100 to 599, as of HTTP; 200 when it says none.
    pub status: u16,
    /// A media type, or empty.
    pub content_type: String,
    /// The payload, at most [`crate::limits::MAX_EVENT`] bytes.
    pub payload: Bytes,
}

/// The calls that wait for an answer.
#[derive(Clone, Debug)]
pub struct Calls {
    clock: Clock,
    sessions: Sessions,
}

use std::time::Duration;

use crate::identity::Actor;
use crate::refusal::Refusal;
use crate::sessions::Session;

impl Calls {
    pub(crate) fn new(clock: Clock, sessions: Sessions) -> Self {
        Self { clock, sessions }
    }

    /// Asks a device and waits for its answer, at most `deadline` (1 s to 300 s).
    ///
    /// # Errors
    /// [`Refusal::Offline`], [`Refusal::DeadlineExceeded`], [`Refusal::Forbidden`],
    /// [`Refusal::NotFound`], [`Refusal::TooLarge`], [`Refusal::Limited`].
    pub async fn call(
        &self,
        actor: &Actor,
        device: &DeviceId,
        method: String,
        content_type: String,
        payload: Bytes,
        deadline: Duration,
    ) -> Result<Answer, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Hands in the answer of the device of `session`; one too late or to nothing is refused.
    pub fn answer(&self, session: &Session, id: &CallId, answer: Answer) -> Result<(), Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
}
