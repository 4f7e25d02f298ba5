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
    tell: oneshot::Sender<Answer>,
}

/// A call that waits. Dropping it ends the waiting.
pub(super) struct Expected {
    pending: Pending,
    id: CallId,
    answer: oneshot::Receiver<Answer>,
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
                tell,
            },
        );
        Ok(Expected {
            pending: self.clone(),
            id: call.id.clone(),
            answer,
        })
    }

    /// Gives `answer` of `device` to whoever waits for it.
    pub(super) fn answer(
        &self,
        device: &DeviceId,
        id: &CallId,
        answer: Answer,
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
    fn forget(&mut self, id: &CallId) -> Option<oneshot::Sender<Answer>> {
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
            .map_err(|_| Refusal::Internal("a call was forgotten"))
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.pending.0.lock().forget(&self.id);
    }
}
