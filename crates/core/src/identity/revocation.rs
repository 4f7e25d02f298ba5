//! Taking rights away, at once and for every connection.
//!
//! The order is what makes it sure. First the store says "revoked" and has committed it; then
//! what was remembered is forgotten; then the sessions are ended. A session is in the registry
//! before its credential is asked about for the last time, so it either sees the revocation or is
//! there to be ended. Whatever an ended session has under way looks at its pass on the writer's
//! thread before it takes effect, and the revocation returns only when all writes that looked
//! before have been committed.

use rusqlite::Connection;
use serde_json::json;

use super::act::{Act, Done};
use super::credential::{self, CredentialState, Owner};
use super::device::{self, DeviceState};
use super::{Actor, Identity, Role, operator, service, site};
use crate::clock::Timestamp;
use crate::consumers;
use crate::deployments;
use crate::id::{CredentialId, DeviceId, OperatorId, ServiceId, SessionId, SiteId};
use crate::refusal::Refusal;
use crate::sessions::{Ended, Ending, Presence, Selector};

/// What a revocation did.
#[derive(Clone, Copy, Debug)]
pub struct Revoked {
    /// What happened to live connections.
    pub connections: Ended,
}

impl Identity {
    /// Revokes a site: none of its devices may come in, none stays in; nor do operators and
    /// services who see only that site.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin of all sites, [`Refusal::NotFound`]; as the
    /// store.
    pub async fn revoke_site(&self, actor: &Actor, id: &SiteId) -> Result<Revoked, Refusal> {
        let act = Act::new(actor, Role::Admin, "site.revoke", format!("site/{id}"));
        let id = id.clone();
        self.revoke(act, move |connection, actor, now| {
            site::seen_by(connection, actor, &id)?;
            actor.require_all_sites("revoking sites")?;
            connection
                .prepare_cached(
                    "UPDATE sites SET revoked = ?2, version = version + 1
                     WHERE id = ?1 AND revoked IS NULL",
                )?
                .execute((&id, now))?;
            Ok(Done::new(()).ends(Selector::Site(id), Ending::Revoked))
        })
        .await
    }

    /// Revokes a device: it may not come in, with whatever credential, until it is restored; nor may
    /// the devices that are parts of it ([`DeviceId::whole`]).
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn revoke_device(&self, actor: &Actor, id: &DeviceId) -> Result<Revoked, Refusal> {
        let act = Act::new(actor, Role::Operator, "device.revoke", device::on(id));
        let id = id.clone();
        self.revoke(act, move |connection, actor, now| {
            if device::seen_by(connection, actor, &id)?.state != DeviceState::Revoked {
                device::set_state(connection, &id, DeviceState::Revoked)?;
                // Nobody waits for it any more.
                deployments::tend_all_of(connection, &id, now)?;
            }
            Ok(Done::new(())
                .ends(Selector::Device(id.clone()), Ending::Revoked)
                .ends(Selector::PartsOf(id), Ending::Revoked))
        })
        .await
    }

    /// Revokes one credential of a device, for good. One that waits for approval is turned away
    /// by this.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn revoke_credential(
        &self,
        actor: &Actor,
        device: &DeviceId,
        credential: &CredentialId,
    ) -> Result<Revoked, Refusal> {
        let on = device::on(device);
        let act = Act::new(actor, Role::Operator, "credential.revoke", on);
        let (id, device) = (credential.clone(), device.clone());
        self.revoke(act, move |connection, actor, now| {
            let state = device::seen_by(connection, actor, &device)?.state;
            let found = credential::find(connection, Owner::Device(&device), &id)?;
            credential::revoke(connection, &id, now)?;
            if found.state == CredentialState::AwaitsApproval
                && state == DeviceState::AwaitsApproval
            {
                device::set_state(connection, &device, DeviceState::Active)?;
            }
            let detail = json!({ "credential": id.as_str(), "label": found.label });
            Ok(Done::new(())
                .detail(detail)
                .ends(Selector::Credential(id), Ending::Revoked))
        })
        .await
    }

    /// Revokes an operator and all their tokens. The last admin of all sites cannot be.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn revoke_operator(
        &self,
        actor: &Actor,
        id: &OperatorId,
    ) -> Result<Revoked, Refusal> {
        let on = format!("operator/{id}");
        let act = Act::new(actor, Role::Admin, "operator.revoke", on);
        let id = id.clone();
        self.revoke(act, move |connection, actor, now| {
            operator::seen_by(connection, actor, &id)?;
            if operator::is_last_admin(connection, now, Some(&id), None)? {
                return Err(Refusal::forbidden("revoking the last admin of all sites"));
            }
            connection
                .prepare_cached(
                    "UPDATE operators SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL",
                )?
                .execute((&id, now))?;
            credential::revoke_all(connection, Owner::Operator(&id), now)?;
            Ok(Done::new(()).ends(Selector::Operator(id), Ending::Revoked))
        })
        .await
    }

    /// Revokes one token of an operator. The last token of the last admin of all sites cannot be.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn revoke_operator_token(
        &self,
        actor: &Actor,
        id: &OperatorId,
        token: &CredentialId,
    ) -> Result<Revoked, Refusal> {
        let on = format!("operator/{id}");
        let act = Act::new(actor, Role::Admin, "operator.revoke-token", on);
        let (id, token) = (id.clone(), token.clone());
        self.revoke(act, move |connection, actor, now| {
            operator::seen_by(connection, actor, &id)?;
            credential::find(connection, Owner::Operator(&id), &token)?;
            if operator::is_last_admin(connection, now, None, Some(&token))? {
                return Err(Refusal::forbidden(
                    "revoking the last token of the last admin of all sites",
                ));
            }
            credential::revoke(connection, &token, now)?;
            let detail = json!({ "credential": token.as_str() });
            Ok(Done::new(())
                .detail(detail)
                .ends(Selector::Credential(token), Ending::Revoked))
        })
        .await
    }

    /// Revokes a service, its tokens and its access keys: devices that came in by those go, too.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn revoke_service(&self, actor: &Actor, id: &ServiceId) -> Result<Revoked, Refusal> {
        let act = Act::new(
            actor,
            Role::Admin,
            "service.revoke",
            format!("service/{id}"),
        );
        let id = id.clone();
        self.revoke(act, move |connection, actor, now| {
            service::seen_by(connection, actor, &id)?;
            connection
                .prepare_cached(
                    "UPDATE services SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL",
                )?
                .execute((&id, now))?;
            let had = credential::of_owner(connection, Owner::Service(&id))?;
            credential::revoke_all(connection, Owner::Service(&id), now)?;
            // Nobody will take what is kept for it.
            consumers::remove_of_service(connection, &id)?;
            let done = Done::new(()).ends(Selector::Service(id), Ending::Revoked);
            Ok(had.into_iter().fold(done, |done, one| {
                done.ends(Selector::Credential(one.id), Ending::Revoked)
            }))
        })
        .await
    }

    /// Closes one connection of a device, which may come again.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`] when the device has no such session; as the
    /// store.
    pub async fn dismiss_session(
        &self,
        actor: &Actor,
        device: &DeviceId,
        session: &SessionId,
    ) -> Result<Revoked, Refusal> {
        let act = Act::new(actor, Role::Operator, "session.dismiss", device::on(device));
        let (device, session, sessions) = (device.clone(), session.clone(), self.sessions.clone());
        self.revoke(act, move |connection, actor, _now| {
            device::seen_by(connection, actor, &device)?;
            let selector = Selector::Session(session.clone());
            let of_device = |one: &Presence| one.principal.is_device(&device);
            let found = sessions.present(&selector).into_iter().find(of_device);
            let found = found.ok_or_else(|| Refusal::not_found("session", session))?;
            let detail = json!({ "session": found.id.as_str(), "via": found.via });
            Ok(Done::new(())
                .detail(detail)
                .ends(selector, Ending::Dismissed))
        })
        .await
    }

    async fn revoke<F>(&self, act: Act, work: F) -> Result<Revoked, Refusal>
    where
        F: FnOnce(&Connection, &Actor, Timestamp) -> Result<Done<()>, Refusal> + Send + 'static,
    {
        let ((), connections) = self.act(act, work).await?;
        Ok(Revoked { connections })
    }
}
