//! A connection takes a client's seat, and leaves it.

use std::sync::Arc;
use std::time::Duration;

use outgate_core::clock::Timestamp;
use outgate_core::messages::{MailboxId, Will};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::{Ending, Selector, Session};

use super::client::{Client, NoSeat, Seat, Standing};
use super::{Broker, consumer_of};

/// How long it is waited for a connection to close that another takes the place of, before its
/// seat is waited for in turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a session's expiry says when it never ends (MQTT 5.0, section 3.1.2.11.2).
const FOR_EVER: u32 = u32::MAX;

/// A connection in its client's seat.
#[derive(Debug)]
pub(in super::super) struct Attached {
    /// The client.
    pub(in super::super) client: Arc<Client>,
    /// Whether there was a session that goes on.
    pub(in super::super) present: bool,
    _seat: Seat,
}

/// Who wants to be connected.
#[derive(Debug)]
pub(in super::super) struct Arriving<'a> {
    /// Its session of the core.
    pub(in super::super) session: &'a Session,
    /// Who it belongs to and what it calls itself.
    pub(in super::super) key: Arc<str>,
    /// Who it belongs to.
    pub(in super::super) owner: Arc<str>,
    /// Whether an earlier session ends first.
    pub(in super::super) clean_start: bool,
    /// For how many seconds the session outlives its connection.
    pub(in super::super) lasts: u32,
    /// What is to be published when it is gone.
    pub(in super::super) will: Option<Will>,
}

impl Broker {
    /// Takes the client's seat; who sits there goes.
    ///
    /// # Errors
    /// [`Refusal::TooMany`] when the owner has too many clients; [`Refusal::Draining`] when yet
    /// another connection has asked for the seat; what the store refuses with.
    pub(in super::super) async fn attach(
        &self,
        arriving: Arriving<'_>,
    ) -> Result<Attached, Refusal> {
        loop {
            let client = self.client(&arriving)?;
            let claim = client.claim();
            if let Standing::Connected(session) = client.standing() {
                let who = Selector::Session(session);
                self.core
                    .sessions
                    .end(&who, Ending::Replaced, PATIENCE)
                    .await;
            }
            let seat = client.sit(claim).await.map_err(|why| match why {
                NoSeat::Overtaken => Refusal::Draining,
                NoSeat::Occupied => Refusal::Internal("a connection does not make room"),
            })?;
            if client.standing() != Standing::Gone {
                return self.settle(client, seat, arriving).await;
            }
        }
    }

    /// Leaves the seat. `lasts` says for how many seconds the session is kept from now; `will` is
    /// what the connection leaves behind.
    pub(in super::super) async fn detach(
        &self,
        attached: Attached,
        lasts: u32,
        will: Option<Will>,
    ) {
        let client = &attached.client;
        client.mailbox.set_connected(false);
        let now = self.core.clock.now();
        if lasts == 0 {
            // Its will first, as long as nobody else can be this client; not to itself.
            self.unroute(client);
            self.settle_will(client, will, lasts, now).await;
            self.forget(client).await;
        } else {
            let ends = (lasts != FOR_EVER).then(|| now.after(Duration::from_secs(lasts.into())));
            self.stand_away(client, ends);
            if let Some(mailbox) = client.mailbox.kept()
                && let Err(refusal) = self.core.messages.close(mailbox, lasts, ends).await
            {
                // It is found as still connected at the next start, and its time begins then.
                tracing::warn!(error = %refusal, "the end of a session was not kept");
            }
            self.settle_will(client, will, lasts, now).await;
        }
    }

    /// The client that an arriving connection belongs to; made if there is none.
    fn client(&self, arriving: &Arriving<'_>) -> Result<Arc<Client>, Refusal> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.by_key.get(&arriving.key)
            && client.standing() != Standing::Gone
        {
            return Ok(Arc::clone(client));
        }
        let limit = self.rules.load().settings.max_sessions;
        if clients.by_owner.get(&arriving.owner).copied().unwrap_or(0) >= limit {
            return Err(Refusal::TooMany {
                what: "MQTT sessions",
                limit: u64::try_from(limit).unwrap_or(u64::MAX),
            });
        }
        let client = self.new_client(Arc::clone(&arriving.key), Arc::clone(&arriving.owner));
        clients.add(Arc::clone(&client));
        Ok(client)
    }

    /// Makes the client in its seat what the arriving connection wants it to be.
    async fn settle(
        &self,
        client: Arc<Client>,
        seat: Seat,
        arriving: Arriving<'_>,
    ) -> Result<Attached, Refusal> {
        let standing = client.standing();
        let attached = self.open(&client, &standing, &arriving).await;
        let present = match attached {
            Ok(present) => present,
            Err(refusal) => {
                if standing == Standing::New {
                    self.forget(&client).await;
                } else {
                    self.await_end(&client);
                }
                return Err(refusal);
            }
        };
        if let Standing::Away(Some(ends)) = standing {
            self.clients
                .lock()
                .away
                .remove(&(ends, Arc::clone(&client.key)));
        }
        client.stand(Standing::Connected(arriving.session.presence().id.clone()));
        client.mailbox.set_connected(true);
        Ok(Attached {
            client,
            present,
            _seat: seat,
        })
    }

    /// Opens or makes the session. Returns whether there was one that goes on.
    async fn open(
        &self,
        client: &Arc<Client>,
        standing: &Standing,
        arriving: &Arriving<'_>,
    ) -> Result<bool, Refusal> {
        let over = match standing {
            Standing::Away(Some(ends)) => *ends <= self.core.clock.now(),
            Standing::New | Standing::Gone => true,
            Standing::Away(None) | Standing::Connected(_) => false,
        };
        let fresh = over || arriving.clean_start;
        // The store first: when it refuses, all is as it was.
        let mailbox = self.open_mailbox(client, fresh, arriving).await?;
        if fresh {
            // It ends with its session, and is said before another takes its place.
            self.settle_old_will(client, true).await;
        }
        if let Some(will) = &arriving.will {
            let pass = arriving.session.pass();
            self.core
                .messages
                .keep_will(Some(pass), will.clone())
                .await?;
        }
        if fresh {
            self.unroute(client);
            self.forget_consumer(client).await;
        } else {
            self.settle_old_will(client, false).await;
        }
        match mailbox {
            Some(id) if client.mailbox.kept() != Some(id) => client.mailbox.keep_in(id, 0, 0, 0),
            Some(_) => {}
            None => client.mailbox.keep_no_more(),
        }
        Ok(!fresh)
    }

    /// Opens or makes the mailbox of a session that is to outlive its connection, and removes one
    /// that nothing needs any more.
    async fn open_mailbox(
        &self,
        client: &Client,
        fresh: bool,
        arriving: &Arriving<'_>,
    ) -> Result<Option<MailboxId>, Refusal> {
        let kept = client.mailbox.kept();
        if arriving.lasts > 0 || (kept.is_some() && !fresh) {
            let (pass, key) = (arriving.session.pass(), client.key.as_ref().to_owned());
            let opened = self.core.messages.open(pass, key, arriving.lasts, fresh);
            return opened.await.map(Some);
        }
        if let Some(mailbox) = kept {
            self.core.messages.remove(vec![mailbox]).await?;
        }
        Ok(None)
    }

    /// Ends a client that is not connected.
    pub(super) async fn forget(&self, client: &Arc<Client>) {
        client.stand(Standing::Gone);
        self.unroute(client);
        self.clients.lock().remove(client);
        if client.mailbox.kept().is_some() {
            self.forget_consumer(client).await;
        }
        if let Some(mailbox) = client.mailbox.kept()
            && let Err(refusal) = self.core.messages.remove(vec![mailbox]).await
        {
            // It is found again at the next start, and its time begins then.
            tracing::warn!(error = %refusal, "a session that is over was not removed");
        }
    }

    /// Notes that a client is not connected any more.
    pub(super) fn stand_away(&self, client: &Client, ends: Option<Timestamp>) {
        client.stand(Standing::Away(ends));
        self.await_end(client);
    }

    /// Lets the end of a client that is not connected come.
    pub(super) fn await_end(&self, client: &Client) {
        if let Standing::Away(Some(ends)) = client.standing() {
            let mut clients = self.clients.lock();
            clients.away.insert((ends, Arc::clone(&client.key)));
        }
    }

    /// Forgets the place that a service's client has among the events.
    async fn forget_consumer(&self, client: &Client) {
        let Some(consumer) = consumer_of(&client.key) else {
            return;
        };
        match self.core.consumers.remove(None, &consumer).await {
            Ok(()) | Err(Refusal::NotFound { .. }) => {}
            Err(refusal) => tracing::warn!(error = %refusal, "a service's place was not removed"),
        }
    }

    fn unroute(&self, client: &Client) {
        let filters = client.forget_all();
        if filters.is_empty() {
            return;
        }
        let mut subscribers = self.subscribers.write();
        for filter in filters {
            subscribers.remove(client.number, &filter);
        }
    }
}
