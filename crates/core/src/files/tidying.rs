//! What is past its time goes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;

use super::{Files, kept, table};
use crate::contents::PieceKey;
use crate::refusal::Refusal;

/// For how long blocks wait to become part of a file.
pub const KEEP_BLOCKS: Duration = Duration::from_secs(7 * 24 * 3_600);

/// For how long a grant that has ended can be listed.
pub const KEEP_GRANTS: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How much goes in one write, so that it holds nobody up.
const AT_ONCE: u32 = 100;

impl Files {
    /// Removes files that have not changed for as long as they are kept and for which no grant
    /// holds, blocks that nobody has committed, and grants that have ended long ago; at the first
    /// time also what was still coming when the hub ended.
    ///
    /// # Errors
    /// As the store.
    pub(crate) async fn tidy(&self) -> Result<(), Refusal> {
        if !self.swept.swap(true, Ordering::SeqCst) {
            self.sweep().await?;
        }
        while self.clear_some().await? {}
        Ok(())
    }

    /// Removes what was still coming, or going, when the hub ended.
    async fn sweep(&self) -> Result<(), Refusal> {
        let read =
            |connection: &Connection| Ok((kept::needed(connection)?, kept::runs(connection)?));
        let (needed, runs) = self.store.read(read).await?;
        let empty = self.contents.sweep(needed, runs).await?;
        if empty.is_empty() {
            return Ok(());
        }
        let forget = move |connection: &Connection| {
            let mut runs = empty.iter();
            runs.try_for_each(|run| kept::forget_run(connection, run))
        };
        self.store.write(forget).await
    }

    /// Whether there may be more.
    async fn clear_some(&self) -> Result<bool, Refusal> {
        let (now, keep) = (self.clock.now(), self.limits().keep);
        let write = self.store.write(move |connection| {
            let mut gone: Vec<PieceKey> = Vec::new();
            let old = kept::old_files(connection, now, keep, AT_ONCE)?;
            for place in &old {
                gone.extend(kept::remove(connection, place)?);
            }
            let before = now.before(KEEP_BLOCKS);
            let blocks = kept::forget_blocks(connection, before, AT_ONCE)?;
            let grants = table::forget_grants(connection, now.before(KEEP_GRANTS), AT_ONCE)?;
            let counts = [old.len(), blocks.len(), grants];
            gone.extend(blocks);
            let more = counts.iter().any(|count| *count >= AT_ONCE as usize);
            Ok((gone, more))
        });
        let (gone, more) = write.await?;
        self.contents.remove(gone).await;
        Ok(more)
    }
}
