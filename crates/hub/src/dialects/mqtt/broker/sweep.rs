//! What time brings: wills that are due, sessions and retained messages that are over.

use std::sync::Arc;

use futures_util::StreamExt as _;
use outgate_core::clock::Timestamp;

use super::Broker;
use super::client::{Client, Standing};

/// The most wills that are being published at a time, when many are due.
const WILLS_AT_A_TIME: usize = 64;

impl Broker {
    /// Does what is due.
    pub(in super::super) async fn sweep(&self) {
        let now = self.core.clock.now();
        let due = self
            .due_wills(now)
            .into_iter()
            .chain(self.put_off_until(now));
        futures_util::stream::iter(due)
            .for_each_concurrent(WILLS_AT_A_TIME, |will| self.publish_will(will))
            .await;
        for client in self.over(now) {
            // A connection may be about to take the seat; it finds out itself that it is over. If
            // nothing comes of that connection, the client's time is still to end.
            let Some(_seat) = client.try_sit() else {
                self.await_end(&client);
                continue;
            };
            if matches!(client.standing(), Standing::Away(Some(ends)) if ends <= now) {
                self.forget(&client).await;
            }
        }
        let expired = self.retained.expire(now);
        if !expired.is_empty()
            && let Err(refusal) = self.core.messages.drop_expired(expired, now).await
        {
            // They have expired all the same and are taken for it when they are read.
            tracing::warn!(error = %refusal, "expired retained messages were not removed");
        }
    }

    /// Clients whose time is over.
    fn over(&self, now: Timestamp) -> Vec<Arc<Client>> {
        let mut clients = self.clients.lock();
        let mut over = Vec::new();
        while let Some((ends, _)) = clients.away.first() {
            if *ends > now {
                break;
            }
            if let Some((_, key)) = clients.away.pop_first() {
                over.extend(clients.by_key.get(&key).cloned());
            }
        }
        over
    }
}
