//! Grants that a device asks for itself, for files of its own. There is no operator who would
//! notice a device that asks without an end, so how long they hold, how many there are, and how
//! often it may ask are bounded more closely than those of others.

use std::time::Duration;

use rusqlite::Connection;

use super::grants::{Issued, NewGrant, by_credential, insert};
use super::{File, FileName, Files, Grant, Place, Verb, kept, table};
use crate::clock::Timestamp;
use crate::events::{Events, NewEvent};
use crate::id::GrantId;
use crate::limits::Rate;
use crate::refusal::Refusal;
use crate::sessions::Session;

/// For how long a grant may hold at most that a device asked for itself.
pub const MAX_OWN_LASTS: Duration = Duration::from_hours(24);

/// The most grants of one device that it asked for itself and that hold at a time.
pub const MAX_OWN_GRANTS: u64 = 100;

/// How many grants that a device asked for itself are listed at most once they have ended.
pub const KEEP_OWN_GRANTS: u32 = 100;

/// How often a device may ask for one.
pub(super) const ASKED: Rate = Rate {
    burst: 200,
    every: Duration::from_secs(1),
};

impl Files {
    /// Gives the device of `session` a grant for a file of its own. Not in the audit log, nor is
    /// its use: devices must not be able to fill that.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the session is not a device's; [`Refusal::Revoked`],
    /// [`Refusal::Draining`] when it has ended; [`Refusal::Invalid`] beyond [`MAX_OWN_LASTS`];
    /// [`Refusal::Limited`] when it asks too often; [`Refusal::TooMany`] beyond
    /// [`MAX_OWN_GRANTS`]; otherwise as [`Files::grant`].
    pub async fn grant_own(
        &self,
        session: &Session,
        name: FileName,
        verb: Verb,
        lasts: Duration,
    ) -> Result<Issued, Refusal> {
        let (pass, device) = (session.pass(), session.device()?.clone());
        if lasts > MAX_OWN_LASTS {
            return Err(Refusal::invalid("lasts", "1 second to 24 hours"));
        }
        let asked = self.asked.take(&device);
        asked.map_err(|retry_after| Refusal::Limited {
            what: "grants that a device asks for itself",
            retry_after,
        })?;
        let place = Place { device, name };
        let new = NewGrant { place, verb, lasts };
        let grant = self.grant_by(&new, session.principal().name())?;
        let key = self.key(&grant.id)?;
        let (kept, now) = (grant.clone(), self.clock.now());
        self.store
            .write_bulk(0, move |connection| {
                pass.check()?;
                if table::count_own(connection, &kept, now)? >= MAX_OWN_GRANTS {
                    let what = "grants that a device asked for itself";
                    let limit = MAX_OWN_GRANTS;
                    return Err(Refusal::TooMany { what, limit });
                }
                table::forget_own(connection, &kept, now, KEEP_OWN_GRANTS)?;
                insert(connection, &kept, now)
            })
            .await?;
        Ok(Issued { grant, key })
    }

    /// Ends a grant that the device of `session` has for a file of its own, as when it is done.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as [`Files::grant_own`].
    pub async fn end_own(&self, session: &Session, id: &GrantId) -> Result<(), Refusal> {
        let (pass, device) = (session.pass(), session.device()?.clone());
        let id = id.clone();
        let work = move |connection: &Connection, now: Timestamp| {
            pass.check()?;
            table::grant(connection, &device, &id)?;
            table::revoke(connection, &id, now)?;
            Ok(vec![id])
        };
        self.revoke(work).await.map(|_| ())
    }

    /// Ends a grant that the device of `session` asked for itself, and keeps in the same commit the
    /// event that `told` makes of it and of what is in the file since. Once: who says again that it
    /// is done, as after an answer that was lost, is told the same, and nothing is kept.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it asked for no such grant; as [`Events::append`].
    pub async fn conclude_own(
        &self,
        events: &Events,
        session: &Session,
        id: &GrantId,
        told: impl FnOnce(&Grant, Option<&File>) -> NewEvent,
    ) -> Result<(), Refusal> {
        let (pass, device) = (session.pass(), session.device()?.clone());
        let wanted = id.clone();
        let (grant, file) = self
            .store
            .read(move |connection| {
                let grant = table::grant(connection, &device, &wanted)?;
                let name = grant.name.clone();
                let file = kept::find(connection, &Place { device, name })?;
                Ok((grant, file))
            })
            .await?;
        if !grant.is_own() {
            return Err(Refusal::not_found("grant", id));
        }
        if grant.revoked.is_some() {
            return Ok(());
        }
        let since = file.filter(|file| file.changed >= grant.created);
        let event = told(&grant, since.as_ref());
        let (files, events) = (self.clone(), events.clone());
        // On a task of its own: who hangs up in the middle leaves no session of an ended grant.
        let done = tokio::spawn(async move {
            match events.append_ending(pass, event, grant.id.clone()).await {
                Ok(_) => {}
                // Said twice at once: the other has told it.
                Err(Refusal::Conflict { .. }) => return Ok(()),
                Err(refusal) => return Err(refusal),
            }
            files.identity.end(&by_credential(&[grant.id])).await;
            Ok(())
        });
        done.await
            .map_err(|_| Refusal::Internal("an end of a grant stopped"))?
    }
}

impl Grant {
    /// Whether its device asked for it itself.
    pub(super) fn is_own(&self) -> bool {
        self.by == format!("device/{}", self.device)
    }
}

/// Ends a grant as a part of something else.
///
/// # Errors
/// [`Refusal::Conflict`] when it has been ended before.
pub(crate) fn end(connection: &Connection, id: &GrantId, now: Timestamp) -> Result<(), Refusal> {
    if table::revoke(connection, id, now)? {
        return Ok(());
    }
    Err(Refusal::Conflict { what: "the grant" })
}
