//! How the agent is: one board that each part writes its own column of, and that the local page, the
//! local API and the command line read.
//!
//! Everything here is plain data: a reader needs nothing of the parts themselves.

mod assets;
mod clock;
mod naming;
mod neighbours;
mod page;
mod ping;
mod ssh;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::watch;

pub use self::assets::Assets;
pub use self::clock::{Clock, TimeSource};
pub use self::naming::{Claim, Naming};
pub use self::neighbours::Neighbours;
pub use self::page::{Page, PageKind, PagePlace};
pub use self::ping::{Limit, Ping};
pub use self::ssh::{Ssh, SshState};
use crate::queue::Level;

/// The most errors that are remembered; the oldest goes first.
pub const MAX_TROUBLES: usize = 32;

/// How the agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The agent's version.
    pub version: &'static str,
    /// The product and its version, as the configuration has them.
    pub product: Option<String>,
    /// The connection to the hub.
    pub link: Link,
    /// What time the device thinks it is, and why it thinks so.
    pub clock: Clock,
    /// What waits on disk for the hub.
    pub queue: Queue,
    /// The network that the device stands in.
    pub network: Network,
    /// The other devices of the site, where it is one of several.
    pub neighbours: Option<Neighbours>,
    /// What is kept of the files that the device should hold.
    pub assets: Assets,
    /// The page on site, where there is to be one.
    pub page: Option<Page>,
    /// The SSH switch, where the device has one.
    pub ssh: Option<Ssh>,
    /// What went wrong lately, the newest first.
    pub troubles: VecDeque<Trouble>,
}

/// The connection to the hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The hub, without anything secret.
    pub hub: String,
    /// What the link is doing.
    pub state: LinkState,
    /// Since when, if the clock is right.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// The rungs of the ladder, the best first.
    pub ladder: Vec<Rung>,
    /// How often the device says that it is there, in seconds, as this network demands.
    pub heartbeat_seconds: Option<u64>,
}

/// What the link is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Nothing yet.
    #[default]
    Idle,
    /// It is on its way up the ladder.
    Connecting,
    /// The hub has answered, and goes on answering.
    Connected,
    /// There is no connection, and it waits before it tries again.
    Waiting,
    /// The hub has refused what the device shows; trying again does not help.
    Refused,
}

/// A rung of the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// The transport, as SignalR calls it.
    pub transport: String,
    /// How it did here last.
    pub state: RungState,
    /// Why it did not work, if it did not.
    pub reason: Option<String>,
}

/// How a rung did in this network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RungState {
    /// Nobody has tried it here.
    Untried,
    /// The link stands on it.
    InUse,
    /// It has held traffic here before.
    Worked,
    /// It was tried here and did not hold traffic.
    Failed,
}

/// What waits on disk for the hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// How many entries.
    pub entries: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// The most that they may take.
    pub limit_bytes: u64,
    /// How many were dropped since the queue was made.
    pub dropped: u64,
    /// All of that by how much it mattered, what matters least first.
    pub levels: Vec<Level>,
}

/// The network that the device stands in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// The name servers.
    pub name_servers: Vec<String>,
    /// The proxy on the way to the hub, without its login.
    pub proxy: Option<String>,
    /// Names that the device answers to on the LAN, as `cube.local` and `cube`.
    pub names: Vec<String>,
    /// How it came to them.
    pub naming: Naming,
    /// Whether there is a bound on how many pings it answers.
    pub ping: Ping,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// When, by the clock as it was then.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Which part noticed.
    pub part: &'static str,
    /// What happened, in English, with nothing secret in it.
    pub text: String,
    /// The key of the cause as a check names it, if it is known.
    pub cause: Option<String>,
}

/// The board. Cloned freely; all clones show the same.
#[derive(Clone)]
pub struct Board(Arc<watch::Sender<Status>>);

impl Board {
    /// A board on which nothing has happened yet.
    #[must_use]
    pub fn new(product: Option<String>) -> Self {
        Self(Arc::new(watch::Sender::new(Status {
            version: env!("CARGO_PKG_VERSION"),
            product,
            link: Link::default(),
            clock: Clock::default(),
            queue: Queue::default(),
            network: Network::default(),
            neighbours: None,
            assets: Assets::default(),
            page: None,
            ssh: None,
            troubles: VecDeque::new(),
        })))
    }

    /// How the agent is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.borrow().clone()
    }

    /// Tells of every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.0.subscribe()
    }

    /// Writes onto the board; nobody is told when nothing has changed.
    pub fn write(&self, change: impl FnOnce(&mut Status)) {
        self.0.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// Notes something that went wrong by now, by the machine's clock, in a part of the agent; its cause
    /// is not known.
    pub fn note(&self, part: &'static str, text: String) {
        self.trouble(Trouble {
            at: OffsetDateTime::now_utc(),
            part,
            text,
            cause: None,
        });
    }

    /// Notes something that went wrong.
    pub fn trouble(&self, trouble: Trouble) {
        self.write(|status| {
            status.troubles.truncate(MAX_TROUBLES - 1);
            status.troubles.push_front(trouble);
        });
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Board").field(&*self.0.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(text: &str) -> Trouble {
        Trouble {
            at: OffsetDateTime::UNIX_EPOCH,
            part: "link",
            text: text.to_owned(),
            cause: None,
        }
    }

    #[test]
    fn who_watches_is_told_of_changes_and_of_nothing_else() {
        let board = Board::new(None);
        let mut watch = board.watch();
        board.write(|status| status.queue.entries = 0);
        assert!(!watch.has_changed().unwrap());
        board.write(|status| status.queue.entries = 1);
        assert!(watch.has_changed().unwrap());
        assert_eq!(watch.borrow_and_update().queue.entries, 1);
    }

    #[test]
    fn the_newest_troubles_are_kept() {
        let board = Board::new(None);
        for number in 0..=MAX_TROUBLES {
            board.trouble(trouble(&number.to_string()));
        }
        let troubles = board.status().troubles;
        assert_eq!(troubles.len(), MAX_TROUBLES);
        assert_eq!(troubles[0].text, MAX_TROUBLES.to_string());
    }
}
