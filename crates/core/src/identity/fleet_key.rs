//! Fleet keys: with which new devices enrol.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde::Serialize;
use serde_json::json;

use super::act::{Act, Done};
use super::{Actor, Identity, LOOKUPS, Listed, Page, Role, credential, site};
use crate::clock::Timestamp;
use crate::id::{DeviceId, FleetKeyId, MAX_NAME, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Ending, Selector};

/// A key with which new devices enrol, as it may be told.
#[derive(Clone, Debug, Serialize)]
pub struct FleetKey {
    /// Its name.
    pub id: FleetKeyId,
    /// Where its devices will stand.
    pub site: SiteId,
    /// Which names they may have: `*` stands for any number of characters.
    pub ids: String,
    /// How many may enrol with it.
    pub uses: u32,
    /// How many have.
    pub used: u32,
    /// Until when.
    pub expires: Timestamp,
    /// From where; everywhere when empty.
    pub from: Vec<IpNet>,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
    /// Since when.
    pub created: Timestamp,
}

/// What a fleet key is to be good for.
#[derive(Clone, Debug)]
pub struct NewFleetKey {
    /// Where its devices will stand.
    pub site: SiteId,
    /// Which names they may have: `*` stands for any number of characters.
    pub ids: String,
    /// How many may enrol with it, 1 to [`MAX_USES`].
    pub uses: u32,
    /// For how long, a minute to [`MAX_FLEET_KEY_LIFE`].
    pub lasts: Duration,
    /// From where; everywhere when empty, at most [`MAX_NETWORKS`].
    pub from: Vec<IpNet>,
    /// The key itself, of 16 to 64 bytes, when devices know it already; else one is made.
    pub key: Option<Secret>,
}

/// The most devices that enrol with one key.
pub const MAX_USES: u32 = 1_000_000;

/// The longest that a fleet key lasts.
pub const MAX_FLEET_KEY_LIFE: Duration = Duration::from_secs(366 * 86_400);

/// The most networks from which devices may enrol with one key.
pub const MAX_NETWORKS: usize = 64;

/// The most `*` in a pattern of names: bounds what matching costs.
const MAX_STARS: usize = 8;

/// Bytes of a fleet key (the length of its SHA-256 HMAC).
const KEY_LENGTH: usize = 32;

const COLUMNS: &str = "id, site, ids, uses, used, expires, networks, revoked, created";

impl Identity {
    /// Makes a fleet key. The key itself, 32 bytes that are shown in base 64, is told only now.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no admin, [`Refusal::NotFound`] for a site that they do
    /// not see, [`Refusal::Invalid`] for what is out of bounds; as the store.
    pub async fn create_fleet_key(
        &self,
        actor: &Actor,
        new: NewFleetKey,
    ) -> Result<(FleetKey, Secret), Refusal> {
        let id = FleetKeyId::made_up()?;
        let act = Act::new(actor, Role::Admin, "fleet-key.create", on(&id));
        let vault = self.vault.clone();
        let work = move |connection: &Connection, actor: &Actor, now: Timestamp| {
            site::seen_by(connection, actor, &new.site)?;
            check(&new)?;
            let given = new.key.is_some();
            let key = match new.key {
                Some(key) => key,
                None => Secret::random(KEY_LENGTH)?,
            };
            let made = FleetKey {
                id,
                site: new.site,
                ids: new.ids,
                uses: new.uses,
                used: 0,
                expires: now.after(new.lasts),
                from: new.from,
                revoked: None,
                created: now,
            };
            insert(connection, &made, &vault.seal(&on(&made.id), &key)?)?;
            let detail = json!({
                "site": made.site.as_str(), "ids": made.ids, "uses": made.uses,
                "expires": made.expires.to_string(), "from": made.from, "given": given,
            });
            Ok(Done::new((made, key)).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Lists fleet keys, by name.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, [`Refusal::Invalid`] when `page` has no good limit; as
    /// the store.
    pub async fn fleet_keys(
        &self,
        actor: &Actor,
        page: &Page,
    ) -> Result<Listed<FleetKey>, Refusal> {
        actor.require(Role::Operator, "listing fleet keys")?;
        let (page, only, fetch) = (page.clone(), actor.scope.site().cloned(), page.fetch()?);
        self.store
            .read(move |connection| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM fleet_keys WHERE id > :after
                     AND (:only IS NULL OR site = :only) ORDER BY id LIMIT :fetch"
                );
                let keys = connection
                    .prepare_cached(&sql)?
                    .query_map(
                        named_params! { ":after": page.after(), ":only": only, ":fetch": fetch },
                        read,
                    )?
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Listed::of(keys, &page, |key| key.id.to_string()))
            })
            .await
    }

    /// Revokes a fleet key. Devices that enrolled with it stay; what is being looked up at its site
    /// is broken off.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn revoke_fleet_key(
        &self,
        actor: &Actor,
        id: &FleetKeyId,
    ) -> Result<FleetKey, Refusal> {
        let act = Act::new(actor, Role::Admin, "fleet-key.revoke", on(id));
        let id = id.clone();
        let work = move |connection: &Connection, actor: &Actor, now| {
            let found = find(connection, &id)?.filter(|key| actor.scope.sees(&key.site));
            if found.is_none() {
                return Err(Refusal::not_found("fleet key", &id));
            }
            connection
                .prepare_cached(
                    "UPDATE fleet_keys SET revoked = coalesce(revoked, ?2), sealed = NULL
                     WHERE id = ?1",
                )?
                .execute((&id, now))?;
            let key = find(connection, &id)?.ok_or_else(|| Refusal::not_found("fleet key", &id))?;
            // Those that another fleet key of the site vouches for come back by themselves.
            let lookups = Selector::ViaAt(LOOKUPS, key.site.clone());
            Ok(Done::new(key).ends(lookups, Ending::Draining))
        };
        Ok(self.act(act, work).await?.0)
    }
}

/// How a fleet key is called in the audit log, and what it is sealed for.
pub(super) fn on(id: &FleetKeyId) -> String {
    format!("fleet-key/{id}")
}

pub(super) fn find(connection: &Connection, id: &FleetKeyId) -> Result<Option<FleetKey>, Refusal> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM fleet_keys WHERE id = ?1"))?
        .query_row([id], read)
        .optional()?)
}

/// The key itself, sealed; none once it has been revoked.
pub(super) fn sealed(connection: &Connection, id: &FleetKeyId) -> Result<Option<Vec<u8>>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT sealed FROM fleet_keys WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?
        .flatten())
}

/// Of fleet keys that hold at `now`, with which one more device may enrol under `name`, the newest
/// first: their names and the keys, sealed. At most `most` of them.
pub(super) fn open_to(
    connection: &Connection,
    name: &str,
    now: Timestamp,
    most: usize,
) -> Result<Vec<(FleetKeyId, Vec<u8>)>, Refusal> {
    let mut found = connection.prepare_cached(
        "SELECT id, sealed, ids FROM fleet_keys WHERE revoked IS NULL AND sealed IS NOT NULL
         AND expires > ?1 AND used < uses ORDER BY created DESC, rowid DESC",
    )?;
    let rows = found.query_map([now], |row| {
        let ids: String = row.get(2)?;
        Ok((fits(&ids, name), (row.get(0)?, row.get(1)?)))
    })?;
    let fitting = rows.filter_map(|row| match row {
        Ok((true, key)) => Some(Ok(key)),
        Ok((false, _)) => None,
        Err(error) => Some(Err(error)),
    });
    Ok(fitting.take(most).collect::<Result<_, _>>()?)
}

/// Counts one more device, if there may be one more.
pub(super) fn count(connection: &Connection, id: &FleetKeyId) -> Result<(), Refusal> {
    let counted = connection
        .prepare_cached("UPDATE fleet_keys SET used = used + 1 WHERE id = ?1 AND used < uses")?
        .execute([id])?;
    if counted == 1 {
        Ok(())
    } else {
        Err(Refusal::forbidden(
            "enrolling more devices with this fleet key",
        ))
    }
}

/// Whether the key is good for this device, from there, now.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(super) fn permit(
    key: &FleetKey,
    device: &DeviceId,
    peer: IpAddr,
    now: Timestamp,
) -> Result<(), Refusal> {
    let peer = peer.to_canonical();
    if key.expires <= now {
        return Err(Refusal::forbidden("coming with a fleet key that has ended"));
    }
    if !key.from.is_empty() && !key.from.iter().any(|network| network.contains(&peer)) {
        return Err(Refusal::forbidden(
            "coming with this fleet key from this address",
        ));
    }
    if !fits(&key.ids, device.as_str()) {
        return Err(Refusal::forbidden(
            "coming with this fleet key under this name",
        ));
    }
    Ok(())
}

/// Whether `name` is one that `pattern` stands for, in which `*` stands for any number of characters.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    // The leftmost place for each part leaves the most for those after it.
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn check(new: &NewFleetKey) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@=~*".contains(&byte);
    let stars = new.ids.bytes().filter(|byte| *byte == b'*').count();
    if new.ids.is_empty()
        || new.ids.len() > MAX_NAME
        || stars > MAX_STARS
        || !new.ids.bytes().all(plain)
    {
        let why = "1 to 128 of A-Z a-z 0-9 - . _ : @ = ~, and up to 8 of *";
        return Err(Refusal::invalid("ids", why));
    }
    if !(1..=MAX_USES).contains(&new.uses) {
        return Err(Refusal::invalid("uses", "1 to 1,000,000"));
    }
    if !(super::MIN_LIFE..=MAX_FLEET_KEY_LIFE).contains(&new.lasts) {
        return Err(Refusal::invalid("lasts", "a minute to 366 days"));
    }
    new.key.as_ref().map_or(Ok(()), credential::check_given)?;
    if new.from.len() > MAX_NETWORKS {
        return Err(Refusal::invalid("from", "at most 64 networks"));
    }
    Ok(())
}

fn insert(connection: &Connection, key: &FleetKey, sealed: &[u8]) -> Result<(), Refusal> {
    let networks = serde_json::to_string(&key.from)
        .map_err(|_| Refusal::Internal("networks could not be written"))?;
    connection
        .prepare_cached(
            "INSERT INTO fleet_keys (id, site, ids, uses, expires, networks, sealed, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            &key.id,
            &key.site,
            &key.ids,
            key.uses,
            key.expires,
            networks,
            sealed,
            key.created,
        ))?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<FleetKey> {
    let networks: String = row.get(6)?;
    let from = serde_json::from_str(&networks).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(6, Type::Text, Box::new(error))
    })?;
    Ok(FleetKey {
        id: row.get(0)?,
        site: row.get(1)?,
        ids: row.get(2)?,
        uses: row.get(3)?,
        used: row.get(4)?,
        expires: row.get(5)?,
        from,
        revoked: row.get(7)?,
        created: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fits;

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        for (pattern, name, fitting) in [
            ("till-1", "till-1", true),
            ("till-1", "till-12", false),
            ("till-*", "till-", true),
            ("till-*", "till-12", true),
            ("till-*", "a-till-12", false),
            ("*", "anything", true),
            ("*-shop", "till-1-shop", true),
            ("*-shop", "-shop-", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*ab*b", "aab", false),
            ("a*ab*b", "aabb", true),
            ("**", "", true),
        ] {
            assert_eq!(fits(pattern, name), fitting, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_trying_everything(pattern in "[ab*]{0,7}", name in "[ab]{0,7}") {
            prop_assert_eq!(fits(&pattern, &name), slowly(pattern.as_bytes(), name.as_bytes()));
        }
    }

    fn slowly(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|skip| slowly(rest, &name[skip..])),
            ([one, rest @ ..], [same, others @ ..]) => one == same && slowly(rest, others),
            ([], _) | (_, []) => false,
        }
    }
}
