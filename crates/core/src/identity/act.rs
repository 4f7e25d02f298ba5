//! What operators do: permitted, done, written down and made known as one.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Actor, Identity, Role, neighbours};
use crate::audit;
use crate::clock::Timestamp;
use crate::refusal::Refusal;
use crate::sessions::{Ended, Ending, Selector};

/// How long a revocation waits for connections to close. They can do nothing any more from its
/// start; those of a peer that does not take what is sent to it may take this long.
pub const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

/// An act, as it is permitted and written down.
pub(super) struct Act {
    /// Who acts.
    pub(super) actor: Actor,
    /// What they must be at least.
    pub(super) needs: Role,
    /// `device.revoke` and so on.
    pub(super) name: &'static str,
    /// On what: `device/NAME`, …
    pub(super) on: String,
}

/// What an act came to.
pub(super) struct Done<T> {
    value: T,
    detail: Value,
    ends: Vec<(Selector, Ending)>,
}

impl<T> Done<T> {
    /// It came to `value`.
    pub(super) fn new(value: T) -> Self {
        Self {
            value,
            detail: json!({}),
            ends: Vec::new(),
        }
    }

    /// With more for the audit log: an object, nothing secret in it.
    pub(super) fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    /// And these sessions end with it.
    pub(super) fn ends(mut self, selector: Selector, why: Ending) -> Self {
        self.ends.push((selector, why));
        self
    }
}

impl Act {
    pub(super) fn new(actor: &Actor, needs: Role, name: &'static str, on: String) -> Self {
        Self {
            actor: actor.clone(),
            needs,
            name,
            on,
        }
    }
}

impl Identity {
    /// Does `work` on the writer's thread if the actor may, with its entry in the audit log; then
    /// forgets what was remembered of credentials and ends the sessions that end with it.
    ///
    /// It runs on a task of its own: an operator who hangs up in the middle leaves no revocation
    /// half done.
    pub(super) async fn act<T, F>(&self, act: Act, work: F) -> Result<(T, Ended), Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Actor, Timestamp) -> Result<Done<T>, Refusal> + Send + 'static,
    {
        let identity = self.clone();
        tokio::spawn(async move { identity.perform(act, work).await })
            .await
            .map_err(|_| Refusal::Internal("an act stopped"))?
    }

    async fn perform<T, F>(&self, act: Act, work: F) -> Result<(T, Ended), Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Actor, Timestamp) -> Result<Done<T>, Refusal> + Send + 'static,
    {
        let now = self.clock.now();
        let Act {
            actor,
            needs,
            name,
            on,
        } = act;
        let (who, place) = (actor.clone(), on.clone());
        let done = match actor.require(needs, name) {
            Err(refusal) => Err(refusal),
            Ok(()) => {
                let (vault, sessions) = (Arc::clone(&self.vault), self.sessions.clone());
                self.store
                    .write(move |connection| {
                        // Who has been revoked while this waited learns nothing either.
                        who.check()?;
                        let done = work(connection, &who, now)?;
                        audit::append(connection, now, &who, name, &place, &done.detail)?;
                        let told = neighbours::renew_stale(connection, (&vault, &sessions), now)?;
                        Ok((done, told))
                    })
                    .await
            }
        };
        let done = match done {
            Ok((done, told)) => {
                drop(told);
                done
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::Forbidden { .. }) {
                    self.note_refused(&actor, name, &on, now).await;
                }
                return Err(refusal);
            }
        };
        self.cache.forget();
        let ended = self.end(&done.ends).await;
        Ok((done.value, ended))
    }

    /// Ends sessions after what ends them has been committed, and waits until nothing that they
    /// sent can still come into the store.
    pub(crate) async fn end(&self, ends: &[(Selector, Ending)]) -> Ended {
        let ended = self.sessions.end_each(ends, CLOSING_PATIENCE).await;
        if ends.is_empty() {
            return ended;
        }
        // A write that looked at its pass just before the session was ended may be waiting for
        // its commit. Writes are committed in order, so when this one is through, it is too. If
        // the store has stopped, nothing is written any more either.
        let (model, logs) = tokio::join!(self.store.barrier(), self.logs.barrier());
        for refusal in [model, logs].into_iter().filter_map(Result::err) {
            tracing::warn!(error = %refusal, "the store did not answer after a revocation");
        }
        ended
    }

    /// Writes down that an operator tried what they may not, but no more often than
    /// [`super::REFUSALS`] allows.
    async fn note_refused(&self, actor: &Actor, name: &'static str, on: &str, now: Timestamp) {
        let Some(operator) = &actor.operator else {
            return;
        };
        if self.refusals.take(operator).is_err() {
            return;
        }
        let (who, on) = (actor.name(), on.to_owned());
        let from = actor.from.map(|address| address.to_string());
        let noted = self
            .store
            .write(move |connection| {
                let (act, detail) = ("refused", json!({ "act": name }));
                audit::append_as(connection, now, &who, from.as_deref(), act, &on, &detail)
            })
            .await;
        if let Err(refusal) = noted {
            tracing::warn!(error = %refusal, "a refused act could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Poll;

    use super::*;
    use crate::identity::{Claim, Given, Scope};
    use crate::store::Store;
    use crate::{Core, Settings};

    #[tokio::test]
    async fn a_revocation_waits_for_the_commit_of_what_looked_at_its_pass_before() {
        revoke_while_something_is_written(|core| &core.store).await;
    }

    #[tokio::test]
    async fn a_revocation_waits_for_the_commit_of_logs_too() {
        revoke_while_something_is_written(|core| core.logs.store()).await;
    }

    async fn revoke_while_something_is_written(written_to: fn(&Core) -> &Store) {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(&Settings::new(folder.path())).unwrap();
        let hub = Actor::hub();
        let made = core
            .identity
            .create_service(&hub, "erp".parse().unwrap(), Scope::All)
            .await;
        let Given::Token(token) = made.unwrap().1.given else {
            panic!("a token was expected");
        };
        let claim = Claim::Token {
            token: &token,
            device: None,
        };
        let who = core.identity.authenticate(claim).await.unwrap();
        let peer = ([127, 0, 0, 1], 1).into();
        let session = core.open_session(&who, "test", peer).await.unwrap();
        let pass = session.pass();
        let (looked, has_looked) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let write = tokio::spawn({
            let store = written_to(&core).clone();
            async move {
                let work = move |_: &Connection| {
                    pass.check()?;
                    looked.send(()).unwrap();
                    may_go_on.recv().unwrap();
                    Ok(())
                };
                store.write(work).await
            }
        });
        tokio::task::yield_now().await;
        has_looked.recv().unwrap();
        let ends = [(Selector::Credential(who.credential), Ending::Revoked)];
        let mut end = std::pin::pin!(core.identity.end(&ends));
        let mut asked = async || {
            std::future::poll_fn(|context| Poll::Ready(end.as_mut().poll(context).is_ready())).await
        };
        assert!(!asked().await, "the connection is open");
        drop(session);
        assert!(!asked().await, "the write is under way");
        go_on.send(()).unwrap();
        write.await.unwrap().unwrap();
        assert_eq!(end.await.ended, 1);
    }
}
