//! The device as its own software has it: what it says, what it is asked, what it is. The local API
//! is this over HTTP.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use outgate_wire::agent::{Answer, Call, Command, Settlement};
use serde_json::Value;
use tokio::sync::watch;

use crate::assets::Assets;
use crate::inbox::{Inbox, InboxError};
use crate::lan::membership::Membership;
use crate::queue::{Entry, Position, Queue, QueueError};
use crate::status::{Board, Status};
use crate::support::Desk;
use crate::twin::{Halves, Twin, TwinError};

/// The longest that somebody waits for news.
pub const MAX_WAIT: Duration = Duration::from_secs(55);

/// What the device reports below this is the agent's own to say.
pub const RESERVED: &str = "outgate";

/// The device. Cloned freely; all clones are the same.
#[derive(Clone, Debug)]
pub struct Device {
    /// What waits for the hub.
    pub(crate) queue: Queue,
    /// What the hub wants.
    pub(crate) inbox: Inbox,
    /// What the device is, and is wanted to be.
    pub(crate) twin: Twin,
    /// How the agent is.
    pub(crate) board: Board,
    /// Its place among the other devices of the site, if it is one of several.
    pub(crate) membership: Option<Membership>,
    /// The files that it should hold.
    pub(crate) assets: Option<Assets>,
    /// Its sessions of remote support, where it has them.
    pub(crate) support: Option<Desk>,
}

impl Device {
    /// A device with these parts.
    #[must_use]
    pub fn new(queue: Queue, inbox: Inbox, twin: Twin, board: Board) -> Self {
        Self {
            queue,
            inbox,
            twin,
            board,
            membership: None,
            assets: None,
            support: None,
        }
    }

    /// With remote support.
    pub(crate) fn supported(self, support: Option<Desk>) -> Self {
        Self { support, ..self }
    }

    /// Its sessions of remote support, where it has them.
    #[must_use]
    pub fn support(&self) -> Option<&Desk> {
        self.support.as_ref()
    }

    /// With a place among the other devices of its site.
    #[must_use]
    pub fn among(self, membership: Option<Membership>) -> Self {
        Self { membership, ..self }
    }

    /// With the files that it should hold.
    #[must_use]
    pub fn holding(self, assets: Assets) -> Self {
        Self {
            assets: Some(assets),
            ..self
        }
    }

    /// Says something: an event or a log. Once this returns it is on the disk, and the hub has it
    /// when it can.
    ///
    /// # Errors
    /// As [`Queue::push`].
    pub async fn say(&self, entry: Entry) -> Result<Position, QueueError> {
        self.queue.push(entry).await
    }

    /// An event of ordinary priority, as [`Device::say`].
    ///
    /// # Errors
    /// As [`Queue::push`].
    pub async fn publish(
        &self,
        name: impl Into<String> + Send,
        content_type: impl Into<String> + Send,
        properties: BTreeMap<String, String>,
        payload: impl Into<Bytes> + Send,
    ) -> Result<Position, QueueError> {
        let mut event = Entry::event(name, payload);
        event.content_type = content_type.into();
        event.properties = properties;
        self.say(event).await
    }

    /// The commands that are not settled, in their order; when there are none, those that come
    /// within `wait`, at most [`MAX_WAIT`].
    pub async fn commands(&self, wait: Duration) -> Vec<Command> {
        self.waited(wait, Inbox::commands).await
    }

    /// Says what has become of a command. Once this returns it is on the disk, and the hub has it
    /// when it can.
    ///
    /// # Errors
    /// As [`Inbox::settle`].
    pub async fn settle(&self, command: &str, how: Settlement) -> Result<(), InboxError> {
        self.inbox.settle(command, how).await
    }

    /// The calls that are not answered, as [`Device::commands`].
    pub async fn calls(&self, wait: Duration) -> Vec<Call> {
        self.waited(wait, Inbox::calls).await
    }

    /// Answers a call.
    ///
    /// # Errors
    /// As [`Inbox::answer`].
    pub fn answer(&self, call: &str, answer: Answer) -> Result<(), InboxError> {
        self.inbox.answer(call, answer)
    }

    /// Both halves of the twin, now and from now on.
    #[must_use]
    pub fn twin(&self) -> watch::Receiver<Halves> {
        self.twin.watch()
    }

    /// Merges a patch (RFC 7396) into what the device says it is.
    ///
    /// # Errors
    /// As [`Twin::report`]; [`TwinError::Reserved`] for a patch of [`RESERVED`].
    pub fn report(&self, patch: Value) -> Result<(), TwinError> {
        if patch.get(RESERVED).is_some() {
            return Err(TwinError::Reserved);
        }
        self.twin.report(patch)
    }

    /// How the agent is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// Tells of every change of that.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.board.watch()
    }

    async fn waited<T>(&self, wait: Duration, look: impl Fn(&Inbox) -> Vec<T>) -> Vec<T> {
        let mut news = self.inbox.news();
        let found = async {
            loop {
                news.borrow_and_update();
                let found = look(&self.inbox);
                if !found.is_empty() || news.changed().await.is_err() {
                    return found;
                }
            }
        };
        within(wait, found).await.unwrap_or_default()
    }
}

/// What comes within `wait`, at most [`MAX_WAIT`]; it is looked once in any case.
pub(crate) async fn within<T>(wait: Duration, news: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(wait.min(MAX_WAIT), news).await.ok()
}
