//! How waiting is done, so that a test need not wait.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// How waiting is done.
#[derive(Clone, Debug, Default)]
pub enum Timer {
    /// By the machine's clock.
    #[default]
    System,
    /// As long as somebody wants who is told of each wait: for tests.
    Held(mpsc::UnboundedSender<Wait>),
}

/// A wait that is under way.
#[derive(Debug)]
pub struct Wait {
    /// How long it was to be.
    pub length: Duration,
    /// Ends it, when something is sent or this is dropped.
    pub over: oneshot::Sender<()>,
}

impl Timer {
    /// Waits.
    pub(crate) async fn wait(&self, length: Duration) {
        match self {
            Self::System => tokio::time::sleep(length).await,
            Self::Held(waits) => {
                let (over, ended) = oneshot::channel();
                // Nobody there, and nothing sent: both end the wait.
                if waits.send(Wait { length, over }).is_ok() {
                    let _ = ended.await;
                }
            }
        }
    }
}
