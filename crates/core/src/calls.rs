//! Calls: a request to a device that is there now, and its answer within a deadline.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::acting;
use crate::clock::Clock;
use crate::commands::checks;
use crate::happening::{Happening, Hook};
use crate::id::{CallId, DeviceId};
use crate::identity::Actor;
use crate::limits::{check_content_type, check_payload};
use crate::refusal::Refusal;
use crate::sessions::{Session, Sessions, Signal};
use crate::store::Store;

use pending::Pending;

mod pending;

pub use pending::{MAX_PENDING, MAX_PENDING_BYTES, MAX_PENDING_OF_DEVICE};

/// For how long a caller may wait.
pub const DEADLINE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// What methods begin with by which the hub itself asks a device: nobody else may, so that what is
/// asked so is true.
pub const OWN: &str = "outgate.";

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
    /// The device's own status: by custom one of HTTP, 100 to 599, and any number where its dialect
    /// has others; 200 when it says none.
    pub status: i32,
    /// A media type, or empty.
    pub content_type: String,
    /// The payload, at most [`crate::limits::MAX_EVENT`] bytes.
    pub payload: Bytes,
}

/// The calls that wait for an answer: in memory, because whoever called waits for it here.
#[derive(Clone, Debug)]
pub struct Calls {
    store: Store,
    clock: Clock,
    sessions: Sessions,
    pending: Pending,
    hook: Hook,
}

impl Calls {
    pub(crate) fn new(store: Store, clock: Clock, sessions: Sessions, hook: Hook) -> Self {
        Self {
            hook,
            store,
            clock,
            sessions,
            pending: Pending::default(),
        }
    }

    /// Asks a device and waits for its answer, at most `deadline` ([`DEADLINE`]). Every session
    /// that the device has is asked, and the first answer counts. That it was asked is in the
    /// audit log before it is.
    ///
    /// When the caller stops waiting the call is forgotten; the device may do it all the same.
    ///
    /// # Errors
    /// [`Refusal::Offline`] when the device has no session or none any more, also when it was
    /// revoked meanwhile; [`Refusal::TakesNoCalls`]; [`Refusal::DeadlineExceeded`]; [`Refusal::Forbidden`],
    /// [`Refusal::NotFound`], [`Refusal::Invalid`], [`Refusal::TooLarge`]; [`Refusal::Limited`]
    /// beyond [`MAX_PENDING_OF_DEVICE`], [`MAX_PENDING`] and
    /// [`MAX_PENDING_BYTES`]; as the store.
    pub async fn call(
        &self,
        actor: &Actor,
        device: &DeviceId,
        method: String,
        content_type: String,
        payload: Bytes,
        deadline: Duration,
    ) -> Result<Answer, Refusal> {
        checks::step("method", &method)?;
        if method.starts_with(OWN) {
            return Err(Refusal::invalid("method", "none of the hub's own"));
        }
        check_content_type(&content_type)?;
        check_payload(&payload)?;
        if !DEADLINE.contains(&deadline) {
            return Err(Refusal::invalid("deadline", "1 to 300 seconds"));
        }
        let call = Call {
            id: CallId::made_up()?,
            device: device.clone(),
            method,
            content_type,
            payload,
        };
        // The audit log is written within the deadline, too.
        let asking = async {
            self.permit(actor, &call).await?;
            self.ask(call).await
        };
        self.within(deadline, asking).await
    }

    /// Asks a device for the hub itself, as [`Calls::call`]; whoever has it asked has seen to the
    /// rest.
    pub(crate) async fn put(&self, call: Call, deadline: Duration) -> Result<Answer, Refusal> {
        self.within(deadline, self.ask(call)).await
    }

    /// Hands in the answer of the device of `session`.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when nobody waits for it from this device, any more or at all;
    /// [`Refusal::Invalid`], [`Refusal::TooLarge`]; [`Refusal::Forbidden`] when the session is not
    /// a device's; [`Refusal::Revoked`], [`Refusal::Draining`] when it has ended.
    pub fn answer(&self, session: &Session, id: &CallId, answer: Answer) -> Result<(), Refusal> {
        let device = session.device()?;
        check_content_type(&answer.content_type)?;
        check_payload(&answer.payload)?;
        session.pass().check()?;
        self.pending.answer(device, id, Ok(answer))
    }

    /// Says that `session` does not take the call. Once no session that was asked takes it, the
    /// caller waits no longer.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when nobody waits for it from this device, any more or at all;
    /// [`Refusal::Forbidden`] when the session is not a device's.
    pub fn decline(&self, session: &Session, id: &CallId) -> Result<(), Refusal> {
        self.pending.decline(session.device()?, id)
    }

    /// How many calls wait for an answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.count()
    }

    async fn within(
        &self,
        deadline: Duration,
        asking: impl Future<Output = Result<Answer, Refusal>>,
    ) -> Result<Answer, Refusal> {
        let began = Instant::now();
        let answer = tokio::time::timeout(deadline, asking)
            .await
            .unwrap_or(Err(Refusal::DeadlineExceeded));
        self.hook.tell(&Happening::Called {
            how: answer.as_ref().map_or_else(Refusal::label, |_| "answered"),
            took: began.elapsed(),
        });
        answer
    }

    async fn ask(&self, call: Call) -> Result<Answer, Refusal> {
        // In this order: what is asked of a session that is gone by then is not waited for.
        let answer = self.pending.expect(&call)?;
        let absence = self.sessions.absence(&call.device);
        tokio::pin!(absence);
        let offline = || Refusal::Offline {
            device: call.device.to_string(),
        };
        if !self.sessions.is_present(&call.device) {
            return Err(offline());
        }
        let asked = self
            .sessions
            .signal(&call.device, &Signal::Call(call.clone()));
        if asked == 0 {
            return Err(Refusal::Limited {
                what: "calls that the device has not taken",
                retry_after: pending::RETRY_AFTER,
            });
        }
        self.pending.asked(&call.id, asked);
        tokio::select! {
            // An answer that came before the session ended counts.
            biased;
            answer = answer.wait() => answer,
            () = absence => Err(offline()),
        }
    }

    async fn permit(&self, actor: &Actor, call: &Call) -> Result<(), Refusal> {
        let (actor, device, at) = (actor.clone(), call.device.clone(), self.clock.now());
        let detail = json!({"call": call.id.as_str(), "method": call.method});
        self.store
            .write_bulk(0, move |connection| {
                acting::act(connection, &actor, &device, (at, "device.call"), &detail)
            })
            .await
    }
}
