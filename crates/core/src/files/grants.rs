//! Giving grants, taking them back, and letting in who shows one.

use std::net::SocketAddr;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use super::{Access, By, Files, Grant, Place, Verb, table};
use crate::audit;
use crate::clock::Timestamp;
use crate::id::{DeviceId, GrantId, SessionId};
use crate::identity::{Actor, Listed, MAX_SKEW, Page, Principal, Revoked, Role, device_seen_by};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Ending, Pass, Presence, Selector, Session};

/// For how long a grant may hold at most: 30 days.
pub const MAX_LASTS: Duration = Duration::from_secs(30 * 24 * 3_600);

/// For how long a grant holds at least.
pub const MIN_LASTS: Duration = Duration::from_secs(1);

/// The most grants of one device that hold at a time.
pub const MAX_GRANTS: u64 = 1_000;

/// What sessions that came in by a grant are called.
const VIA: &str = "blob";

/// A grant as it is to be.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// For which file; there need not be one yet.
    pub place: Place,
    /// What it lets do.
    pub verb: Verb,
    /// For how long, [`MIN_LASTS`] to [`MAX_LASTS`]; what is not a whole second is left off.
    pub lasts: Duration,
}

/// A grant with its key, which is not told again.
#[derive(Debug)]
pub struct Issued {
    /// The grant.
    pub grant: Grant,
    /// Its key: 32 bytes.
    pub key: Secret,
}

/// What somebody shows to use a grant.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Which grant they say it is.
    pub grant: GrantId,
    /// Which file they ask for.
    pub place: Place,
    /// What they would do to it.
    pub verb: Verb,
}

/// Somebody who was let in by a grant.
#[derive(Debug)]
pub struct Admitted {
    /// Their session, which ends with the grant, with its device and with its site; to be kept for
    /// as long as anything is sent or taken.
    pub session: Session,
    /// What they may do.
    pub access: Access,
    /// The grant.
    pub grant: Grant,
}

/// A grant and who it makes its holder.
pub(super) struct Held {
    pub(super) grant: Grant,
    pub(super) principal: Principal,
    /// Whether the device or its site is revoked.
    pub(super) revoked: bool,
}

impl Files {
    /// Gives a grant. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for one that would hold too long or not at all, and for a device that
    /// is revoked; [`Refusal::Forbidden`] for viewers; [`Refusal::NotFound`] for a device that
    /// `actor` does not see; [`Refusal::TooMany`] beyond [`MAX_GRANTS`]; as the store.
    pub async fn grant(&self, actor: &Actor, new: NewGrant) -> Result<Issued, Refusal> {
        let grant = self.grant_by(&new, actor.name())?;
        let key = self.key(&grant.id)?;
        let (actor, kept, now) = (actor.clone(), grant.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                let detail = detail(&kept);
                let act = (now, "file.grant");
                crate::acting::act(connection, &actor, &kept.device, act, &detail)?;
                insert(connection, &kept, now)
            })
            .await?;
        Ok(Issued { grant, key })
    }

    pub(super) fn grant_by(&self, new: &NewGrant, by: String) -> Result<Grant, Refusal> {
        let lasts = Duration::from_secs(new.lasts.as_secs());
        if !(MIN_LASTS..=MAX_LASTS).contains(&new.lasts) {
            return Err(Refusal::invalid("lasts", "1 second to 30 days"));
        }
        let created = whole_second(self.clock.now());
        Ok(Grant {
            id: GrantId::made_up()?,
            device: new.place.device.clone(),
            name: new.place.name.clone(),
            verb: new.verb,
            by,
            created,
            ends: created.after(lasts),
            used: None,
            revoked: None,
        })
    }

    /// The key of the grant of that name, whether or not there is one.
    pub(super) fn key(&self, grant: &GrantId) -> Result<Secret, Refusal> {
        let vault = self.identity.vault();
        vault.derived(&format!("file-grant/{grant}"))
    }

    /// Revokes a grant of `device`. When this returns, nothing more is taken or given by it, and the
    /// connections that did are told to close. Revoking again does nothing.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, [`Refusal::NotFound`]; as the store.
    pub async fn revoke_grant(
        &self,
        actor: &Actor,
        device: &DeviceId,
        id: &GrantId,
    ) -> Result<Revoked, Refusal> {
        actor.require(Role::Operator, "revoking a grant")?;
        let (files, actor) = (self.clone(), actor.clone());
        let (device, id) = (device.clone(), id.clone());
        let work = move |connection: &Connection, now: Timestamp| {
            let grant = table::grant(connection, &device, &id)?;
            let detail = json!({"grant": id, "name": grant.name});
            let act = (now, "file.revoke");
            act_on(connection, &actor, &device, act, &detail)?;
            table::revoke(connection, &id, now)?;
            Ok(vec![id])
        };
        // On a task of its own: who hangs up in the middle leaves no revocation half done.
        let done = tokio::spawn(async move { files.revoke(work).await });
        done.await
            .map_err(|_| Refusal::Internal("a revocation stopped"))?
    }

    /// Does `work`, then ends the sessions that came in by the grants which it names.
    pub(super) async fn revoke<F>(&self, work: F) -> Result<Revoked, Refusal>
    where
        F: FnOnce(&Connection, Timestamp) -> Result<Vec<GrantId>, Refusal> + Send + 'static,
    {
        let clock = self.clock.clone();
        let write = self
            .store
            .write(move |connection| work(connection, clock.now()));
        let ends = by_credential(&write.await?);
        let connections = self.identity.end(&ends).await;
        Ok(Revoked { connections })
    }

    /// Lists the grants of a device, the newest first. Those that have ended are listed for 7 days.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Invalid`] when `page` is no good; as the store.
    pub async fn grants(
        &self,
        actor: &Actor,
        device: &DeviceId,
        page: &Page,
    ) -> Result<Listed<Grant>, Refusal> {
        let (actor, device) = (actor.clone(), device.clone());
        let (page, fetch) = (page.clone(), page.fetch()?);
        let before = table::place_of(page.after.as_deref())?;
        self.store
            .read(move |connection| {
                device_seen_by(connection, &actor, &device)?;
                let grants = table::grants(connection, &device, before, fetch)?;
                let listed = Listed::of(grants, &page, |(seq, _)| seq.to_string());
                let items = listed.items.into_iter().map(|(_, grant)| grant).collect();
                let next = listed.next;
                Ok(Listed { items, next })
            })
            .await
    }

    /// Lets somebody in who shows a grant: `proves` is given its key and says whether they know it,
    /// in a time that tells nothing. Nothing is looked up before that.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when they do not, when there is no such grant, and when its time
    /// is over; [`Refusal::Revoked`] when it, its device or its site has been revoked;
    /// [`Refusal::Forbidden`] when it is for another file or for something
    /// else; as the store.
    pub async fn admit(
        &self,
        shown: &Shown,
        peer: SocketAddr,
        proves: impl FnOnce(&Secret) -> bool,
    ) -> Result<Admitted, Refusal> {
        if !proves(&self.key(&shown.grant)?) {
            return Err(Refusal::Unauthenticated);
        }
        let held = self.held(shown).await?;
        let session = self.sessions.take_up_aside(Presence {
            id: SessionId::made_up()?,
            principal: held.principal,
            credential: shown.grant.credential(),
            via: VIA,
            peer,
            since: self.clock.now(),
        });
        session.limit(held.grant.ends);
        // Again, now that a revocation finds it.
        let Held {
            mut grant,
            principal,
            ..
        } = self.held(shown).await?;
        if principal != *session.principal() {
            return Err(Refusal::Unauthenticated);
        }
        session.pass().check()?;
        if grant.used.is_none() {
            grant.used = Some(self.note_use(&grant, session.pass()).await?);
        }
        let access = Access {
            place: shown.place.clone(),
            verb: shown.verb,
            by: By::Grant(session.pass()),
        };
        Ok(Admitted {
            session,
            access,
            grant,
        })
    }

    /// The grant that is shown, if it holds for what is asked.
    async fn held(&self, shown: &Shown) -> Result<Held, Refusal> {
        let (shown, now) = (shown.clone(), self.clock.now());
        self.store
            .read_first(move |connection| {
                let held = table::held(connection, &shown.grant)?;
                let held = held.ok_or(Refusal::Unauthenticated)?;
                held.judge(&shown, now)?;
                Ok(held)
            })
            .await
    }

    /// Writes down that a grant is used for the first time: more would let devices fill the log. So
    /// would the grants that they ask for themselves.
    async fn note_use(&self, grant: &Grant, pass: Pass) -> Result<Timestamp, Refusal> {
        let (grant, now) = (grant.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                pass.check()?;
                if !table::note_use(connection, &grant.id, now)? {
                    // Another request was first.
                    return Ok(now);
                }
                if grant.is_own() {
                    return Ok(now);
                }
                let who = format!("device/{}", grant.device);
                let from = pass.peer().ip().to_string();
                let (on, detail) = (&who, detail(&grant));
                audit::append_as(connection, now, &who, Some(&from), "file.use", on, &detail)?;
                Ok(now)
            })
            .await
    }
}

impl Held {
    /// Whether it lets do what is asked now.
    fn judge(&self, shown: &Shown, now: Timestamp) -> Result<(), Refusal> {
        let grant = &self.grant;
        if grant.revoked.is_some() || self.revoked {
            return Err(Refusal::Revoked);
        }
        // However the row came to be: no grant holds for longer, and none before it was given.
        let lasts = grant.ends.since(grant.created);
        if grant.ends <= now || lasts > MAX_LASTS || grant.created.since(now) > MAX_SKEW {
            return Err(Refusal::Unauthenticated);
        }
        if grant.device != shown.place.device || grant.name != shown.place.name {
            return Err(Refusal::forbidden("using a grant for another file"));
        }
        if grant.verb != shown.verb {
            let may = grant.verb.as_str();
            let what = format!("anything but to {may} by a grant to {may}");
            return Err(Refusal::forbidden(what));
        }
        Ok(())
    }
}

/// Whether `actor` may act on `device`, be it revoked; if so it is noted in the audit log.
pub(super) fn act_on(
    connection: &Connection,
    actor: &Actor,
    device: &DeviceId,
    (at, act): (Timestamp, &'static str),
    detail: &serde_json::Value,
) -> Result<(), Refusal> {
    actor.check()?;
    device_seen_by(connection, actor, device)?;
    actor.require(Role::Operator, act)?;
    let on = format!("device/{device}");
    audit::append(connection, at, actor, act, &on, detail)
}

pub(super) fn insert(
    connection: &Connection,
    grant: &Grant,
    now: Timestamp,
) -> Result<(), Refusal> {
    if table::count_grants(connection, &grant.device, now)? >= MAX_GRANTS {
        let (what, limit) = ("grants of a device", MAX_GRANTS);
        return Err(Refusal::TooMany { what, limit });
    }
    table::insert_grant(connection, grant)
}

/// What ends the sessions that came in by these grants.
pub(super) fn by_credential(grants: &[GrantId]) -> Vec<(Selector, Ending)> {
    let of = |id: &GrantId| (Selector::Credential(id.credential()), Ending::Revoked);
    grants.iter().map(of).collect()
}

/// What is told of a grant in the audit log.
fn detail(grant: &Grant) -> serde_json::Value {
    json!({"grant": grant.id, "name": grant.name, "verb": grant.verb, "ends": grant.ends})
}

/// The whole second that `moment` lies in: what addresses of files can say.
fn whole_second(moment: Timestamp) -> Timestamp {
    let millis = moment.as_millis();
    Timestamp::from_millis(millis - millis.rem_euclid(1_000))
}
