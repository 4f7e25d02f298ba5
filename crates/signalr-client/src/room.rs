//! Room for so many bytes, in front of what has to wait.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room in bytes. Clones are the same room.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    all: u32,
}

/// Room that something takes; dropped, it is free again.
pub(crate) type Taken = OwnedSemaphorePermit;

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        Self {
            // A semaphore of Tokio's counts further than 32 bits wherever there is memory for it.
            free: Arc::new(Semaphore::new(usize::try_from(all).unwrap_or(usize::MAX))),
            all,
        }
    }

    /// Bytes that are taken.
    pub(crate) fn taken(&self) -> usize {
        let all = usize::try_from(self.all).unwrap_or(usize::MAX);
        all.saturating_sub(self.free.available_permits())
    }

    /// Room for so many bytes, if it is there now. What is longer than all of it takes all of it:
    /// how long a message may be is not decided here.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Taken> {
        let free = Arc::clone(&self.free);
        free.try_acquire_many_owned(self.needed(bytes)).ok()
    }

    /// Room for so many bytes, once it is there.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Taken> {
        let free = Arc::clone(&self.free);
        // Nobody closes it.
        free.acquire_many_owned(self.needed(bytes)).await.ok()
    }

    fn needed(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_and_given_back_and_there_is_some_for_what_is_longer_than_all_of_it() {
        let room = Room::new(10);
        let six = room.try_take(6).unwrap();
        assert!(room.try_take(5).is_none());
        let four = room.try_take(4).unwrap();
        assert_eq!(room.taken(), 10);
        drop((six, four));
        let longer = room.try_take(11).unwrap();
        assert!(room.try_take(1).is_none());
        drop(longer);
        assert_eq!(room.taken(), 0);
    }
}
