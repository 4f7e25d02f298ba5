//! Requests that are done once however often they are sent (draft-ietf-httpapi-idempotency-key-header).
//!
//! A request that carries a key leaves a mark on the disk before it is carried out and its answer
//! afterwards. The mark is found by a digest that only who sent the request can make, and the
//! answer is sealed by them, so neither tells anything to who reads the disk.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::clock::Clock;
use crate::refusal::Refusal;
use crate::store::Store;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE idempotency (
    mark BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    began INTEGER NOT NULL,
    answer BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_began ON idempotency (began);
";

/// For how long a repeated request is known.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The most bytes of an answer that is kept.
pub const MAX_ANSWER: usize = 65_536;

/// The most requests that are known at a time.
const MAX_KNOWN: u64 = 20_000;

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

    /// Marks that the request of this `mark` begins, unless it is known.
    ///
    /// # Errors
    /// [`Refusal::Limited`] when too many are known; as the store.
    pub async fn begin(&self, mark: [u8; 32], fingerprint: [u8; 32]) -> Result<Begun, Refusal> {
        let clock = self.clock.clone();
        self.store
            .write(move |connection| {
                let now = clock.now();
                connection
                    .prepare_cached(
                        "DELETE FROM idempotency WHERE mark IN
                         (SELECT mark FROM idempotency WHERE began <= ?1 ORDER BY began LIMIT ?2)",
                    )?
                    .execute(params![now.before(KEPT), CLEARED_AT_ONCE])?;
                if let Some(known) = known(connection, mark, fingerprint)? {
                    return Ok(known);
                }
                let count: u64 = connection
                    .prepare_cached("SELECT count(*) FROM idempotency")?
                    .query_row([], |row| row.get(0))?;
                if count >= MAX_KNOWN {
                    return Err(Refusal::Limited {
                        what: "requests with an idempotency key",
                        retry_after: RETRY_AFTER,
                    });
                }
                connection
                    .prepare_cached(
                        "INSERT INTO idempotency (mark, fingerprint, began) VALUES (?1, ?2, ?3)",
                    )?
                    .execute(params![mark, fingerprint, now])?;
                Ok(Begun::Now)
            })
            .await
    }

    /// Keeps the sealed `answer` of a request. One larger than [`MAX_ANSWER`] is not kept: the
    /// request stays known as begun.
    ///
    /// # Errors
    /// As the store.
    pub async fn settle(&self, mark: [u8; 32], answer: Vec<u8>) -> Result<(), Refusal> {
        if answer.len() > MAX_ANSWER {
            return Ok(());
        }
        self.store
            .write(move |connection| {
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
                connection
                    .prepare_cached("DELETE FROM idempotency WHERE mark = ?1")?
                    .execute(params![mark])?;
                Ok(())
            })
            .await
    }
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
    use crate::clock::Timestamp;

    fn opened() -> (tempfile::TempDir, Idempotency) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let clock = Clock::held(Timestamp::from_millis(1_700_000_000_000));
        (folder, Idempotency::new(store, clock))
    }

    #[tokio::test]
    async fn a_request_is_new_once_and_its_answer_is_told_again() {
        let (_folder, known) = opened();
        assert_eq!(known.begin([1; 32], [7; 32]).await.unwrap(), Begun::Now);
        assert_eq!(
            known.begin([1; 32], [7; 32]).await.unwrap(),
            Begun::Unsettled
        );
        known.settle([1; 32], b"answer".to_vec()).await.unwrap();
        let before = Begun::Before(b"answer".to_vec());
        assert_eq!(known.begin([1; 32], [7; 32]).await.unwrap(), before);
        assert_eq!(
            known.begin([1; 32], [8; 32]).await.unwrap(),
            Begun::Otherwise
        );
        assert_eq!(known.begin([2; 32], [7; 32]).await.unwrap(), Begun::Now);
    }

    #[tokio::test]
    async fn a_refused_request_and_an_old_one_may_be_sent_again() {
        let (_folder, known) = opened();
        known.begin([1; 32], [7; 32]).await.unwrap();
        known.forget([1; 32]).await.unwrap();
        assert_eq!(known.begin([1; 32], [7; 32]).await.unwrap(), Begun::Now);
        known.clock.advance(KEPT - Duration::from_millis(1));
        assert_eq!(
            known.begin([1; 32], [7; 32]).await.unwrap(),
            Begun::Unsettled
        );
        known.clock.advance(Duration::from_millis(1));
        assert_eq!(known.begin([1; 32], [7; 32]).await.unwrap(), Begun::Now);
    }

    #[tokio::test]
    async fn an_answer_too_large_is_not_kept_and_not_done_twice() {
        let (_folder, known) = opened();
        known.begin([1; 32], [7; 32]).await.unwrap();
        known
            .settle([1; 32], vec![0; MAX_ANSWER + 1])
            .await
            .unwrap();
        assert_eq!(
            known.begin([1; 32], [7; 32]).await.unwrap(),
            Begun::Unsettled
        );
    }
}
