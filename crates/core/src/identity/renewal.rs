//! Renewal: a device gets another certificate for the key that it has, also when the one that it has
//! ended while it was without a network.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::json;

use super::authenticate;
use super::certificate::MAX_CHAIN;
use super::credential::{self, CredentialState, Issued, Owner};
use super::leaf::{Leaf, MAX_CERTIFICATE};
use super::request::Request;
use super::rotation::{is_ours, withdraw_pending};
use super::{Identity, device};
use crate::audit;
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId};
use crate::refusal::Refusal;

/// For how long after its end a certificate is renewed for whoever has its key.
pub const MAX_ENDED: Duration = Duration::from_secs(366 * 86_400);

/// How long the certificate before stays valid once the new one has been shown.
const OVERLAP: Duration = Duration::from_secs(86_400);

/// The least time between two renewals of a certificate.
const MIN_GAP: Duration = Duration::from_secs(60);

impl Identity {
    /// Gives whoever shows a certificate of the hub's own authority another for the same key: its
    /// holding has been verified by TLS, and `request` (PKCS #10, PEM) is for that key and signed
    /// with it. The certificate may have ended, at most [`MAX_ENDED`] ago; that is all that is
    /// overlooked. The new one lasts as long as that one did, and takes its place once it is shown.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] for a certificate that the hub has not given, has replaced
    /// already, or that has ended too long ago; [`Refusal::Revoked`],
    /// [`Refusal::AwaitsApproval`]; [`Refusal::Invalid`] for a request that is not for its key;
    /// [`Refusal::Conflict`] before half of its life is over; [`Refusal::Limited`] when it was
    /// renewed a moment ago; as the store.
    pub async fn renew(&self, chain: &[Vec<u8>], request: &str) -> Result<Issued, Refusal> {
        let first = chain.first().ok_or(Refusal::Unauthenticated)?;
        if chain.len() > MAX_CHAIN || first.len() > MAX_CERTIFICATE {
            return Err(Refusal::Unauthenticated);
        }
        let leaf = Leaf::read(first).ok_or(Refusal::Unauthenticated)?;
        let named = leaf.names.first().ok_or(Refusal::Unauthenticated)?.clone();
        let (identity, request, now) = (self.clone(), request.to_owned(), self.clock.now());
        // On a task of its own, so that a device that hangs up leaves nothing half done.
        let renewing = tokio::spawn(async move {
            let (store, own) = (identity.store.clone(), identity.clone());
            let work = move |connection: &Connection| {
                own.renew_for(connection, &named, &leaf, &request, now)
            };
            let issued = store.write(work).await?;
            identity.cache.forget();
            Ok(issued)
        });
        renewing
            .await
            .map_err(|_| Refusal::Internal("a renewal stopped"))?
    }

    fn renew_for(
        &self,
        connection: &Connection,
        named: &DeviceId,
        leaf: &Leaf,
        request: &str,
        now: Timestamp,
    ) -> Result<Issued, Refusal> {
        let held = authenticate::certificate_of(connection, &leaf.thumbprint, named)?;
        let held = held.ok_or(Refusal::Unauthenticated)?;
        if !held.is_signed() {
            return Err(Refusal::Unauthenticated);
        }
        // Judged by everything but its end.
        let known = held.judge_at_its_end(now)?;
        let (device, id) = (named.clone(), known.credential);
        let old = credential::find(connection, Owner::Device(&device), &id)?;
        let end = old.expires.unwrap_or(leaf.not_after).min(leaf.not_after);
        let replaced = old.state == CredentialState::Retiring;
        if !is_ours(connection, &id)? || replaced || now.since(end) > MAX_ENDED {
            return Err(Refusal::Unauthenticated);
        }
        if now.since(old.created) < end.since(old.created) / 2 {
            return Err(Refusal::Conflict {
                what: "the certificate",
            });
        }
        if !leaf.is_for(Request::read(request)?.key()) {
            return Err(Refusal::invalid(
                "request",
                "one for the key of the certificate that is shown",
            ));
        }
        wait(connection, &id, now)?;
        withdraw_pending(connection, &id, now)?;
        let issued =
            self.issue_successor(connection, &device, &old, Some(request), OVERLAP, now)?;
        let who = device::on(&device);
        let detail = json!({ "credential": id.as_str(), "by": issued.credential.id.as_str() });
        audit::append_as(
            connection,
            now,
            &who,
            None,
            "credential.renew",
            &who,
            &detail,
        )?;
        Ok(issued)
    }
}

/// Makes sure that the certificate was not renewed a moment ago.
fn wait(connection: &Connection, id: &CredentialId, now: Timestamp) -> Result<(), Refusal> {
    let newest: Option<Timestamp> = connection
        .prepare_cached("SELECT max(created) FROM credentials WHERE replaces = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?
        .flatten();
    match newest.map(|newest| now.since(newest)) {
        Some(age) if age < MIN_GAP => Err(Refusal::Limited {
            what: "renewals of this certificate",
            retry_after: MIN_GAP - age,
        }),
        Some(_) | None => Ok(()),
    }
}
