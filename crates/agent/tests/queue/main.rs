//! What the queue has acknowledged stays, whatever happens to the process or the disk.

#![cfg(test)]

mod crash;
#[cfg(feature = "namespaces")]
mod full_disk;

use std::path::Path;
use std::sync::Arc;

use outgate_agent::queue::{Limits, MachineClock, Queue};

/// The queue in `folder`, on the machine's clock.
fn open(folder: &Path, limits: Limits) -> Queue {
    let clock = Arc::new(MachineClock::new().unwrap());
    Queue::open(folder, limits, clock).unwrap()
}
