//! Remote support: a stream between an operator and a named service or a shell of one device, over a
//! connection that the device opens.
//!
//! An operator asks, with a reason and an end; the device allows it or does not, and comes with a key
//! that counts once; what goes either way is recorded before it is passed on. Nothing recorded means
//! nothing opened. It ends by either side, by its time, and with the right of either to act, at once:
//! what is on its way then is not passed on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;

use crate::audit;
use crate::calls::{Call, Calls};
use crate::clock::Clock;
use crate::id::{CallId, DeviceId, OperatorId, SessionId, SupportId};
use crate::identity::{Actor, Listed, Page, Role, device_seen_by};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Pass, Session};
use crate::store::Store;

mod ending;
mod live;
mod record;
mod recording;
mod stream;
mod table;

use ending::{audit_end, watch, watch_device};
use live::Live;
use recording::Recordings;

pub use live::{Chunk, Flow, Taken};
pub use record::{Joined, LASTS, MAX_REASON, NewSupport, Recorded, State, SupportSession, What};
pub use recording::{KEPT, MAX_RECORDING};
pub use stream::{MAX_CHUNK, MAX_WAITING};
pub(crate) use table::SCHEMA;

/// The most sessions at a time in all: each may hold two buffers of [`MAX_WAITING`].
pub const MAX_LIVE: usize = 256;

/// The most sessions of a device at a time.
pub const MAX_LIVE_OF_DEVICE: usize = 4;

/// The longest that somebody waits for what comes next.
pub const WAIT: Duration = Duration::from_secs(20);

/// How long a device may take to say whether it may be asked at all.
const ANSWER: Duration = Duration::from_secs(20);

/// When to ask again if there are too many.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// All support sessions.
#[derive(Clone, Debug)]
pub struct Support(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    calls: Calls,
    recordings: Recordings,
    live: Mutex<HashMap<SupportId, Arc<Live>>>,
}

impl Support {
    /// The sessions whose recordings lie in the hub's folder `data`, of whose disk `reserve` bytes
    /// are left free.
    pub(crate) fn open(
        data: &Path,
        reserve: u64,
        (store, clock, calls): (Store, Clock, Calls),
    ) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            calls,
            recordings: Recordings::open(data, reserve)?,
            live: Mutex::default(),
        })))
    }

    /// Asks a device for a session, which ends with the right to act of `pass`, the operator's own
    /// beyond this request. That it was asked is in the audit log before it is.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers and back ends; [`Refusal::NotFound`],
    /// [`Refusal::Invalid`]; [`Refusal::Limited`] beyond [`MAX_LIVE`] and [`MAX_LIVE_OF_DEVICE`]; as
    /// [`Calls::call`] when the device cannot be asked; as the store.
    pub async fn ask(
        &self,
        actor: &Actor,
        pass: Pass,
        device: &DeviceId,
        new: NewSupport,
    ) -> Result<SupportSession, Refusal> {
        new.check()?;
        let nobody = || Refusal::forbidden("support by who is no operator");
        let operator = actor.operator.as_ref().ok_or_else(nobody)?;
        let now = self.0.clock.now();
        let (id, key) = (SupportId::made_up()?, Secret::random(32)?);
        let session = SupportSession::asked(id, device, operator, new, now);
        let call = self.call(&session, &key)?;
        let live = Arc::new(Live::new(&session, key));
        self.enter(&live)?;
        let mut entered = Entered(Some((self, &live)));
        let (kept, who) = (session.clone(), actor.clone());
        self.0
            .store
            .write(move |connection| {
                let detail = kept.told();
                let act = (now, "support.ask");
                crate::acting::act(connection, &who, &kept.device, act, &detail)?;
                table::insert(connection, &kept)
            })
            .await?;
        entered.0 = None;
        drop(entered);
        let watched = Arc::clone(&live);
        tokio::spawn(watch(Arc::downgrade(&self.0), watched, pass));
        self.tell(&live, call).await?;
        self.get(actor, &session.id).await
    }

    /// Sessions that `actor` sees, newest first; of one device if it is given.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for the device; [`Refusal::Invalid`] when `page` is no good; as the
    /// store.
    pub async fn list(
        &self,
        actor: &Actor,
        device: Option<DeviceId>,
        page: &Page,
    ) -> Result<Listed<SupportSession>, Refusal> {
        let (actor, page, fetch) = (actor.clone(), page.clone(), page.fetch()?);
        self.0
            .store
            .read(move |connection| {
                if let Some(device) = &device {
                    device_seen_by(connection, &actor, device)?;
                }
                let found = table::list(connection, &actor.scope, device.as_ref(), &page, fetch)?;
                Ok(Listed::of(found, &page, table::place))
            })
            .await
    }

    /// One session.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn get(&self, actor: &Actor, id: &SupportId) -> Result<SupportSession, Refusal> {
        let (actor, id) = (actor.clone(), id.clone());
        self.0
            .store
            .read(move |connection| table::seen_by(connection, &actor, &id))
            .await
    }

    /// One session, once it is no longer in that state; or after [`WAIT`] as it is.
    ///
    /// # Errors
    /// As [`Support::get`].
    pub async fn changed(
        &self,
        actor: &Actor,
        id: &SupportId,
        from: State,
    ) -> Result<SupportSession, Refusal> {
        let found = self.get(actor, id).await?;
        let live = self.0.live.lock().get(id).cloned();
        let Some(live) = live.filter(|_| found.state == from) else {
            return Ok(found);
        };
        // As it is then, in either case.
        let _ = tokio::time::timeout(WAIT, live.other_than(from)).await;
        self.get(actor, id).await
    }

    /// Ends a session: any operator may who sees its device.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; [`Refusal::Conflict`] when it is over; as the
    /// store.
    pub async fn end(
        &self,
        actor: &Actor,
        id: &SupportId,
        why: &str,
    ) -> Result<SupportSession, Refusal> {
        actor.check()?;
        actor.require(Role::Operator, "support.end")?;
        record::check_text("why", why)?;
        self.get(actor, id).await?;
        actor.check()?;
        let live = self.alive(id)?;
        self.finish(&live, State::Ended, &actor.name(), why).await;
        self.get(actor, id).await
    }

    /// Passes on what the operator sends who has asked for the session, once it is recorded.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::Forbidden`] for anybody else; [`Refusal::TooLarge`];
    /// [`Refusal::Conflict`] when it is not what comes next.
    pub async fn operator_sends(
        &self,
        actor: &Actor,
        id: &SupportId,
        chunk: Chunk,
    ) -> Result<Flow, Refusal> {
        let live = self.operators(actor, id)?;
        let Some(live) = live else {
            return self.over(actor, id).await;
        };
        let still = || actor.check();
        live.send(self, &live.down, chunk, &still).await
    }

    /// Gives the operator who has asked for the session what has come from the device behind the
    /// first `after` bytes, at the latest after [`WAIT`].
    ///
    /// # Errors
    /// As [`Support::operator_sends`].
    pub async fn operator_takes(
        &self,
        actor: &Actor,
        id: &SupportId,
        after: u64,
    ) -> Result<Taken, Refusal> {
        let Some(live) = self.operators(actor, id)? else {
            let flow = self.over(actor, id).await?;
            return Ok(Taken::over(after, flow));
        };
        live.hear();
        let taken = live.take(&live.up, after).await;
        live.hear();
        taken
    }

    /// The path of a recording, for an operator who reads it, which is noted in the audit log.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, [`Refusal::NotFound`]; as the store.
    pub async fn recording(
        &self,
        actor: &Actor,
        id: &SupportId,
    ) -> Result<std::path::PathBuf, Refusal> {
        let path = self.0.recordings.path(id);
        let (actor, now, place, id) = (actor.clone(), self.0.clock.now(), path.clone(), id.clone());
        self.0
            .store
            .write(move |connection| {
                actor.check()?;
                let session = table::seen_by(connection, &actor, &id)?;
                actor.require(Role::Operator, "support.read-recording")?;
                if !place.is_file() {
                    return Err(Refusal::not_found("recording of", &id));
                }
                let detail = json!({ "session": id.as_str() });
                let on = format!("device/{}", session.device);
                audit::append(
                    connection,
                    now,
                    &actor,
                    "support.read-recording",
                    &on,
                    &detail,
                )
            })
            .await?;
        Ok(path)
    }

    /// Opens the session for the device that it was asked for, over `session`, by the key that came
    /// with the question and counts once. Its recording has begun when this returns. What it gives
    /// waits until the session is over, and tells how.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for another device, for a wrong or used key, and when it is over;
    /// [`Refusal::Full`] and others when nothing can be recorded; as the store.
    pub async fn join(
        &self,
        session: &Session,
        id: &SupportId,
        key: &[u8],
        joined: Joined,
    ) -> Result<impl Future<Output = Flow> + Send + use<>, Refusal> {
        let device = session.device()?;
        let live = self.alive(id)?;
        live.spend(device, key)?;
        joined.check()?;
        if let Err(refusal) = live.begin(&self.0.recordings).await {
            let why = format!("nothing can be recorded: {refusal}");
            self.finish(&live, State::Ended, "hub", &why).await;
            return Err(refusal);
        }
        let (id, pass, now) = (id.clone(), session.pass(), self.0.clock.now());
        let opened = self.0.store.write(move |connection| {
            pass.check()?;
            let detail = json!({
                "session": id.as_str(), "port": joined.port, "tried": joined.tried, "by": joined.by,
            });
            let on = format!("device/{}", pass.device()?);
            audit::append_by(connection, now, Some(&pass), "support.open", &on, &detail)?;
            table::opened(connection, &id, now, &joined)
        });
        if let Err(refusal) = opened.await {
            self.finish(&live, State::Ended, "hub", &refusal.to_string())
                .await;
            return Err(refusal);
        }
        live.open(session.presence().id.clone())?;
        let (support, watched) = (Arc::downgrade(&self.0), Arc::clone(&live));
        tokio::spawn(watch_device(support, watched, session.pass()));
        Ok(async move {
            live.over().await;
            live.flow()
        })
    }

    /// The device does not allow the session.
    ///
    /// # Errors
    /// As [`Support::join`].
    pub async fn refuse(
        &self,
        session: &Session,
        (id, key): (&SupportId, &[u8]),
        (by, why): (&str, &str),
    ) -> Result<(), Refusal> {
        let device = session.device()?;
        record::check_text("by", by)?;
        record::check_text("why", why)?;
        session.pass().check()?;
        let live = self.alive(id)?;
        live.spend(device, key)?;
        let by = format!("device/{device}: {by}");
        self.finish(&live, State::Refused, &by, why).await;
        Ok(())
    }

    /// Passes on what the device sends over the connection by which it has joined, once it is
    /// recorded.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for any other connection; as [`Support::operator_sends`].
    pub async fn device_sends(
        &self,
        session: &Session,
        id: &SupportId,
        chunk: Chunk,
    ) -> Result<Flow, Refusal> {
        let live = self.joined(session, id)?;
        let pass = session.pass();
        live.send(self, &live.up, chunk, &|| pass.check()).await
    }

    /// Gives the device what has come from the operator, as [`Support::operator_takes`].
    ///
    /// # Errors
    /// As [`Support::device_sends`].
    pub async fn device_takes(
        &self,
        session: &Session,
        id: &SupportId,
        after: u64,
    ) -> Result<Taken, Refusal> {
        let live = self.joined(session, id)?;
        live.take(&live.down, after).await
    }

    /// The device ends the session.
    ///
    /// # Errors
    /// As [`Support::device_sends`].
    pub async fn device_ends(
        &self,
        session: &Session,
        id: &SupportId,
        (by, why): (&str, &str),
    ) -> Result<(), Refusal> {
        record::check_text("by", by)?;
        record::check_text("why", why)?;
        session.pass().check()?;
        let live = self.joined(session, id)?;
        let by = format!("device/{}: {by}", live.device);
        self.finish(&live, State::Ended, &by, why).await;
        Ok(())
    }

    /// How many sessions are not over.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.live.lock().len()
    }

    /// Ends what a hub that is gone has left, and removes what is past its time.
    pub(crate) async fn tidy(&self) -> Result<(), Refusal> {
        let live: Vec<SupportId> = self.0.live.lock().keys().cloned().collect();
        let now = self.0.clock.now();
        let old = self.0.store.write(move |connection| {
            for session in table::left(connection)? {
                if !live.contains(&session.id) {
                    let why = "the hub was started anew";
                    table::over(
                        connection,
                        &session.id,
                        (State::Ended, now),
                        ("hub", why),
                        None,
                    )?;
                    audit_end(connection, &session, now, ("hub", why), None)?;
                }
            }
            table::clear(connection, now.before(KEPT))
        });
        for id in old.await? {
            self.0.recordings.remove(&id).await;
        }
        Ok(())
    }

    fn enter(&self, live: &Arc<Live>) -> Result<(), Refusal> {
        let mut all = self.0.live.lock();
        let of_device = all.values().filter(|one| one.device == live.device);
        if all.len() >= MAX_LIVE || of_device.count() >= MAX_LIVE_OF_DEVICE {
            return Err(Refusal::Limited {
                what: "support sessions",
                retry_after: RETRY_AFTER,
            });
        }
        all.insert(live.id.clone(), Arc::clone(live));
        Ok(())
    }

    fn call(&self, session: &SupportSession, key: &Secret) -> Result<Call, Refusal> {
        let asked = outgate_wire::agent::SupportAsked {
            session: session.id.to_string(),
            key: key.to_base64().to_string(),
            operator: session.operator.clone(),
            reason: session.reason.clone(),
            what: session.what.told(),
            seconds: session.until.since(session.asked).as_secs(),
        };
        let payload = serde_json::to_vec(&asked);
        let payload = payload.map_err(|_| Refusal::Internal("a question cannot be written"))?;
        Ok(Call {
            id: CallId::made_up()?,
            device: session.device.clone(),
            method: outgate_wire::agent::SUPPORT.to_owned(),
            content_type: "application/json".to_owned(),
            payload: payload.into(),
        })
    }

    /// Tells the device of the question. It is over when it cannot be told, or says no at once.
    async fn tell(&self, live: &Arc<Live>, call: Call) -> Result<(), Refusal> {
        let device = format!("device/{}", live.device);
        match self.0.calls.put(call, ANSWER).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => {
                let why = String::from_utf8_lossy(&answer.payload);
                let why: String = why.chars().filter(|sign| !sign.is_control()).collect();
                let why = record::shortened(&why);
                self.finish(live, State::Refused, &device, &why).await;
                Ok(())
            }
            Err(refusal) => {
                let why = refusal.to_string();
                self.finish(live, State::Refused, "hub", &why).await;
                Err(refusal)
            }
        }
    }

    fn alive(&self, id: &SupportId) -> Result<Arc<Live>, Refusal> {
        let live = self.0.live.lock().get(id).cloned();
        live.ok_or_else(|| Refusal::not_found("open support session", id))
    }

    /// The session, for the operator who has asked for it; nothing when it is over.
    fn operators(&self, actor: &Actor, id: &SupportId) -> Result<Option<Arc<Live>>, Refusal> {
        actor.check()?;
        actor.require(Role::Operator, "support")?;
        let Some(live) = self.0.live.lock().get(id).cloned() else {
            return Ok(None);
        };
        let its = actor.operator.as_ref().map(OperatorId::as_str);
        if its == Some(live.operator.as_str()) {
            return Ok(Some(live));
        }
        Err(Refusal::not_found("support session", id))
    }

    /// How a session of that operator's is over.
    async fn over(&self, actor: &Actor, id: &SupportId) -> Result<Flow, Refusal> {
        let found = self.get(actor, id).await?;
        let its = actor.operator.as_ref().map(OperatorId::as_str);
        if its != Some(found.operator.as_str()) {
            return Err(Refusal::not_found("support session", id));
        }
        let (by, why) = (found.by.unwrap_or_default(), found.why.unwrap_or_default());
        Ok(Flow::Over { by, why })
    }

    /// The session, for the connection by which its device has joined.
    fn joined(&self, session: &Session, id: &SupportId) -> Result<Arc<Live>, Refusal> {
        session.pass().check()?;
        let live = self.alive(id)?;
        let holder: &SessionId = &session.presence().id;
        if live.is_held_by(holder) {
            return Ok(live);
        }
        Err(Refusal::not_found("open support session", id))
    }
}

/// Takes a session out again that was not written down.
struct Entered<'a>(Option<(&'a Support, &'a Arc<Live>)>);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some((support, live)) = self.0 {
            support.0.live.lock().remove(&live.id);
        }
    }
}
