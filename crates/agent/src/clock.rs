//! What time it is, on a machine whose clock may start in 1970, stand years ahead, or jump.
//!
//! The agent does not go by the machine's clock where somebody else can tell: [`Timekeeper`] decides
//! whom to ask, whom to believe and when to ask again, and does nothing itself; [`Keeper`] does what
//! it says and is the clock that certificates are judged by. What was told is kept as the moment at
//! which the machine started, so that nothing that is done to the machine's clock afterwards changes
//! it.

mod ask;
mod keeper;
mod kept;
mod leases;
mod signed;
#[cfg(test)]
mod tests;
mod timekeeper;
mod vote;
mod words;

use std::time::Duration;

use time::OffsetDateTime;

pub use self::keeper::{Keeper, Plan};
pub use self::signed::Hub;
pub use self::timekeeper::Timekeeper;

/// Further apart than this, a clock counts as wrong: certificates and tokens begin to fail about there.
pub const WRONG: Duration = Duration::from_secs(60);

/// The cause of a check that the machine's clock is.
pub const CLOCK_WRONG: &str = "clock-wrong";
/// The cause of a check that a certificate's dates are.
pub const OUT_OF_DATE: &str = "certificate-out-of-date";

/// When this was released, in seconds since 1970, unless who builds it says when that is.
const RELEASED: i64 = 1_793_491_200;

/// The time that cannot be over: when the agent was built (`SOURCE_DATE_EPOCH`), or released.
#[must_use]
pub fn earliest() -> OffsetDateTime {
    let built = option_env!("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse().ok());
    let earliest = OffsetDateTime::from_unix_timestamp(built.unwrap_or(RELEASED));
    earliest.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// What the machine's own clocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// How long it has been running, with the time that it slept.
    pub up: Duration,
    /// What time it thinks it is.
    pub wall: OffsetDateTime,
}

impl Machine {
    /// When it started, by its own clock; another moment once that has been put forward or back.
    #[must_use]
    pub fn began(&self) -> OffsetDateTime {
        self.wall - self.up
    }
}

/// Somebody who may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The NTP servers that DHCP hands out (option 42).
    Dhcp,
    /// The NTP servers that are configured.
    Configured,
    /// The hub, by a time that it has signed.
    Signed,
}

impl Source {
    /// What the board calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::Configured => "configured",
            Self::Signed => "hub-signed",
        }
    }
}

/// Who has told the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Teller {
    /// An NTP server, which nobody has proved to be one.
    Server(Source, String),
    /// The hub, over a connection that it has proved to be its own.
    Hub,
    /// The hub, by its signature.
    Signed,
}

impl Teller {
    /// Whether it has proved to be who it says.
    #[must_use]
    pub fn is_hub(&self) -> bool {
        match self {
            Self::Server(..) => false,
            Self::Hub | Self::Signed => true,
        }
    }
}

impl std::fmt::Display for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(source, server) => write!(f, "{} {server}", source.name()),
            Self::Hub => f.write_str("hub"),
            Self::Signed => f.write_str(Source::Signed.name()),
        }
    }
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The server, by its address.
    pub server: String,
    /// When the machine started, if the server is right.
    pub began: OffsetDateTime,
    /// By how much that may be wrong, as long as the server is right.
    pub error: Duration,
}

/// What became of asking a source: what those said that answered, and why others did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What was said.
    pub readings: Vec<Reading>,
    /// Why nothing was, server by server.
    pub silent: Vec<String>,
}

/// The time, as somebody has told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When the machine started.
    pub began: OffsetDateTime,
    /// By how much that may be wrong.
    pub error: Duration,
    /// Who says so.
    pub by: Teller,
    /// When it was said.
    pub at: Duration,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask this source: [`Timekeeper::handle_heard`].
    Ask {
        /// What the question is called.
        round: u64,
        /// Whom.
        source: Source,
    },
    /// This is the time from now on.
    Told(Told),
    /// Keep on the disk that this time has been.
    Keep(OffsetDateTime),
    /// Set the machine's own clock, if that is allowed.
    Set,
    /// What failed for the dates of certificates may go well now.
    Retry,
    /// Show that the machine's clock is wrong, or was.
    Wrong {
        /// By how much, in milliseconds; positive when it is behind.
        offset_millis: i64,
        /// Who says so.
        by: String,
    },
    /// Show this.
    Note(String),
}
