//! A core in a folder of its own, with a clock that stands still.

use std::fmt::Debug;
use std::str::FromStr;

use tempfile::TempDir;

use outgate_core::{Clock, Core, Settings, Timestamp};

/// The name `text`, of whatever kind is asked for.
pub(crate) fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A new one.
pub(crate) fn begun() -> (Core, TempDir) {
    let folder = TempDir::new().unwrap();
    let clock = Clock::held(Timestamp::from_millis(1_790_000_000_000));
    (open_in(&folder, clock), folder)
}

/// The same folder and clock, with everything in memory forgotten.
pub(crate) fn restarted(core: Core, folder: &TempDir) -> Core {
    let clock = core.clock.clone();
    drop(core);
    open_in(folder, clock)
}

fn open_in(folder: &TempDir, clock: Clock) -> Core {
    let settings = Settings {
        clock,
        ..Settings::new(folder.path())
    };
    Core::open(&settings).unwrap()
}
