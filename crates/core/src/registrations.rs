//! Where devices are reached by push: the registration tokens that somebody else's service has given
//! them, as they report them.
//!
//! A token leads to one application on one device, and says nothing of who holds it. So each device
//! has its own list, and what one reports changes nothing for another.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::json;

use crate::acting;
use crate::clock::{Clock, Timestamp};
use crate::happening::Hook;
use crate::id::DeviceId;
use crate::identity::Actor;
use crate::limits::{Rate, Turns};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::Pass;
use crate::store::Store;

/// The most registrations of a device: one for each application on it.
pub const MAX_REGISTRATIONS: usize = 8;

/// The most bytes of a registration token; those of FCM have some 160.
pub const MAX_TOKEN: usize = 1_024;

/// How often a device may report its registrations, at once and then a second. They change with an
/// installation, or after months.
const REPORTS: Rate = Rate {
    burst: 20,
    every: Duration::from_secs(1),
};

/// The table of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE push_registration (
    device TEXT NOT NULL,
    token BLOB NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (device, token)
) STRICT, WITHOUT ROWID;
";

/// Where a device is reached.
#[derive(Clone, Debug)]
pub struct Registration {
    /// What leads to it.
    pub token: Secret,
    /// Since when it is known.
    pub since: Timestamp,
}

impl Registration {
    /// What it is called where people see it: 16 digits of the token's SHA-256.
    #[must_use]
    pub fn name(&self) -> String {
        let digest = self.token.digest();
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The registrations of all devices.
#[derive(Clone, Debug)]
pub struct Registrations {
    store: Store,
    clock: Clock,
    reports: Arc<Turns>,
}

impl Registrations {
    pub(crate) fn new(store: Store, clock: Clock, hook: Hook) -> Self {
        let turns = Turns::new("reports of registrations", REPORTS, clock.clone(), hook);
        Self {
            store,
            clock,
            reports: Arc::new(turns),
        }
    }

    /// The device of `pass` is reached by these tokens from now on, and by no others.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when it is no device's; [`Refusal::TooMany`], [`Refusal::TooLarge`],
    /// [`Refusal::Invalid`] when a token is none; [`Refusal::Limited`] when it comes too soon after
    /// others; [`Refusal::Revoked`]; as the store.
    pub async fn replace(&self, pass: Pass, tokens: Vec<String>) -> Result<(), Refusal> {
        let device = pass.device()?.clone();
        check(&tokens)?;
        self.reports.take(&pass)?;
        let clock = self.clock.clone();
        let replace = move |connection: &Connection| {
            pass.check()?;
            for known in listed(connection, &device)? {
                let stays = tokens
                    .iter()
                    .any(|token| known.token.matches(token.as_bytes()));
                if !stays {
                    forget(connection, &device, known.token.expose())?;
                }
            }
            let mut insert = connection.prepare_cached(
                "INSERT OR IGNORE INTO push_registration (device, token, since) VALUES (?1, ?2, ?3)",
            )?;
            for token in &tokens {
                insert.execute(params![device, token.as_bytes(), clock.now()])?;
            }
            Ok(())
        };
        self.store.write(replace).await
    }

    /// Where a device is reached, as an operator sees it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn list(
        &self,
        actor: &Actor,
        device: &DeviceId,
    ) -> Result<Vec<Registration>, Refusal> {
        let (actor, device) = (actor.clone(), device.clone());
        let list = move |connection: &Connection| {
            acting::may_see(connection, &actor, &device)?;
            listed(connection, &device)
        };
        self.store.read(list).await
    }

    /// Where a device is reached, for an operator who pushes something to it, which is noted in
    /// the audit log.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; [`Refusal::Invalid`] when the device has been
    /// revoked; as the store.
    pub async fn push(
        &self,
        actor: &Actor,
        device: &DeviceId,
    ) -> Result<Vec<Registration>, Refusal> {
        let (actor, device, clock) = (actor.clone(), device.clone(), self.clock.clone());
        let push = move |connection: &Connection| {
            let found = listed(connection, &device)?;
            let detail = json!({"registrations": found.len()});
            let act = (clock.now(), "push.send");
            acting::act(connection, &actor, &device, act, &detail)?;
            Ok(found)
        };
        self.store.write(push).await
    }

    /// A device is no longer reached there: whoever gave it the token says so.
    ///
    /// # Errors
    /// As the store.
    pub async fn gone(&self, device: &DeviceId, token: Secret) -> Result<(), Refusal> {
        let device = device.clone();
        let gone = move |connection: &Connection| forget(connection, &device, token.expose());
        self.store.write(gone).await
    }
}

/// Forgets where `device` is reached.
pub(crate) fn forget_all(connection: &Connection, device: &DeviceId) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM push_registration WHERE device = ?1")?
        .execute([device])?;
    Ok(())
}

/// Whether all of these may be tokens.
fn check(tokens: &[String]) -> Result<(), Refusal> {
    if tokens.len() > MAX_REGISTRATIONS {
        return Err(Refusal::TooMany {
            what: "registrations of a device",
            limit: MAX_REGISTRATIONS as u64,
        });
    }
    if tokens.iter().any(|token| token.len() > MAX_TOKEN) {
        return Err(Refusal::TooLarge {
            what: "bytes of a registration token",
            limit: MAX_TOKEN as u64,
        });
    }
    let is_token =
        |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if tokens.iter().all(is_token) {
        Ok(())
    } else {
        Err(Refusal::invalid("tokens", "printable ASCII without spaces"))
    }
}

pub(crate) fn listed(
    connection: &Connection,
    device: &DeviceId,
) -> Result<Vec<Registration>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT token, since FROM push_registration WHERE device = ?1 ORDER BY since, token",
    )?;
    let found = statement.query_map([device], |row| {
        Ok(Registration {
            token: Secret::new(row.get(0)?),
            since: row.get(1)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn forget(connection: &Connection, device: &DeviceId, token: &[u8]) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM push_registration WHERE device = ?1 AND token = ?2")?
        .execute(params![device, token])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::sessions::tests::device_session;
    use crate::sessions::{Ending, Selector, Sessions};

    struct Bench {
        registrations: Registrations,
        sessions: Sessions,
        clock: Clock,
        _folder: tempfile::TempDir,
    }

    fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::held(Timestamp::from_millis(1_000));
        let store = crate::store::of_tests(folder.path());
        Bench {
            registrations: Registrations::new(store, clock.clone(), Hook::default()),
            sessions: Sessions::new(clock.clone()),
            clock,
            _folder: folder,
        }
    }

    impl Bench {
        async fn report(&self, pass: &Pass, tokens: &[&str]) -> Result<(), Refusal> {
            let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
            self.registrations.replace(pass.clone(), tokens).await
        }

        /// The tokens of a device, and since when they are known.
        async fn of(&self, device: &str) -> Vec<(String, i64)> {
            let device = device.parse().unwrap();
            let list = move |connection: &Connection| listed(connection, &device);
            let found = self.registrations.store.read(list).await.unwrap();
            let text = |token: &Secret| String::from_utf8(token.expose().to_vec()).unwrap();
            found
                .iter()
                .map(|one| (text(&one.token), one.since.as_millis()))
                .collect()
        }
    }

    #[tokio::test]
    async fn what_a_device_reports_takes_the_place_of_what_it_said_before() {
        let bench = bench();
        let session = device_session(&bench.sessions);
        let pass = session.pass();
        bench.report(&pass, &["a", "b", "a"]).await.unwrap();
        bench.clock.advance(Duration::from_secs(1));
        bench.report(&pass, &["b", "c"]).await.unwrap();
        let kept = [("b".to_owned(), 1_000), ("c".to_owned(), 2_000)];
        assert_eq!(bench.of("till-1").await, kept);
        assert!(bench.of("till-2").await.is_empty());
        let (till, b) = ("till-1".parse().unwrap(), Secret::new(b"b".to_vec()));
        bench.registrations.gone(&till, b).await.unwrap();
        assert_eq!(bench.of("till-1").await, kept[1..]);
        bench.report(&pass, &[]).await.unwrap();
        assert!(bench.of("till-1").await.is_empty());
    }

    #[tokio::test]
    async fn too_many_too_long_too_often_or_no_token_is_refused() {
        let bench = bench();
        let session = device_session(&bench.sessions);
        let pass = session.pass();
        let names: Vec<String> = (0..=MAX_REGISTRATIONS).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let long = "a".repeat(MAX_TOKEN + 1);
        let refused = bench.report(&pass, &names).await;
        assert!(
            matches!(refused, Err(Refusal::TooMany { .. })),
            "{refused:?}"
        );
        let refused = bench.report(&pass, &[&long]).await;
        assert!(
            matches!(refused, Err(Refusal::TooLarge { .. })),
            "{refused:?}"
        );
        for none in ["", "a b", "ö"] {
            let refused = bench.report(&pass, &[none]).await;
            assert!(
                matches!(refused, Err(Refusal::Invalid { .. })),
                "{refused:?}"
            );
        }
        bench.report(&pass, &names[1..]).await.unwrap();
        for _ in 1..REPORTS.burst {
            bench.report(&pass, &[]).await.unwrap();
        }
        let refused = bench.report(&pass, &["a"]).await;
        assert!(
            matches!(refused, Err(Refusal::Limited { .. })),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_revoked_device_reports_nothing() {
        let bench = bench();
        let session = device_session(&bench.sessions);
        let pass = session.pass();
        drop(session);
        let end = bench
            .sessions
            .end(&Selector::All, Ending::Revoked, Duration::ZERO);
        end.await;
        let refused = bench.report(&pass, &["a"]).await;
        assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
        assert!(bench.of("till-1").await.is_empty());
    }

    #[test]
    fn a_registration_is_shown_by_a_name_that_does_not_give_it_away() {
        let registration = Registration {
            token: Secret::new(b"abc".to_vec()),
            since: Timestamp::from_millis(0),
        };
        // The beginning of the SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        assert_eq!(registration.name(), "ba7816bf8f01cfea");
        assert!(!format!("{registration:?}").contains("abc"));
    }
}
