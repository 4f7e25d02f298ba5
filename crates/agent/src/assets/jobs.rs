//! Who is at what: one task for each file, which goes on when whoever asked for it has gone.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{AssetError, Digest};

/// The most files that are looked for at a time; who asks for another comes again later.
const JOBS_MAX: usize = 64;

/// What comes of it.
type Outcome = Result<(), AssetError>;

/// What is under way, and what has come of it once it is over.
type UnderWay = Arc<Mutex<BTreeMap<Digest, watch::Receiver<Option<Outcome>>>>>;

/// Work on files, at most one a file.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    under_way: UnderWay,
    stop: watch::Sender<bool>,
}

/// Takes a file from those under way, however its work ends.
struct Over(UnderWay, Digest);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl Jobs {
    /// What comes of the work on a file: of that which is under way, or else of `work`.
    pub(super) async fn done<F>(&self, digest: Digest, work: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (told, begun) = watch::channel(None);
        let found = {
            let mut under_way = self.under_way.lock();
            let found = under_way.get(&digest).cloned();
            if found.is_none() {
                if under_way.len() >= JOBS_MAX {
                    return Err(AssetError::Busy);
                }
                under_way.insert(digest, begun.clone());
            }
            found
        };
        let mut outcome = found.unwrap_or_else(|| {
            let over = Over(Arc::clone(&self.under_way), digest);
            let (work, mut stop) = (work(), self.stop.subscribe());
            tokio::spawn(async move {
                let _over = over;
                tokio::select! {
                    outcome = work => {
                        told.send_replace(Some(outcome));
                    }
                    // Whoever could stop it may be gone, which is the same.
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
            begun
        });
        let outcome = outcome.wait_for(Option::is_some).await;
        let outcome = outcome.ok().and_then(|outcome| outcome.clone());
        // It was stopped.
        outcome.unwrap_or(Err(AssetError::Unreached(None)))
    }

    /// Stops all of it, for good.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    const ONE: Digest = Digest([1; 32]);

    #[tokio::test]
    async fn work_goes_on_when_who_asked_has_gone_and_is_the_same_for_who_comes_next() {
        let jobs = Jobs::default();
        let (go, gone) = oneshot::channel::<()>();
        let slow = async move {
            gone.await.unwrap();
            Err(AssetError::Other)
        };
        let first = jobs.done(ONE, || slow);
        tokio::select! {
            biased;
            _ = first => panic!("nobody lets it go"),
            () = tokio::task::yield_now() => {}
        }
        let again = jobs.done(ONE, || async { panic!("it is done twice") });
        go.send(()).unwrap();
        let outcome = again.await;
        assert!(matches!(outcome, Err(AssetError::Other)), "{outcome:?}");
        // It is over, so the next begins anew.
        while !jobs.under_way.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        jobs.done(ONE, || async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn there_are_no_more_than_may_be_and_all_are_stopped() {
        let jobs = Jobs::default();
        let many = (0_u8..)
            .take(JOBS_MAX)
            .map(|number| jobs.done(Digest([number; 32]), std::future::pending));
        let all = futures_util::future::join_all(many);
        let others = async {
            tokio::task::yield_now().await;
            let one_more = jobs.done(Digest([255; 32]), || async { Ok(()) }).await;
            assert!(matches!(one_more, Err(AssetError::Busy)), "{one_more:?}");
            jobs.stop();
        };
        let (outcomes, ()) = tokio::join!(all, others);
        for outcome in outcomes {
            assert!(matches!(outcome, Err(AssetError::Unreached(None))));
        }
        let late = jobs.done(ONE, std::future::pending).await;
        assert!(matches!(late, Err(AssetError::Unreached(None))), "{late:?}");
    }
}
