//! Cutting connections, or streams of them, from outside, for answers that go on while nobody takes them.
//!
//! A body is asked for its next part only when there is room to send it. So what a client does not
//! read holds its answer, and whatever that holds, until somebody else looks after it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::FromRequestParts;
use futures_util::Stream;
use http::request::Parts;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a client may take nothing of an answer that goes on, at least; at most twice as long.
/// Such an answer has something to say every 15 seconds.
const STILL: Duration = Duration::from_secs(60);

/// How long the last words of an answer may take to be sent. When access is revoked somebody waits
/// for this, and not for longer than [`outgate_core::identity::CLOSING_PATIENCE`].
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Cuts what a request came over: its stream (HTTP/2) or its connection (HTTP/1.1). One that came
/// over none, as in tests, goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut(CancellationToken);

impl Cut {
    /// Cuts it.
    pub(super) fn cut(&self) {
        self.0.cancel();
    }

    /// Waits until it is to be cut.
    pub(super) async fn wanted(&self) {
        self.0.cancelled().await;
    }
}

impl<S: Sync> FromRequestParts<S> for Cut {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// The parts of an answer that goes on, which ends by itself soon after `over`.
struct Watched<S> {
    parts: Pin<Box<S>>,
    asked: Arc<AtomicBool>,
    _gone: DropGuard,
}

/// Sees to it that an answer made of `parts` is done with: cuts what it goes over when it is not
/// taken for long, and when it is not soon done with after `over`.
pub(crate) fn watched<S: Stream>(
    parts: S,
    cut: Cut,
    over: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = S::Item> {
    let (gone, asked) = (CancellationToken::new(), Arc::new(AtomicBool::new(true)));
    tokio::spawn(watch(gone.clone(), Arc::clone(&asked), cut, over));
    Watched {
        parts: Box::pin(parts),
        asked,
        _gone: gone.drop_guard(),
    }
}

async fn watch(
    gone: CancellationToken,
    asked: Arc<AtomicBool>,
    cut: Cut,
    over: impl Future<Output = ()>,
) {
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = gone.cancelled() => return,
            () = over.as_mut() => break,
            () = tokio::time::sleep(STILL) => {
                if !asked.swap(false, Ordering::SeqCst) {
                    tracing::debug!("an answer was not taken");
                    return cut.cut();
                }
            }
        }
    }
    if tokio::time::timeout(LAST_WORDS, gone.cancelled())
        .await
        .is_err()
    {
        cut.cut();
    }
}

impl<S: Stream> Stream for Watched<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.asked.store(true, Ordering::SeqCst);
        self.parts.as_mut().poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::{FutureExt as _, StreamExt as _, stream};

    use super::*;

    /// Whether `cut` comes within `patience`.
    async fn comes(cut: &Cut, patience: Duration) -> bool {
        tokio::time::timeout(patience, cut.wanted()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_for_long_is_cut() {
        let cut = Cut::default();
        let _parts = watched(stream::iter([1, 2]), cut.clone(), pending());
        assert!(!comes(&cut, STILL).await);
        assert!(comes(&cut, 2 * STILL).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_goes_on_though_it_has_nothing_to_say() {
        let cut = Cut::default();
        let mut parts = watched(stream::pending::<u8>(), cut.clone(), pending());
        for _ in 0..20 {
            assert!(parts.next().now_or_never().is_none());
            assert!(!comes(&cut, STILL / 2).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_cut_unless_it_ends_by_itself() {
        for ends in [true, false] {
            let cut = Cut::default();
            let parts = watched(stream::iter([1]), cut.clone(), async {});
            if ends {
                drop(parts);
                assert!(!comes(&cut, 2 * LAST_WORDS).await);
            } else {
                assert!(comes(&cut, 2 * LAST_WORDS).await);
                drop(parts);
            }
        }
    }
}
