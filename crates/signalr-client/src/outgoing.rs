//! The way out of a connection: records that wait to be sent.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use crate::error::{CallError, Cause};
use crate::room::{Room, Taken};
use crate::settings::{LATE_MAX, OUTGOING_BYTES_MAX, OUTGOING_MAX};

/// Puts records in line; a clone puts them in the same line.
#[derive(Clone)]
pub(crate) struct Outgoing {
    records: mpsc::Sender<Record>,
    room: Room,
    late: Arc<Semaphore>,
}

struct Record {
    bytes: Bytes,
    /// Free once it no longer waits.
    _room: Taken,
}

/// The line. When it is dropped the connection has ended.
pub(crate) struct Queue(mpsc::Receiver<Record>);

/// A line for [`OUTGOING_MAX`] records of [`OUTGOING_BYTES_MAX`] bytes.
pub(crate) fn outgoing() -> (Outgoing, Queue) {
    let (records, queue) = mpsc::channel(OUTGOING_MAX);
    let outgoing = Outgoing {
        records,
        room: Room::new(OUTGOING_BYTES_MAX),
        late: Arc::new(Semaphore::new(LATE_MAX)),
    };
    (outgoing, Queue(queue))
}

impl Outgoing {
    /// Puts a record in line, once there is room.
    ///
    /// # Errors
    /// The connection has ended.
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), CallError> {
        let room = self.room.take(bytes.len()).await.ok_or(CallError::Lost)?;
        let record = Record { bytes, _room: room };
        let sent = self.records.send(record).await;
        sent.map_err(|_| CallError::Lost)
    }

    /// Puts an answer in line that nobody can wait for.
    ///
    /// # Errors
    /// There is no room, and as many as may be wait for some.
    pub(crate) fn answer(&self, bytes: Bytes) -> Result<(), Cause> {
        let Some(bytes) = self.try_send(bytes) else {
            return Ok(());
        };
        let late = Arc::clone(&self.late).try_acquire_owned();
        let late = late.map_err(|_| Cause::SlowHub { limit: LATE_MAX })?;
        self.later(bytes, Some(late));
        Ok(())
    }

    /// Puts a record in line now or as soon as there is room. Who calls it sees to it that not too
    /// many wait.
    pub(crate) fn send_soon(&self, bytes: Bytes) {
        if let Some(bytes) = self.try_send(bytes) {
            self.later(bytes, None);
        }
    }

    fn later(&self, bytes: Bytes, late: Option<Taken>) {
        let outgoing = self.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Without a connection nobody waits for it.
                let _ = outgoing.send(bytes).await;
                drop(late);
            });
        }
    }

    /// Gives a record back for which there is no room now.
    fn try_send(&self, bytes: Bytes) -> Option<Bytes> {
        let Some(room) = self.room.try_take(bytes.len()) else {
            return Some(bytes);
        };
        match self.records.try_send(Record { bytes, _room: room }) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
            Err(mpsc::error::TrySendError::Full(record)) => Some(record.bytes),
        }
    }
}

impl Queue {
    /// The next record; nothing when nobody can send any more.
    pub(crate) async fn recv(&mut self) -> Option<Bytes> {
        Some(self.0.recv().await?.bytes)
    }

    /// The next record that is there.
    pub(crate) fn try_recv(&mut self) -> Option<Bytes> {
        Some(self.0.try_recv().ok()?.bytes)
    }

    /// Takes nothing more.
    pub(crate) fn close(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn record(length: usize) -> Bytes {
        vec![b'x'; length].into()
    }

    #[tokio::test]
    async fn who_sends_waits_for_room_in_bytes_and_learns_of_the_end() {
        let (outgoing, mut queue) = outgoing();
        let most = record(OUTGOING_BYTES_MAX - 1);
        outgoing.send(most.clone()).await.unwrap();
        let mut next = Box::pin(outgoing.send(record(2)));
        assert!((&mut next).now_or_never().is_none());
        assert_eq!(queue.recv().await, Some(most));
        next.await.unwrap();
        // What is longer than all that may wait has its turn when nothing waits.
        let mut long = Box::pin(outgoing.send(record(OUTGOING_BYTES_MAX + 1)));
        assert!((&mut long).now_or_never().is_none());
        assert_eq!(queue.recv().await, Some(record(2)));
        long.await.unwrap();
        let mut late = Box::pin(outgoing.send(record(1)));
        assert!((&mut late).now_or_never().is_none());
        drop(queue);
        assert!(matches!(late.await, Err(CallError::Lost)));
    }

    #[tokio::test]
    async fn answers_wait_in_a_bounded_number() {
        let (outgoing, mut queue) = outgoing();
        for _ in 0..OUTGOING_MAX + LATE_MAX {
            outgoing.answer(record(1)).unwrap();
        }
        let error = outgoing.answer(record(1)).unwrap_err();
        assert!(matches!(error, Cause::SlowHub { limit: LATE_MAX }));
        for _ in 0..OUTGOING_MAX + LATE_MAX {
            assert_eq!(queue.recv().await, Some(record(1)));
        }
        assert!(queue.try_recv().is_none());
    }
}
