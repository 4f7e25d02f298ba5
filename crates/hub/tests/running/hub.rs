//! A whole hub that runs for one test.

use std::path::Path;
use std::sync::Arc;

use outgate_hub::Hub;
use outgate_hub::config::{Config, Overrides};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A hub that listens and serves until this is dropped.
pub(crate) struct Running {
    pub(crate) hub: Arc<Hub>,
    serving: JoinHandle<()>,
    /// Where its data lies.
    pub(crate) folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Running {
    /// One that is configured by `text` and keeps its data in `folder`.
    pub(crate) async fn on(folder: TempDir, text: &str) -> Self {
        let config = config(folder.path(), text);
        let hub = Arc::new(Hub::start(config).await.unwrap());
        let serving = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.serve().await }
        });
        Self {
            hub,
            serving,
            folder,
        }
    }
}

/// What `text` configures, with the data in `folder`.
pub(crate) fn config(folder: &Path, text: &str) -> Config {
    let overrides = Overrides {
        data: Some(folder.to_owned()),
        ..Overrides::default()
    };
    Config::new(text, overrides).unwrap()
}
