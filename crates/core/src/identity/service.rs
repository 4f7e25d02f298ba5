//! Services: back ends that take events.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde::Serialize;
use serde_json::json;

use super::act::{Act, Done};
use super::credential::{self, Issued, New, Owner};
use super::operator::check_scope;
use super::{Actor, Identity, Listed, Page, Role, Scope};
use crate::clock::Timestamp;
use crate::id::{ServiceId, SiteId};
use crate::refusal::Refusal;

/// A back end that takes events, as it may be told.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// Its name.
    pub id: ServiceId,
    /// What it sees.
    pub scope: Scope,
    /// Since when.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
}

const COLUMNS: &str = "id, site, created, revoked";

impl Identity {
    /// Makes a service with a first token.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin, or would give more than they have;
    /// [`Refusal::NotFound`] for a site that they do not see; [`Refusal::Exists`]; as the store.
    pub async fn create_service(
        &self,
        actor: &Actor,
        id: ServiceId,
        scope: Scope,
    ) -> Result<(Service, Issued), Refusal> {
        let act = Act::new(
            actor,
            Role::Admin,
            "service.create",
            format!("service/{id}"),
        );
        let work = move |connection: &Connection, actor: &Actor, now| {
            check_scope(connection, actor, &scope)?;
            if find(connection, &id)?.is_some() {
                return Err(Refusal::Exists {
                    what: "service",
                    id: id.to_string(),
                });
            }
            connection
                .prepare_cached("INSERT INTO services (id, site, created) VALUES (?1, ?2, ?3)")?
                .execute((&id, scope.site(), now))?;
            let new = New::token(Owner::Service(&id), "first", None, now)?;
            let issued = credential::issue_token(connection, new, now)?;
            let service = find(connection, &id)?.ok_or(Refusal::Internal("an insert was lost"))?;
            let detail = json!({
                "site": scope.site().map(SiteId::as_str),
                "credential": issued.credential.id.as_str(),
            });
            Ok(Done::new((service, issued)).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lists services, by name. Who sees one site sees only those of that site.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin, [`Refusal::Invalid`] when `page` has no good
    /// limit; as the store.
    pub async fn services(&self, actor: &Actor, page: &Page) -> Result<Listed<Service>, Refusal> {
        actor.require(Role::Admin, "listing services")?;
        let (page, only, fetch) = (page.clone(), actor.scope.site().cloned(), page.fetch()?);
        self.store
            .read(move |connection| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM services WHERE id > :after
                     AND (:only IS NULL OR site = :only) ORDER BY id LIMIT :fetch"
                );
                let services = connection
                    .prepare_cached(&sql)?
                    .query_map(
                        named_params! { ":after": page.after(), ":only": only, ":fetch": fetch },
                        read,
                    )?
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Listed::of(services, &page, |found| found.id.to_string()))
            })
            .await
    }
}

/// The service of that name, if `actor` sees it.
pub(super) fn seen_by(
    connection: &Connection,
    actor: &Actor,
    id: &ServiceId,
) -> Result<Service, Refusal> {
    match find(connection, id)? {
        Some(service) if actor.scope.covers(&service.scope) => Ok(service),
        Some(_) | None => Err(Refusal::not_found("service", id)),
    }
}

fn find(connection: &Connection, id: &ServiceId) -> Result<Option<Service>, Refusal> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM services WHERE id = ?1"))?
        .query_row([id], read)
        .optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Service> {
    Ok(Service {
        id: row.get(0)?,
        scope: Scope::of(row.get(1)?),
        created: row.get(2)?,
        revoked: row.get(3)?,
    })
}
