//! What the queue has acknowledged stays, whatever happens to the process or the disk.

#![cfg(test)]

mod crash;
#[cfg(feature = "namespaces")]
mod full_disk;
mod hub;

use std::path::Path;
use std::sync::Arc;

use outgate_agent::queue::{Limits, MachineClock, Queue};

/// The queue in `folder`, on the machine's clock.
fn open(folder: &Path, limits: Limits) -> Queue {
    let clock = Arc::new(MachineClock::new().unwrap());
    Queue::open(folder, limits, clock).unwrap()
}

/// The same for the same seed in every run (SplitMix64).
fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
