//! Requests that are done once however often they are sent (draft-ietf-httpapi-idempotency-key-header).
//!
//! A request that carries a key leaves a mark on the disk before it is carried out and its answer
//! afterwards. The mark is found by a digest that only who sent the request can make, and the
//! answer is sealed by them, so neither tells anything to who reads the disk.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::clock::{Clock, Timestamp};
use crate::id::SiteId;
use crate::limits::{InUse, Quota, Share};
use crate::refusal::Refusal;
use crate::store::Store;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE idempotency (
    mark BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    began INTEGER NOT NULL,
    whose TEXT NOT NULL,
    -- Of whose, when they see one site only.
    site TEXT,
    answer BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_began ON idempotency (began);

-- How many there are of each: counting them takes too long on the writer's thread. Names as in
-- `counters`.
CREATE TABLE idempotency_known (
    name TEXT PRIMARY KEY,
    known INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// For how long a repeated request is known.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The most bytes of an answer that is kept.
pub const MAX_ANSWER: usize = 65_536;

/// How many requests are known at a time.
pub const QUOTA: Quota = Quota {
    each: 5_000,
    site: 7_500,
    sites: 15_000,
    all: 20_000,
};

/// How many forgotten ones are cleared away for each new one, so that clearing keeps up.
const CLEARED_AT_ONCE: u32 = 16;

/// When to come again if too many are known.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it may be carried out now.
    Now,
    /// It was carried out, and this was the answer, sealed.
    Before(Vec<u8>),
    /// It has begun, and what came of it is not known (yet).
    Unsettled,
    /// The key was used for another request.
    Otherwise,
}

/// The requests that are known.
#[derive(Clone, Debug)]
pub struct Idempotency {
    store: Store,
    clock: Clock,
}

impl Idempotency {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Marks that the request of this `mark`, which uses up `share`, begins, unless it is known.
    ///
    /// # Errors
    /// [`Refusal::Limited`] when too many are known of those who ask ([`QUOTA`]); as the store.
    pub async fn begin(
        &self,
        share: Share,
        mark: [u8; 32],
        fingerprint: [u8; 32],
    ) -> Result<Begun, Refusal> {
        let clock = self.clock.clone();
        self.store
            .write(move |connection| {
                let now = clock.now();
                clear(connection, now)?;
                if let Some(known) = known(connection, mark, fingerprint)? {
                    return Ok(known);
                }
                if QUOTA
                    .reached(&share, &in_use(connection, &share)?)
                    .is_some()
                {
                    return Err(Refusal::Limited {
                        what: "requests with an idempotency key",
                        retry_after: RETRY_AFTER,
                    });
                }
                let site = share.site().map(SiteId::as_str);
                connection
                    .prepare_cached(
                        "INSERT INTO idempotency (mark, fingerprint, began, whose, site)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![mark, fingerprint, now, share.whose, site])?;
                count(connection, &share.whose, site, 1)?;
                Ok(Begun::Now)
            })
            .await
    }

    /// Keeps the sealed `answer` of a request. One larger than [`MAX_ANSWER`] is not kept: the
    /// request stays known as begun.
    ///
    /// # Errors
    /// [`Refusal::Full`]; as the store.
    pub async fn settle(&self, mark: [u8; 32], answer: Vec<u8>) -> Result<(), Refusal> {
        if answer.len() > MAX_ANSWER {
            return Ok(());
        }
        self.store
            .write_bulk(answer.len(), move |connection| {
                connection
                    .prepare_cached("UPDATE idempotency SET answer = ?2 WHERE mark = ?1")?
                    .execute(params![mark, answer])?;
                Ok(())
            })
            .await
    }

    /// Forgets a request that was refused: it may be sent again.
    ///
    /// # Errors
    /// As the store.
    pub async fn forget(&self, mark: [u8; 32]) -> Result<(), Refusal> {
        self.store
            .write(move |connection| {
                let gone = connection
                    .prepare_cached(
                        "DELETE FROM idempotency WHERE mark = ?1 RETURNING whose, site",
                    )?
                    .query_row(params![mark], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                if let Some((whose, site)) = gone {
                    let (whose, site): (String, Option<String>) = (whose, site);
                    count(connection, &whose, site.as_deref(), -1)?;
                }
                Ok(())
            })
            .await
    }
}

/// Clears some that are no longer known away.
fn clear(connection: &Connection, now: Timestamp) -> Result<(), Refusal> {
    let gone = connection
        .prepare_cached(
            "DELETE FROM idempotency WHERE mark IN
             (SELECT mark FROM idempotency WHERE began <= ?1 ORDER BY began LIMIT ?2)
             RETURNING whose, site",
        )?
        .query_map(params![now.before(KEPT), CLEARED_AT_ONCE], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<Vec<(String, Option<String>)>, _>>()?;
    for (whose, site) in gone {
        count(connection, &whose, site.as_deref(), -1)?;
    }
    Ok(())
}

/// What `share` has in use of each bound.
fn in_use(connection: &Connection, share: &Share) -> Result<InUse, Refusal> {
    let [all, each, site, sites] = counters(&share.whose, share.site().map(SiteId::as_str));
    let known = |name: Option<String>| -> Result<u64, Refusal> {
        let Some(name) = name else { return Ok(0) };
        let known = connection
            .prepare_cached("SELECT known FROM idempotency_known WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        Ok(known.unwrap_or(0))
    };
    Ok(InUse {
        each: known(each)?,
        site: known(site)?,
        sites: known(sites)?,
        all: known(all)?,
    })
}

/// Counts one more or one less.
fn count(
    connection: &Connection,
    whose: &str,
    site: Option<&str>,
    more: i64,
) -> Result<(), Refusal> {
    for name in counters(whose, site).into_iter().flatten() {
        connection
            .prepare_cached(
                "INSERT INTO idempotency_known (name, known) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET known = known + ?2",
            )?
            .execute(params![name, more])?;
        connection
            .prepare_cached("DELETE FROM idempotency_known WHERE name = ?1 AND known <= 0")?
            .execute([name])?;
    }
    Ok(())
}

/// Under which names one is counted: in all, whose it is, the site, all sites.
fn counters(whose: &str, site: Option<&str>) -> [Option<String>; 4] {
    [
        Some("all".to_owned()),
        Some(format!("of/{whose}")),
        site.map(|site| format!("site/{site}")),
        site.map(|_| "sites".to_owned()),
    ]
}

fn known(
    connection: &Connection,
    mark: [u8; 32],
    fingerprint: [u8; 32],
) -> Result<Option<Begun>, Refusal> {
    let found: Option<([u8; 32], Option<Vec<u8>>)> = connection
        .prepare_cached("SELECT fingerprint, answer FROM idempotency WHERE mark = ?1")?
        .query_row(params![mark], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(kept, answer)| match answer {
        _ if kept != fingerprint => Begun::Otherwise,
        Some(answer) => Begun::Before(answer),
        None => Begun::Unsettled,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Scope;

    fn ann() -> Share {
        Share::new("operator/ann", Scope::All)
    }

    fn erp(n: usize, site: &str) -> Share {
        Share::new(
            format!("service/erp-{n}"),
            Scope::Site(site.parse().unwrap()),
        )
    }

    /// A mark of its own for each number.
    fn mark(n: u64) -> [u8; 32] {
        let mut mark = [0; 32];
        mark[..8].copy_from_slice(&n.to_be_bytes());
        mark
    }

    fn opened() -> (tempfile::TempDir, Idempotency) {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::of_tests(folder.path());
        let clock = Clock::held(Timestamp::from_millis(1_700_000_000_000));
        (folder, Idempotency::new(store, clock))
    }

    #[tokio::test]
    async fn a_request_is_new_once_and_its_answer_is_told_again() {
        let (_folder, known) = opened();
        assert_eq!(
            known.begin(ann(), [1; 32], [7; 32]).await.unwrap(),
            Begun::Now
        );
        assert_eq!(
            known.begin(ann(), [1; 32], [7; 32]).await.unwrap(),
            Begun::Unsettled
        );
        known.settle([1; 32], b"answer".to_vec()).await.unwrap();
        let before = Begun::Before(b"answer".to_vec());
        assert_eq!(known.begin(ann(), [1; 32], [7; 32]).await.unwrap(), before);
        assert_eq!(
            known.begin(ann(), [1; 32], [8; 32]).await.unwrap(),
            Begun::Otherwise
        );
        assert_eq!(
            known.begin(ann(), [2; 32], [7; 32]).await.unwrap(),
            Begun::Now
        );
    }

    #[tokio::test]
    async fn a_refused_request_and_an_old_one_may_be_sent_again() {
        let (_folder, known) = opened();
        known.begin(ann(), [1; 32], [7; 32]).await.unwrap();
        known.forget([1; 32]).await.unwrap();
        assert_eq!(
            known.begin(ann(), [1; 32], [7; 32]).await.unwrap(),
            Begun::Now
        );
        known.clock.advance(KEPT - Duration::from_millis(1));
        assert_eq!(
            known.begin(ann(), [1; 32], [7; 32]).await.unwrap(),
            Begun::Unsettled
        );
        known.clock.advance(Duration::from_millis(1));
        assert_eq!(
            known.begin(ann(), [1; 32], [7; 32]).await.unwrap(),
            Begun::Now
        );
    }

    #[tokio::test]
    async fn an_answer_too_large_is_not_kept_and_not_done_twice() {
        let (_folder, known) = opened();
        known.begin(ann(), [1; 32], [7; 32]).await.unwrap();
        known
            .settle([1; 32], vec![0; MAX_ANSWER + 1])
            .await
            .unwrap();
        assert_eq!(
            known.begin(ann(), [1; 32], [7; 32]).await.unwrap(),
            Begun::Unsettled
        );
    }

    /// Begins requests of `share` until there are too many. Returns how many there were.
    async fn fill(known: &Idempotency, share: &Share, first: u64) -> u64 {
        let mut n = first;
        loop {
            let mut batch = tokio::task::JoinSet::new();
            for n in n..n + 500 {
                let (known, share) = (known.clone(), share.clone());
                batch.spawn(async move { known.begin(share, mark(n), [7; 32]).await.is_ok() });
            }
            let good = batch.join_all().await.into_iter().filter(|good| *good);
            let good = good.count();
            n += u64::try_from(good).unwrap();
            if good < 500 {
                return n - first;
            }
        }
    }

    #[tokio::test]
    async fn nobody_fills_it_for_the_others() {
        let (_folder, known) = opened();
        assert_eq!(fill(&known, &erp(0, "evil"), 0).await, QUOTA.each);
        let rest = fill(&known, &erp(1, "evil"), 100_000).await;
        assert_eq!(rest, QUOTA.site - QUOTA.each);
        let other = known.begin(erp(2, "shop"), mark(200_000), [7; 32]);
        assert_eq!(other.await.unwrap(), Begun::Now);
        assert_eq!(
            known.begin(ann(), mark(300_000), [7; 32]).await.unwrap(),
            Begun::Now
        );
        known.forget(mark(0)).await.unwrap();
        let again = known.begin(erp(1, "evil"), mark(0), [7; 32]).await;
        assert_eq!(again.unwrap(), Begun::Now, "one was forgotten");
        let full = known.begin(erp(1, "evil"), mark(400_000), [7; 32]).await;
        assert!(matches!(full, Err(Refusal::Limited { .. })), "{full:?}");
        known.clock.advance(KEPT);
        let later = known.begin(erp(1, "evil"), mark(400_000), [7; 32]).await;
        assert_eq!(later.unwrap(), Begun::Now, "old ones no longer count");
    }
}
