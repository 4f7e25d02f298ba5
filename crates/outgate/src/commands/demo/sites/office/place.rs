//! Where a terminal stands: threads that are born there, so that what they open begins there.

use anyhow::anyhow;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::commands::demo::sites::ground::Ground;

/// The place of one host.
pub(super) struct Place(Option<Runtime>);

impl Place {
    /// That of a host.
    pub(super) fn of(ground: &Ground, site: &str, host: &str) -> anyhow::Result<Self> {
        let settle = || -> anyhow::Result<Runtime> {
            ground.join_host(site, host)?;
            let mut builder = Builder::new_multi_thread();
            Ok(builder.worker_threads(1).enable_all().build()?)
        };
        let settled = std::thread::scope(|scope| scope.spawn(settle).join());
        let runtime = settled.map_err(|_| anyhow!("a thread panicked"))??;
        Ok(Self(Some(runtime)))
    }

    /// Does something there.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        doing: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<JoinHandle<T>> {
        let runtime = self.0.as_ref().ok_or_else(|| anyhow!("it has ended"))?;
        Ok(runtime.spawn(doing))
    }

    /// Does something there, and waits for it.
    pub(super) async fn there<T: Send + 'static>(
        &self,
        doing: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<T> {
        Ok(self.begin(doing)?.await?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Whoever drops it is on a runtime of their own, and may not wait.
            runtime.shutdown_background();
        }
    }
}
