//! The connection to the hub, from whatever network the device stands in.
//!
//! [`Link`] decides and does nothing itself: whoever drives it does what [`Link::poll_output`] says,
//! tells how that went, and asks again at [`Link::poll_timeout`]. So all of it runs in a test in no
//! time, five thousand at once.
//!
//! A way up the ladder of transports counts once the hub has answered over it after it stood for a
//! while ([`Settings::hold`]): there are proxies that let a handshake through and nothing after it.
//! What worked is remembered for the network ([`memory`]). A connection that stands on a lower rung is
//! kept, and the better ones are tried beside it now and then; only when one of them has proved itself
//! does it take over.

pub mod beat;
mod climb;
mod column;
pub mod driver;
mod kept;
mod machine;
pub mod memory;
pub mod network;
mod standing;
#[cfg(test)]
mod storm;
pub mod support;
#[cfg(test)]
mod tests;
mod way;

use std::time::{Duration, Instant};

use outgate_signalr::negotiate::Transport;

use self::beat::Bounds;
pub use self::machine::Link;

/// The longest wait between two tries to connect.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// The longest time over which a hub can have its devices come back.
pub const SPREAD_MAX: Duration = Duration::from_secs(300);
/// How long it is waited, at least, before a device is shown to a hub again that has refused it; half
/// as long again at most. An operator may have mended it, and nobody comes to restart a device.
pub const REFUSED_WAIT: Duration = Duration::from_secs(15 * 60);
/// When the better rungs are tried again for the first time; it doubles each time that they fail.
pub const AGAIN_FIRST: Duration = Duration::from_secs(10 * 60);
/// The longest time between two tries of the better rungs.
pub const AGAIN_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// What a link keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The transports, the best first.
    pub transports: Vec<Transport>,
    /// How long a connection must have stood when the hub answers for it to count.
    pub hold: Duration,
    /// How long the hub may take to answer before the connection counts as lost.
    pub answer: Duration,
    /// How long the connection may be silent.
    pub silence: Bounds,
    /// Over which time this device and all others that were cut off with it come back, unless the hub
    /// says otherwise.
    pub spread: Duration,
    /// See [`AGAIN_FIRST`].
    pub again: Duration,
}

impl Default for Settings {
    /// Every transport; ten seconds to hold, to answer and to come back over.
    fn default() -> Self {
        Self {
            transports: Transport::ALL.to_vec(),
            hold: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            silence: Bounds::default(),
            spread: Duration::from_secs(10),
            again: AGAIN_FIRST,
        }
    }
}

/// One way up the ladder, and the connection that came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dial(u64);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Climb to the hub over these transports in this order. It is told by [`Link::handle_up`] or
    /// [`Link::handle_down`] how that went.
    Dial {
        /// What it is called from now on.
        dial: Dial,
        /// The transports.
        rungs: Vec<Transport>,
    },
    /// Carry everything over this connection from now on. It takes the place of the one before.
    Use {
        /// The connection.
        dial: Dial,
    },
    /// Ask the hub for an answer over this connection: [`Link::handle_answer`].
    Ask {
        /// The connection.
        dial: Dial,
    },
    /// Let it go, in good order if that is possible. Nothing more is to be told of it.
    Close {
        /// The connection, or the way up to it.
        dial: Dial,
    },
    /// Write down what is remembered: [`Link::memory`].
    Remember,
}

/// How a way up or a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// No transport has led to the hub.
    Failed {
        /// How long the hub wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The hub does not want this device, by what it shows.
    Refused,
    /// The hub has ended the connection and wants the device back.
    Closed,
    /// It was cut without a word.
    Cut,
}

/// What the link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Nothing yet.
    Idle,
    /// It is on its way up the ladder.
    Dialling,
    /// It stands on this rung.
    Standing {
        /// The rung.
        transport: Transport,
        /// Whether it has held traffic.
        proved: bool,
        /// Whether better rungs are being tried beside it.
        trying: bool,
    },
    /// It waits before it tries again.
    Waiting {
        /// Until then.
        until: Instant,
        /// Whether the hub has refused the device.
        refused: bool,
    },
}
