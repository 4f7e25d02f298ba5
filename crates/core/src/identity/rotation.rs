//! Rotation: a new credential proves itself before the old one goes.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::json;

use super::act::{Act, Done};
use super::authority::{DEFAULT_CERTIFICATE_LIFE, MAX_CERTIFICATE_LIFE, MIN_CERTIFICATE_LIFE};
use super::credential::{self, Credential, CredentialKind, CredentialState, Issued, New, Owner};
use super::request::Request;
use super::{Actor, Identity, Role, device};
use crate::audit;
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId};
use crate::refusal::Refusal;

/// The longest that an old credential stays valid after the new one has been used.
pub const MAX_OVERLAP: Duration = Duration::from_secs(90 * 86_400);

impl Identity {
    /// Replaces a credential: the new one is pending until it has been used, the old one valid for
    /// `overlap` after that. A certificate of the hub's own authority needs a new `request`; one
    /// that somebody else signed is not the hub's to replace. A rotation that was not finished is
    /// replaced by this one.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Conflict`] when the credential is
    /// not in use, [`Refusal::Invalid`] for an overlap over [`MAX_OVERLAP`], a missing or bad
    /// request, or a certificate that is not the hub's; as the store.
    pub async fn rotate(
        &self,
        actor: &Actor,
        device: &DeviceId,
        credential: &CredentialId,
        request: Option<&str>,
        overlap: Duration,
    ) -> Result<Issued, Refusal> {
        if overlap > MAX_OVERLAP {
            return Err(Refusal::invalid("overlap", "at most 90 days"));
        }
        let on = device::on(device);
        let act = Act::new(actor, Role::Operator, "credential.rotate", on);
        let (device, id, identity) = (device.clone(), credential.clone(), self.clone());
        let request = request.map(str::to_owned);
        let work = move |connection: &Connection, actor: &Actor, now: Timestamp| {
            device::seen_by(connection, actor, &device)?;
            let owner = Owner::Device(&device);
            let old = credential::find(connection, owner, &id)?;
            if old.state != CredentialState::Active || old.expires.is_some_and(|end| end <= now) {
                return Err(Refusal::Conflict {
                    what: "the credential",
                });
            }
            withdraw_pending(connection, &id, now)?;
            let request = request.as_deref();
            let issued =
                identity.issue_successor(connection, &device, &old, request, overlap, now)?;
            let detail = json!({
                "credential": id.as_str(), "by": issued.credential.id.as_str(),
                "overlap_seconds": overlap.as_secs(),
            });
            Ok(Done::new(issued).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Makes what is to take the place of `old`.
    pub(super) fn issue_successor(
        &self,
        connection: &Connection,
        device: &DeviceId,
        old: &Credential,
        request: Option<&str>,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<Issued, Refusal> {
        let owner = Owner::Device(device);
        match (old.kind, request) {
            (CredentialKind::SymmetricKey, None) => {
                let new = New::key(owner, &old.label).replacing(&old.id, overlap);
                credential::issue_key(connection, &self.vault, new, now)
            }
            (CredentialKind::Token, None) => {
                let lasts = old.expires.map(|end| end.since(old.created));
                let new = New::token(owner, &old.label, lasts, now)?;
                credential::issue_token(connection, new.replacing(&old.id, overlap), now)
            }
            (CredentialKind::SymmetricKey | CredentialKind::Token, Some(_)) => {
                Err(Refusal::invalid("request", "only for a certificate"))
            }
            (CredentialKind::PublicKey, None | Some(_)) => {
                // Only its holder can make another.
                let why = "one that the hub gives; add the device's new key instead";
                Err(Refusal::invalid("credential", why))
            }
            (CredentialKind::Certificate, Some(request)) if is_ours(connection, &old.id)? => {
                let request = Request::read(request)?;
                let lasts = old.expires.map_or(DEFAULT_CERTIFICATE_LIFE, |end| {
                    end.since(old.created)
                        .clamp(MIN_CERTIFICATE_LIFE, MAX_CERTIFICATE_LIFE)
                });
                let signed = self.certified(device, &request, lasts, now)?;
                let new = signed.kept(device).replacing(&old.id, overlap);
                let kept = credential::insert(connection, CredentialId::made_up()?, &new, now)?;
                Ok(signed.given(kept))
            }
            (CredentialKind::Certificate, None) if is_ours(connection, &old.id)? => {
                Err(Refusal::invalid("request", "a certificate needs a new one"))
            }
            (CredentialKind::Thumbprint | CredentialKind::Certificate, _) => Err(Refusal::invalid(
                "credential",
                "one that the hub has given; pin or show the new certificate, then revoke this",
            )),
        }
    }

    /// A pending credential has been used: it is active now, and the one it replaces retires.
    pub(super) async fn promote(&self, credential: &CredentialId) -> Result<(), Refusal> {
        let (identity, id) = (self.clone(), credential.clone());
        // On a task of its own: once it is committed the old credential's sessions must hear of
        // their end, also when whoever connects has gone.
        tokio::spawn(async move {
            let now = identity.clock.now();
            let retired = identity
                .store
                .write(move |connection| promote(connection, &id, now))
                .await?;
            identity.cache.forget();
            if let Some((old, end)) = retired {
                identity.sessions.limit(&old, end);
            }
            Ok(())
        })
        .await
        .map_err(|_| Refusal::Internal("a promotion stopped"))?
    }
}

/// Makes a pending credential active. Returns which other one retires by that, and when it ends.
fn promote(
    connection: &Connection,
    id: &CredentialId,
    now: Timestamp,
) -> Result<Option<(CredentialId, Timestamp)>, Refusal> {
    let found: Option<(CredentialState, DeviceId, Option<CredentialId>, Option<i64>)> = connection
        .prepare_cached("SELECT state, device, replaces, overlap FROM credentials WHERE id = ?1")?
        .query_row([id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((state, device, replaces, overlap)) = found else {
        return Err(Refusal::Revoked);
    };
    match state {
        CredentialState::Pending => {}
        // Two connections came at once, and the other was first.
        CredentialState::Active | CredentialState::Retiring => return Ok(None),
        CredentialState::AwaitsApproval | CredentialState::Revoked => return Err(Refusal::Revoked),
    }
    connection
        .prepare_cached("UPDATE credentials SET state = 'active' WHERE id = ?1")?
        .execute([id])?;
    let end = now.after(Duration::from_millis(
        overlap
            .and_then(|wait| u64::try_from(wait).ok())
            .unwrap_or(0),
    ));
    let retired = match &replaces {
        Some(old) => retire(connection, old, end)?.map(|end| (old.clone(), end)),
        None => None,
    };
    let detail = json!({
        "credential": id.as_str(), "retires": replaces.as_ref().map(CredentialId::as_str),
    });
    let who = device::on(&device);
    audit::append_as(
        connection,
        now,
        &who,
        None,
        "credential.promote",
        &who,
        &detail,
    )?;
    Ok(retired)
}

/// Lets a credential end at `end` or at its own, whichever is sooner. Returns when that is, unless
/// it was no longer in use anyway.
fn retire(
    connection: &Connection,
    id: &CredentialId,
    end: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    Ok(connection
        .prepare_cached(
            "UPDATE credentials SET state = 'retiring', expires = min(coalesce(expires, ?2), ?2)
             WHERE id = ?1 AND state IN ('active', 'retiring') RETURNING expires",
        )?
        .query_row((id, end), |row| row.get(0))
        .optional()?)
}

/// Whether the hub's own authority has signed this certificate.
pub(super) fn is_ours(connection: &Connection, id: &CredentialId) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached("SELECT authority IS NULL FROM credentials WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?)
}

/// Revokes what an earlier rotation of `id` made, if it has not been used.
pub(super) fn withdraw_pending(
    connection: &Connection,
    id: &CredentialId,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE credentials SET state = 'revoked', sealed = NULL, revoked = ?2
             WHERE replaces = ?1 AND state = 'pending'",
        )?
        .execute((id, now))?;
    Ok(())
}
