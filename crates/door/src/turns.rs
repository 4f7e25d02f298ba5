//! Handshakes take turns, so that a storm of them does not starve what is already connected.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Semaphore;

/// How many handshakes a core may compute on in one round of the scheduler. A handshake costs
/// some 0.2 ms, so this is how long a round is drawn out at most for everybody else.
const TURNS_PER_CORE: usize = 2;

/// Lets so many handshakes compute at a time. The rest wait in order; those that wait for their
/// peers hold no turn.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn for_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores * TURNS_PER_CORE)))
    }

    /// Drives `handshake`, each step of it in a turn of its own.
    pub(crate) async fn take<F: Future>(&self, handshake: F) -> F::Output {
        let mut handshake = pin!(handshake);
        loop {
            // The semaphore is never closed; were it, the handshake would go on without turns.
            let turn = self.0.acquire().await.ok();
            // To the end of the scheduler's queue with the turn in hand: only so does the number
            // of turns bound how many handshakes stand in that queue.
            tokio::task::yield_now().await;
            let step =
                std::future::poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context)));
            if let Poll::Ready(output) = step.await {
                return output;
            }
            drop(turn);
            woken().await;
        }
    }
}

/// Waits until what was polled before wakes the task.
async fn woken() {
    let mut asked = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut asked, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_waits_for_its_peer_holds_no_turn() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let (say, heard) = tokio::sync::oneshot::channel::<u8>();
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(heard).await }
        });
        assert_eq!(turns.take(std::future::ready(1)).await, 1);
        say.send(2).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(2));
    }
}
