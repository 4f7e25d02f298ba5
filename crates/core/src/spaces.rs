//! Spaces: what the vendor's applications stand in, at a site, and which user may do what there.
//!
//! A space has roles, each a set of actions; users are given roles. A device asks whether a user may
//! do something in a space of its own site, and is told yes or no by what is on the disk. Each
//! change of a site's spaces gives them another version, so that who keeps an answer can tell
//! whether it still holds.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde_json::json;

use crate::acting::Kept;
use crate::announcement::Announcement;
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::id::{ActionName, RoleName, SiteId, SpaceId};
use crate::identity::{Actor, Listed, MAX_TITLE, Page, Principal};
use crate::refusal::Refusal;
use crate::sessions::{Pass, Selector, Sessions, Signal};
use crate::store::Store;

mod table;
mod user;

pub(crate) use table::SCHEMA;
pub use user::{MAX_USER, User};

/// The most spaces of a site.
pub const MAX_SPACES: u64 = 1_000;

/// The most roles of a space.
pub const MAX_ROLES: usize = 32;

/// The most actions of a role.
pub const MAX_ACTIONS: usize = 64;

/// The most bytes of all roles of a space together, as JSON: what is changed is in the audit log,
/// whose entries have a bound of their own.
pub const MAX_ROLES_BYTES: usize = 6 * 1024;

/// The most grants of a space.
pub const MAX_GRANTS: u64 = 1_000;

/// The most questions at a time.
pub const MAX_QUESTIONS: usize = 100;

/// What whoever changes them and the audit log are told.
const KEPT: Kept = Kept("space");

/// Which actions each role of a space allows.
pub type Roles = BTreeMap<RoleName, BTreeSet<ActionName>>;

/// A space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Where it is.
    pub site: SiteId,
    /// Its name, one in the site.
    pub id: SpaceId,
    /// What people call it.
    pub title: String,
    /// Which actions each of its roles allows.
    pub roles: Roles,
    /// Since when.
    pub created: Timestamp,
}

/// That a user has a role in a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub user: User,
    /// Which role.
    pub role: RoleName,
    /// Since when.
    pub since: Timestamp,
}

/// What a device asks: whether a user may do something somewhere. Names that cannot be any are those
/// of nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who.
    pub user: String,
    /// What.
    pub action: String,
    /// Where.
    pub space: String,
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They may.
    Permitted,
    /// They may not: there is no such space at the device's site.
    NoSpace,
    /// They may not: no role that they have there allows it.
    NotAllowed,
}

/// Answers, and of which version of the site's spaces they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// One for each question, in their order.
    pub answers: Vec<Answer>,
    /// Goes up with each change of the site's spaces.
    pub version: u64,
}

impl Answer {
    /// Whether they may.
    #[must_use]
    pub fn is_permitted(self) -> bool {
        self == Self::Permitted
    }
}

/// All spaces.
#[derive(Clone, Debug)]
pub struct Spaces {
    store: Store,
    clock: Clock,
    sessions: Sessions,
}

impl Spaces {
    /// The spaces of the store. Those of `sessions` are told when what they were answered may not
    /// hold any more.
    pub(crate) fn new(store: Store, clock: Clock, sessions: Sessions) -> Self {
        Self {
            store,
            clock,
            sessions,
        }
    }

    /// Makes a space, or gives one another title and other roles. Grants of a role that it does not
    /// have any more end.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers; [`Refusal::NotFound`] for a site that they do not see;
    /// [`Refusal::Invalid`] for a title that is empty or too long, and for no role or too many;
    /// [`Refusal::TooMany`] beyond [`MAX_SPACES`]; as the store.
    pub async fn put(
        &self,
        actor: &Actor,
        (site, id): (SiteId, SpaceId),
        title: String,
        roles: Roles,
    ) -> Result<Space, Refusal> {
        check(&title, &roles)?;
        let (actor, now, spaces) = (actor.clone(), self.clock.now(), self.clone());
        let put = move |connection: &Connection| {
            KEPT.may_change(connection, &actor, Some(&site))?;
            let before = table::find(connection, &site, &id)?;
            if before.is_none() && table::count(connection, &site)? >= MAX_SPACES {
                let (what, limit) = ("spaces of a site", MAX_SPACES);
                return Err(Refusal::TooMany { what, limit });
            }
            let space = Space {
                created: before.map_or(now, |before| before.created),
                site,
                id,
                title,
                roles,
            };
            table::put(connection, &space)?;
            let ended = table::end_of_roles(connection, &space)?;
            table::changed(connection, &space.site, now)?;
            let on = KEPT.on(&space.id, Some(&space.site));
            let detail = json!({ "title": space.title, "roles": space.roles, "ended": ended });
            audit::append(connection, now, &actor, "space.put", &on, &detail)?;
            let news = spaces.news(&space.site);
            Ok((space, news))
        };
        let (space, told) = self.store.write(put).await?;
        drop(told);
        Ok(space)
    }

    /// Lists a site's spaces, by name.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for a site that they do not see; [`Refusal::Invalid`] when `page` has no
    /// good limit; as the store.
    pub async fn list(
        &self,
        actor: &Actor,
        site: &SiteId,
        page: &Page,
    ) -> Result<Listed<Space>, Refusal> {
        let (actor, site, page, fetch) = (actor.clone(), site.clone(), page.clone(), page.fetch()?);
        self.store
            .read(move |connection| {
                crate::acting::may_see_site(connection, &actor, &site)?;
                let spaces = table::after(connection, &site, page.after(), fetch)?;
                Ok(Listed::of(spaces, &page, |space| space.id.to_string()))
            })
            .await
    }

    /// A space, and who has which role there.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn get(
        &self,
        actor: &Actor,
        site: &SiteId,
        id: &SpaceId,
    ) -> Result<(Space, Vec<Grant>), Refusal> {
        let (actor, site, id) = (actor.clone(), site.clone(), id.clone());
        self.store
            .read(move |connection| {
                crate::acting::may_see_site(connection, &actor, &site)?;
                let space = known(connection, &site, &id)?;
                let grants = table::grants(connection, &site, &id)?;
                Ok((space, grants))
            })
            .await
    }

    /// Removes a space, and what was granted there.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::Forbidden`] for viewers; as the store.
    pub async fn remove(&self, actor: &Actor, site: &SiteId, id: &SpaceId) -> Result<(), Refusal> {
        let (actor, now, spaces) = (actor.clone(), self.clock.now(), self.clone());
        let (site, id) = (site.clone(), id.clone());
        let removed = move |connection: &Connection| {
            KEPT.may_change(connection, &actor, Some(&site))?;
            known(connection, &site, &id)?;
            table::remove(connection, &site, &id)?;
            table::changed(connection, &site, now)?;
            let on = KEPT.on(&id, Some(&site));
            audit::append(connection, now, &actor, "space.remove", &on, &json!({}))?;
            Ok(spaces.news(&site))
        };
        self.store.write(removed).await.map(drop)
    }

    /// Gives a user a role in a space; the same again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::Forbidden`] for viewers; [`Refusal::Invalid`] for a role
    /// that the space does not have; [`Refusal::TooMany`] beyond [`MAX_GRANTS`]; as the store.
    pub async fn grant(
        &self,
        actor: &Actor,
        (site, id): (SiteId, SpaceId),
        user: User,
        role: RoleName,
    ) -> Result<Grant, Refusal> {
        let (actor, now, spaces) = (actor.clone(), self.clock.now(), self.clone());
        let granted = move |connection: &Connection| {
            KEPT.may_change(connection, &actor, Some(&site))?;
            let space = known(connection, &site, &id)?;
            if !space.roles.contains_key(&role) {
                return Err(Refusal::invalid("role", "one that the space has"));
            }
            if let Some(since) = table::granted(connection, &space, (&user, &role))? {
                return Ok((Grant { user, role, since }, None));
            }
            if table::count_grants(connection, &site, &id)? >= MAX_GRANTS {
                let (what, limit) = ("grants of a space", MAX_GRANTS);
                return Err(Refusal::TooMany { what, limit });
            }
            table::grant(connection, &space, (&user, &role), now)?;
            table::changed(connection, &site, now)?;
            let on = KEPT.on(&id, Some(&site));
            let detail = json!({ "user": user.as_str(), "role": role });
            audit::append(connection, now, &actor, "space.grant", &on, &detail)?;
            let since = now;
            Ok((Grant { user, role, since }, Some(spaces.news(&site))))
        };
        let (grant, told) = self.store.write(granted).await?;
        drop(told);
        Ok(grant)
    }

    /// Takes a role from a user; all that they have in the space when none is said.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also when they do not have it; [`Refusal::Forbidden`] for viewers; as
    /// the store.
    pub async fn revoke(
        &self,
        actor: &Actor,
        (site, id): (SiteId, SpaceId),
        user: User,
        role: Option<RoleName>,
    ) -> Result<(), Refusal> {
        let (actor, now, spaces) = (actor.clone(), self.clock.now(), self.clone());
        let revoked = move |connection: &Connection| {
            KEPT.may_change(connection, &actor, Some(&site))?;
            let space = known(connection, &site, &id)?;
            if table::revoke(connection, &space, (&user, role.as_ref()))? == 0 {
                return Err(Refusal::not_found("grant of", &user));
            }
            table::changed(connection, &site, now)?;
            let on = KEPT.on(&id, Some(&site));
            let detail = json!({ "user": user.as_str(), "role": role });
            audit::append(connection, now, &actor, "space.revoke", &on, &detail)?;
            Ok(spaces.news(&site))
        };
        self.store.write(revoked).await.map(drop)
    }

    /// Tells a device which users may do what in the spaces of its site.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no device; [`Refusal::TooMany`] beyond [`MAX_QUESTIONS`];
    /// what [`Pass::check`] refuses with; as the store.
    pub async fn ask(&self, pass: &Pass, questions: Vec<Question>) -> Result<Answered, Refusal> {
        let Principal::Device { site, .. } = pass.principal() else {
            return Err(Refusal::forbidden("asking about users by who is no device"));
        };
        if questions.len() > MAX_QUESTIONS {
            let (what, limit) = ("questions at a time", MAX_QUESTIONS as u64);
            return Err(Refusal::TooMany { what, limit });
        }
        let site = site.clone();
        let answered = self
            .store
            .read(move |connection| {
                // Before the answers: of what changes meanwhile they are then said to be older.
                let version = table::version(connection, &site)?;
                let answers = questions
                    .iter()
                    .map(|question| answer(connection, &site, question));
                Ok(Answered {
                    answers: answers.collect::<Result<_, _>>()?,
                    version,
                })
            })
            .await?;
        pass.check()?;
        Ok(answered)
    }

    /// Tells a site's devices that are there that its spaces have changed.
    fn news(&self, site: &SiteId) -> Announcement<impl FnMut() + Send + use<>> {
        let (sessions, site) = (self.sessions.clone(), Selector::Site(site.clone()));
        Announcement::new(move || {
            sessions.signal_all(&site, &Signal::Spaces);
        })
    }
}

fn answer(connection: &Connection, site: &SiteId, question: &Question) -> Result<Answer, Refusal> {
    let Ok(id) = question.space.parse() else {
        return Ok(Answer::NoSpace);
    };
    let Some(space) = table::find(connection, site, &id)? else {
        return Ok(Answer::NoSpace);
    };
    let asked = (question.user.parse(), question.action.parse::<ActionName>());
    let (Ok(user), Ok(action)) = asked else {
        return Ok(Answer::NotAllowed);
    };
    let roles = table::roles_of(connection, &space, &user)?;
    let allows = |role: &RoleName| {
        let actions = space.roles.get(role);
        actions.is_some_and(|actions| actions.contains(&action))
    };
    Ok(if roles.iter().any(allows) {
        Answer::Permitted
    } else {
        Answer::NotAllowed
    })
}

fn known(connection: &Connection, site: &SiteId, id: &SpaceId) -> Result<Space, Refusal> {
    let found = table::find(connection, site, id)?;
    found.ok_or_else(|| Refusal::not_found("space", id))
}

fn check(title: &str, roles: &Roles) -> Result<(), Refusal> {
    let length = title.chars().take(MAX_TITLE + 1).count();
    if !(1..=MAX_TITLE).contains(&length) || title.chars().any(char::is_control) {
        let why = format!("1 to {MAX_TITLE} characters, no control characters");
        return Err(Refusal::invalid("title", why));
    }
    let fits = |actions: &BTreeSet<ActionName>| actions.len() <= MAX_ACTIONS;
    if !(1..=MAX_ROLES).contains(&roles.len()) || !roles.values().all(fits) {
        let why = format!("1 to {MAX_ROLES} roles, each of at most {MAX_ACTIONS} actions");
        return Err(Refusal::invalid("roles", why));
    }
    let written = serde_json::to_string(roles).map_err(|_| Refusal::Internal("roles"))?;
    if written.len() > MAX_ROLES_BYTES {
        let why = format!("at most {MAX_ROLES_BYTES} bytes of roles and actions together");
        return Err(Refusal::invalid("roles", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
