//! Where writes are handed in, and wait.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::committer::Committer;
use super::folder::OpenError;
use super::space::Space;
use super::wal::Wal;
use super::work::Order;
use crate::happening::Hook;
use crate::refusal::Refusal;

/// The most places of writes that wait for the disk: each takes one, and one more for every
/// 4 KiB it holds, so that at most 65,536 writes and about 256 MiB wait. What is more is refused
/// at once: a caller that waited for a place would hold up all behind it while it, or the
/// connection that it serves, is not getting on.
pub const MAX_WAITING: u32 = 65_536;

/// When to try again after that.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where writes are handed in. The thread ends when the last handle is dropped and all has been
/// written, and dropping that one waits for it: the folder can be opened again at once.
#[derive(Clone, Debug)]
pub(super) struct Writer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Dropped before the thread is waited for, which ends it.
    inbox: Sender<Order>,
    places: Arc<Semaphore>,
    _thread: Joined,
}

/// Waits for its thread when it is dropped.
#[derive(Debug)]
struct Joined(Option<JoinHandle<()>>);

impl Writer {
    /// Starts the thread that commits.
    pub(super) fn start(
        connection: Connection,
        lock: File,
        (wal, space): (Wal, Space),
        hook: Hook,
    ) -> Result<Self, OpenError> {
        let (inbox, orders) = channel();
        let places = Arc::new(Semaphore::new(MAX_WAITING as usize));
        let committer = Committer::new(orders, Arc::clone(&places), (wal, space), hook);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                committer.run(&connection);
                drop(connection);
                // Others may open the folder from here on. Closing it would not do: a program that
                // another thread is just starting has a copy of it until it has begun.
                let _ = lock.unlock();
            })
            .map_err(OpenError::Thread)?;
        Ok(Self(Arc::new(Inner {
            inbox,
            places,
            _thread: Joined(Some(thread)),
        })))
    }

    /// Hands in an order, after all that were handed in before.
    ///
    /// # Errors
    /// [`Refusal::Limited`] when [`MAX_WAITING`] wait; [`Refusal::Draining`] when the thread has
    /// ended.
    pub(super) fn submit(&self, order: Order) -> Result<(), Refusal> {
        let places = match &order {
            Order::Write(write) => write.places,
            Order::Backup(_) => 0,
        };
        let Ok(taken) = self.0.places.try_acquire_many(places) else {
            return Err(Refusal::Limited {
                what: "writes at once",
                retry_after: RETRY_AFTER,
            });
        };
        // The committer gives them back.
        taken.forget();
        self.0.inbox.send(order).map_err(|_| Refusal::Draining)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic there has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}
