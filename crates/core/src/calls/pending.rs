//! Who waits for an answer from whom.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::calls::{Answer, Call};
use crate::id::{CallId, DeviceId};
use crate::refusal::Refusal;

/// The most calls that wait for one device.
pub const MAX_PENDING_OF_DEVICE: usize = 64;

/// The most calls that wait in all.
pub const MAX_PENDING: usize = 10_000;

/// The most bytes of payload of all calls that wait.
pub const MAX_PENDING_BYTES: usize = 256 * 1024 * 1024;

/// When to call again if too many wait.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The calls that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    calls: HashMap<CallId, Caller>,
    of_device: HashMap<DeviceId, usize>,
    bytes: usize,
}

#[derive(Debug)]
struct Caller {
    device: DeviceId,
    bytes: usize,
    /// How many sessions were asked, once that is known.
    asked: Option<usize>,
    /// How many of them do not take it.
    declined: usize,
    tell: oneshot::Sender<Result<Answer, Refusal>>,
}

/// A call that waits. Dropping it ends the waiting.
pub(super) struct Expected {
    pending: Pending,
    id: CallId,
    answer: oneshot::Receiver<Result<Answer, Refusal>>,
}

impl Pending {
    /// Begins to wait.
    pub(super) fn expect(&self, call: &Call) -> Result<Expected, Refusal> {
        let limited = |what| Refusal::Limited {
            what,
            retry_after: RETRY_AFTER,
        };
        let mut waiting = self.0.lock();
        let bytes = waiting.bytes + call.payload.len();
        if waiting.calls.len() >= MAX_PENDING || bytes > MAX_PENDING_BYTES {
            return Err(limited("calls at once"));
        }
        let of_device = waiting.of_device.entry(call.device.clone()).or_default();
        if *of_device >= MAX_PENDING_OF_DEVICE {
            return Err(limited("calls to this device at once"));
        }
        *of_device += 1;
        let (tell, answer) = oneshot::channel();
        waiting.bytes = bytes;
        waiting.calls.insert(
            call.id.clone(),
            Caller {
                device: call.device.clone(),
                bytes: call.payload.len(),
                asked: None,
                declined: 0,
                tell,
            },
        );
        Ok(Expected {
            pending: self.clone(),
            id: call.id.clone(),
            answer,
        })
    }

    /// So many sessions were asked.
    pub(super) fn asked(&self, id: &CallId, count: usize) {
        let mut waiting = self.0.lock();
        if let Some(caller) = waiting.calls.get_mut(id) {
            caller.asked = Some(count);
        }
        waiting.give_up_if_declined(id);
    }

    /// One session of `device` does not take the call.
    pub(super) fn decline(&self, device: &DeviceId, id: &CallId) -> Result<(), Refusal> {
        let mut waiting = self.0.lock();
        let caller = waiting.calls.get_mut(id);
        let caller = caller.filter(|caller| caller.device == *device);
        caller
            .ok_or_else(|| Refusal::not_found("call", id))?
            .declined += 1;
        waiting.give_up_if_declined(id);
        Ok(())
    }

    /// Gives `answer` of `device` to whoever waits for it.
    pub(super) fn answer(
        &self,
        device: &DeviceId,
        id: &CallId,
        answer: Result<Answer, Refusal>,
    ) -> Result<(), Refusal> {
        let unknown = || Refusal::not_found("call", id);
        let mut waiting = self.0.lock();
        // Another device's call must look as if it were not there, and stay.
        if waiting
            .calls
            .get(id)
            .is_none_or(|caller| caller.device != *device)
        {
            return Err(unknown());
        }
        let tell = waiting.forget(id).ok_or_else(unknown)?;
        drop(waiting);
        tell.send(answer).map_err(|_| unknown())
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().calls.len()
    }
}

impl Waiting {
    /// Tells the caller when all that were asked do not take the call.
    fn give_up_if_declined(&mut self, id: &CallId) {
        let Some(caller) = self.calls.get(id) else {
            return;
        };
        if caller.asked.is_none_or(|asked| caller.declined < asked) {
            return;
        }
        let device = caller.device.to_string();
        if let Some(tell) = self.forget(id) {
            // Whoever waited may have gone.
            let _ = tell.send(Err(Refusal::TakesNoCalls { device }));
        }
    }

    fn forget(&mut self, id: &CallId) -> Option<oneshot::Sender<Result<Answer, Refusal>>> {
        let caller = self.calls.remove(id)?;
        self.bytes -= caller.bytes;
        if let Some(count) = self.of_device.get_mut(&caller.device) {
            *count -= 1;
            if *count == 0 {
                self.of_device.remove(&caller.device);
            }
        }
        Some(caller.tell)
    }
}

impl Expected {
    /// Waits for the answer.
    pub(super) async fn wait(mut self) -> Result<Answer, Refusal> {
        (&mut self.answer)
            .await
            .unwrap_or(Err(Refusal::Internal("a call was forgotten")))
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.pending.0.lock().forget(&self.id);
    }
}
