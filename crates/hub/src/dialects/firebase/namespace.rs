//! One database: a task that does what is asked in its order, and the way to it.

mod batch;

use std::sync::Arc;

use outgate_core::sessions::Pass;
use outgate_core::{Core, Refusal};
use outgate_firebase::database::{Listen, Write};
use outgate_firebase::wire::Status;
use outgate_firebase::{Bounds, Database, Form, Node, Path, Query};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use self::batch::Keeper;
use super::outbox::Outbox;
use crate::api::{Bodies, Held};
use crate::config;

/// The most orders that wait.
const MAX_ORDERS: usize = 1_024;

/// The most orders that wait for one commit.
const MAX_BATCH: usize = 256;

/// The way to a database.
#[derive(Clone, Debug)]
pub(super) struct Namespace(mpsc::Sender<Order>);

/// Something that somebody wants done.
#[derive(Debug)]
pub(super) struct Order {
    /// By which right: asked again before it is acted on, and once more on the writer's thread. Only
    /// to be told no more takes none.
    pub(super) pass: Option<Pass>,
    pub(super) what: What,
    pub(super) reply: Reply,
    /// Of the bytes that the request takes.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// What is wanted.
#[derive(Debug)]
pub(super) enum What {
    /// To be told what stands somewhere, now unless its hash is known, and later.
    Listen {
        outbox: Arc<Outbox>,
        path: Path,
        listen: Listen,
        known: Option<String>,
    },
    /// To be told no more.
    Forget {
        by: u64,
        listens: Vec<(Path, Option<u64>)>,
        /// Whether nothing at all is listened to any more.
        gone: bool,
    },
    /// What stands somewhere.
    Get {
        path: Path,
        query: Query,
        form: Form,
        /// With the names of the children instead of their values.
        shallow: bool,
        /// With its hash.
        hashed: bool,
    },
    /// To write.
    Write { write: Write, returns: bool },
}

/// Who gets the answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// Nobody.
    Nobody,
    /// A connection, under the number of its request.
    Message(Arc<Outbox>, u64),
    /// Whoever waits for it.
    Once(oneshot::Sender<Answer>),
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// What stands there in JSON, and its hash if that was asked for.
    Value(Text, Option<String>),
    /// What has been written where, in JSON.
    Written(Vec<(Path, String)>),
    /// Something else stands there: this in JSON, with this hash.
    Stale(Text, String),
    /// It was not done, and why.
    Refused(Status, String),
    /// It was not done, and why.
    Refusal(Refusal),
}

/// A text, with the room that it has in memory if it may be large.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) held: Option<Held>,
}

impl From<String> for Text {
    /// One that is no larger than what was asked.
    fn from(text: String) -> Self {
        Self { text, held: None }
    }
}

impl Namespace {
    /// Finds again what was kept, and begins to do what is asked.
    pub(super) async fn open(
        core: &Core,
        name: &str,
        settings: &config::Firebase,
        answers: &Bodies,
    ) -> Result<Self, Refusal> {
        let tree = format!("firebase/{name}");
        let rows = core.trees.load(tree.clone()).await?;
        let (root, refused) = Node::of_rows(rows);
        if refused > 0 {
            tracing::warn!(namespace = name, refused, "some values are of no use");
        }
        let bounds = Bounds {
            bytes: settings.bytes,
            listens: settings.listens,
        };
        let keeper = Keeper::new(core, tree, Database::new(root, bounds), answers);
        let (orders, taken) = mpsc::channel(MAX_ORDERS);
        tokio::spawn(keep(keeper, taken));
        Ok(Self(orders))
    }

    /// Has something done; waits while too much else is to be done.
    pub(super) async fn order(&self, order: Order) {
        // The task ends only when nobody can ask any more.
        let _ = self.0.send(order).await;
    }

    /// Has it forgotten what somebody listens to.
    pub(super) async fn forget(&self, what: What) {
        let order = Order {
            pass: None,
            what,
            reply: Reply::Nobody,
            _room: None,
        };
        self.order(order).await;
    }

    /// Has something done and waits for what comes of it.
    pub(super) async fn ask(
        &self,
        pass: Pass,
        what: What,
        room: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        let (tell, told) = oneshot::channel();
        let reply = Reply::Once(tell);
        let order = Order {
            pass: Some(pass),
            what,
            reply,
            _room: room,
        };
        self.order(order).await;
        told.await.unwrap_or(Answer::Refusal(Refusal::Draining))
    }
}

/// Does what is asked until nobody can ask any more.
async fn keep(mut keeper: Keeper, mut orders: mpsc::Receiver<Order>) {
    let mut batch = Vec::new();
    while orders.recv_many(&mut batch, MAX_BATCH).await > 0 {
        keeper.carry_out(std::mem::take(&mut batch)).await;
    }
}
