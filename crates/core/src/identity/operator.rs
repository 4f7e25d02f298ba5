//! Operators: people, and programs that administer.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde::Serialize;
use serde_json::json;

use super::act::{Act, Done};
use super::credential::{self, Credential, Given, Issued, New, Owner};
use super::vault::write_private;
use super::{Actor, Identity, Listed, Page, Role, Scope, site};
use crate::clock::Timestamp;
use crate::id::{CredentialId, OperatorId, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Ending, Selector};

/// An operator as they may be told.
#[derive(Clone, Debug, Serialize)]
pub struct Operator {
    /// Their name.
    pub id: OperatorId,
    /// What they may do.
    pub role: Role,
    /// What they see.
    pub scope: Scope,
    /// Since when.
    pub created: Timestamp,
    /// When they were revoked, if they were.
    pub revoked: Option<Timestamp>,
}

/// The token with which an empty hub is taken into use.
#[derive(Debug)]
pub struct FirstOperator {
    /// Whose it is.
    pub operator: OperatorId,
    /// The token.
    pub token: Secret,
    /// The file it was written to, which only its owner may read.
    pub file: PathBuf,
}

/// The file of the first operator's token, in the data folder.
const TOKEN_FILE: &str = "operator.token";

/// What the first operator is called.
const FIRST: &str = "admin";

const COLUMNS: &str = "id, role, site, created, revoked";

impl Identity {
    /// Makes a token for an admin of all sites if nobody can come in as one: on an empty hub, and
    /// when the last such token has ended. It is written to `operator.token` in the data folder:
    /// whoever may read that folder has the hub in hand anyway. Every token that this operator had
    /// before is gone by that.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when the file cannot be written; as the store.
    pub async fn first_operator(&self) -> Result<Option<FirstOperator>, Refusal> {
        let now = self.clock.now();
        let there = self
            .store
            .read(move |connection| any_admin(connection, now, None, None))
            .await?;
        if there {
            return Ok(None);
        }
        let id: OperatorId = FIRST.parse()?;
        let file = self.folder.join(TOKEN_FILE);
        let on = format!("operator/{id}");
        let act = Act::new(&Actor::hub(), Role::Admin, "operator.first", on);
        let (operator, path) = (id.clone(), file.clone());
        let work = move |connection: &Connection, _: &Actor, now| {
            connection.execute(
                "INSERT INTO operators (id, role, created) VALUES (?1, 'admin', ?2)
                 ON CONFLICT (id) DO UPDATE SET role = 'admin', site = NULL, revoked = NULL",
                (&operator, now),
            )?;
            // Whatever the name had been given before was given to somebody with less, or was
            // taken back. Deleted, not revoked: no number of revoked ones may stand in the way.
            credential::delete_all(connection, Owner::Operator(&operator))?;
            let new = New::token(Owner::Operator(&operator), "first", None, now)?;
            let issued = credential::issue_token(connection, new, now)?;
            let Given::Token(token) = issued.given else {
                return Err(Refusal::Internal("a token was made that is none"));
            };
            // Before the commit: a token that nobody can read would be worse than a file whose
            // token is not good yet.
            let mut line = token.expose().to_vec();
            line.push(b'\n');
            write_private(&path, Secret::new(line).expose())
                .map_err(|_| Refusal::Internal("operator.token cannot be written"))?;
            let detail = json!({ "credential": issued.credential.id.as_str() });
            let ends = Selector::Operator(operator);
            Ok(Done::new(token).detail(detail).ends(ends, Ending::Revoked))
        };
        let (token, _) = self.act(act, work).await?;
        Ok(Some(FirstOperator {
            operator: id,
            token,
            file,
        }))
    }

    /// Makes an operator with a first token.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin, or would give more than they have;
    /// [`Refusal::NotFound`] for a site that they do not see; [`Refusal::Exists`]; as the store.
    pub async fn create_operator(
        &self,
        actor: &Actor,
        id: OperatorId,
        role: Role,
        scope: Scope,
    ) -> Result<(Operator, Issued), Refusal> {
        let act = Act::new(
            actor,
            Role::Admin,
            "operator.create",
            format!("operator/{id}"),
        );
        let work = move |connection: &Connection, actor: &Actor, now| {
            check_scope(connection, actor, &scope)?;
            if find(connection, &id)?.is_some() {
                return Err(Refusal::Exists {
                    what: "operator",
                    id: id.to_string(),
                });
            }
            connection
                .prepare_cached(
                    "INSERT INTO operators (id, role, site, created) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((&id, role, scope.site(), now))?;
            let new = New::token(Owner::Operator(&id), "first", None, now)?;
            let issued = credential::issue_token(connection, new, now)?;
            let operator = find(connection, &id)?.ok_or(Refusal::Internal("an insert was lost"))?;
            let detail = json!({
                "role": role.as_str(), "site": scope.site().map(SiteId::as_str),
                "credential": issued.credential.id.as_str(),
            });
            Ok(Done::new((operator, issued)).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lists operators, by name. Who sees one site sees only those of that site.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin, [`Refusal::Invalid`] when `page` has no good
    /// limit; as the store.
    pub async fn operators(&self, actor: &Actor, page: &Page) -> Result<Listed<Operator>, Refusal> {
        actor.require(Role::Admin, "listing operators")?;
        let (page, only, fetch) = (page.clone(), actor.scope.site().cloned(), page.fetch()?);
        self.store
            .read(move |connection| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM operators WHERE id > :after
                     AND (:only IS NULL OR site = :only) ORDER BY id LIMIT :fetch"
                );
                let operators = connection
                    .prepare_cached(&sql)?
                    .query_map(
                        named_params! { ":after": page.after(), ":only": only, ":fetch": fetch },
                        read,
                    )?
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Listed::of(operators, &page, |found| found.id.to_string()))
            })
            .await
    }

    /// Lists an operator's tokens, oldest first. Everybody may list their own.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn operator_tokens(
        &self,
        actor: &Actor,
        id: &OperatorId,
    ) -> Result<Vec<Credential>, Refusal> {
        if actor.operator.as_ref() != Some(id) {
            actor.require(Role::Admin, "listing another operator's tokens")?;
        }
        let (actor, id) = (actor.clone(), id.clone());
        let seen = self.sessions.seen().clone();
        self.store
            .read(move |connection| {
                seen_by(connection, &actor, &id)?;
                let all = credential::of_owner(connection, Owner::Operator(&id))?;
                Ok(all
                    .into_iter()
                    .map(|credential| seen.credential_up_to_date(credential))
                    .collect())
            })
            .await
    }

    /// Gives an operator another token.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Revoked`] for a revoked
    /// operator, [`Refusal::Invalid`] for a label or life out of bounds, [`Refusal::TooLarge`]
    /// when they have too many; as the store.
    pub async fn add_operator_token(
        &self,
        actor: &Actor,
        id: &OperatorId,
        label: String,
        lasts: Option<Duration>,
    ) -> Result<Issued, Refusal> {
        let on = format!("operator/{id}");
        let act = Act::new(actor, Role::Admin, "operator.add-token", on);
        let id = id.clone();
        let work = move |connection: &Connection, actor: &Actor, now| {
            if seen_by(connection, actor, &id)?.revoked.is_some() {
                return Err(Refusal::Revoked);
            }
            let new = New::token(Owner::Operator(&id), &label, lasts, now)?;
            let issued = credential::issue_token(connection, new, now)?;
            let detail = json!({ "credential": issued.credential.id.as_str(), "label": label });
            Ok(Done::new(issued).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }
}

/// Whether an admin of all sites can come in, other than `without` and by another token than
/// `but_by`.
fn any_admin(
    connection: &Connection,
    now: Timestamp,
    without: Option<&OperatorId>,
    but_by: Option<&CredentialId>,
) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM operators AS o JOIN credentials AS c ON c.operator = o.id
             WHERE o.role = 'admin' AND o.site IS NULL AND o.revoked IS NULL
             AND c.state IN ('pending', 'active', 'retiring')
             AND (c.expires IS NULL OR c.expires > :now)
             AND o.id IS NOT :without AND c.id IS NOT :but_by)",
        )?
        .query_row(
            named_params! { ":now": now, ":without": without, ":but_by": but_by },
            |row| row.get(0),
        )?)
}

/// Whether nobody could come in as an admin of all sites without that operator or token, and
/// somebody can with it.
pub(super) fn is_last_admin(
    connection: &Connection,
    now: Timestamp,
    operator: Option<&OperatorId>,
    token: Option<&CredentialId>,
) -> Result<bool, Refusal> {
    Ok(any_admin(connection, now, None, None)? && !any_admin(connection, now, operator, token)?)
}

/// The operator of that name, if `actor` sees them: an admin sees those who see no more.
pub(super) fn seen_by(
    connection: &Connection,
    actor: &Actor,
    id: &OperatorId,
) -> Result<Operator, Refusal> {
    match find(connection, id)? {
        Some(operator) if actor.scope.covers(&operator.scope) => Ok(operator),
        Some(_) | None => Err(Refusal::not_found("operator", id)),
    }
}

/// Whether `actor` may give `scope` to somebody.
pub(super) fn check_scope(
    connection: &Connection,
    actor: &Actor,
    scope: &Scope,
) -> Result<(), Refusal> {
    match scope {
        Scope::All => actor.require_all_sites("giving others more than one's own site"),
        Scope::Site(site) => site::seen_by(connection, actor, site).map(|_| ()),
    }
}

fn find(connection: &Connection, id: &OperatorId) -> Result<Option<Operator>, Refusal> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM operators WHERE id = ?1"))?
        .query_row([id], read)
        .optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Operator> {
    Ok(Operator {
        id: row.get(0)?,
        role: row.get(1)?,
        scope: Scope::of(row.get(2)?),
        created: row.get(3)?,
        revoked: row.get(4)?,
    })
}
