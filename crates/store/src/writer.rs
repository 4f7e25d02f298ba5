//! Where writes are handed in, and wait.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::committer::Committer;
use crate::error::{Error, Failure};
use crate::folder::OpenError;
use crate::hook::Hook;
use crate::space::Space;
use crate::wal::Wal;
use crate::work::Order;

/// The most places of writes that wait for the disk: each takes one, and one more for every
/// 4 KiB it holds, so that at most 65,536 writes and about 256 MiB wait. What is more is refused
/// at once: a caller that waited for a place would hold up all behind it while it, or the
/// connection that it serves, is not getting on.
pub const MAX_WAITING: u32 = 65_536;

/// When to try again after that.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where writes are handed in. The thread ends when the last handle is dropped and all has been
/// written, and dropping that one waits for it: the folder can be opened again at once.
pub(super) struct Writer<E>(Arc<Inner<E>>);

struct Inner<E> {
    /// Dropped before the thread is waited for, which ends it.
    inbox: Sender<Order<E>>,
    places: Arc<Semaphore>,
    _thread: Joined,
}

/// Waits for its thread when it is dropped.
struct Joined(Option<JoinHandle<()>>);

impl<E: Failure> Writer<E> {
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
    /// [`Error::Busy`] when [`MAX_WAITING`] wait; [`Error::Closing`] when the thread has
    /// ended.
    pub(super) fn submit(&self, order: Order<E>) -> Result<(), Error> {
        let places = match &order {
            Order::Write(write) => write.places,
            Order::Backup(_) => 0,
        };
        let Ok(taken) = self.0.places.try_acquire_many(places) else {
            return Err(Error::Busy {
                retry_after: RETRY_AFTER,
            });
        };
        // The committer gives them back.
        taken.forget();
        self.0.inbox.send(order).map_err(|_| Error::Closing)
    }
}

impl<E> Clone for Writer<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
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
