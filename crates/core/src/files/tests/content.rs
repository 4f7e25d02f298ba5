//! What is put into files, and what is read of them.

use bytes::Bytes;

use super::*;
use crate::contents::{Hashes, Whole};
use crate::files::block::MAX_BLOCK_ID;

mod shared;

const MANY: usize = 3 << 20;

impl Bench {
    /// The right to do something to a file, and the session that gives it.
    async fn access(&self, place: Place, verb: Verb) -> (Issued, Admitted) {
        let issued = self.give(place, verb, DAY).await;
        let admitted = self.admit(&issued).await.unwrap();
        (issued, admitted)
    }

    async fn whole(&self, access: &Access, bytes: &[u8]) -> Result<Whole, Refusal> {
        let coming = self.core.files.begin(access, Hashes::Sha256).await?;
        let coming = coming.take(Bytes::copy_from_slice(bytes)).await?;
        coming.finish().await
    }

    async fn put(&self, access: &Access, bytes: &[u8]) -> Result<File, Refusal> {
        let whole = self.whole(access, bytes).await?;
        let described = Described::nothing();
        self.core.files.put(access, whole, described).await
    }

    async fn stage(&self, access: &Access, id: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let whole = self.whole(access, bytes).await?;
        let id = id.parse().unwrap();
        self.core.files.stage(access, id, whole).await
    }

    async fn commit(&self, access: &Access, ids: &[(&str, Which)]) -> Result<File, Refusal> {
        let ids = ids.iter().map(|(id, which)| (id.parse().unwrap(), *which));
        let described = Described::nothing();
        self.core
            .files
            .commit(access, ids.collect(), described)
            .await
    }

    async fn read(&self, access: &Access) -> Result<Vec<u8>, Refusal> {
        let file = self.core.files.find(access).await?;
        let mut sending = self.core.files.read(access, &file, 0..file.size).await?;
        let mut all = Vec::new();
        while let Some(bytes) = sending.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    /// How many pieces lie on the disk.
    fn pieces(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
            entries
                .map(|entry| match entry.file_type().unwrap().is_dir() {
                    true => count(&entry.path()),
                    false => 1,
                })
                .sum()
        }
        count(&self.folder.path().join("files"))
    }

    /// Waits until what nothing refers to has gone from the disk.
    async fn pieces_are(&self, wanted: usize) {
        while self.pieces() != wanted {
            tokio::task::yield_now().await;
        }
    }

    fn restarted(self) -> Self {
        let clock = self.core.clock.clone();
        drop(self.core);
        let core = open_in(&self.folder, clock, FileLimits::default());
        Self { core, ..self }
    }
}

#[tokio::test]
async fn a_file_changes_as_a_whole_and_who_reads_the_old_one_gets_all_of_it() {
    let bench = bench().await;
    let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    let (_, reader) = bench.access(place("t7", "a"), Verb::Read).await;
    let none = bench.read(&reader.access).await;
    assert!(matches!(none, Err(Refusal::NotFound { .. })));
    let old = vec![7; MANY];
    let first = bench.put(&writer.access, &old).await.unwrap();
    assert_eq!(bench.read(&reader.access).await.unwrap(), old);
    let files = &bench.core.files;
    let mut sending = files
        .read(&reader.access, &first, 0..first.size)
        .await
        .unwrap();
    let mut read = sending.next().await.unwrap().unwrap().len();
    bench.core.clock.advance(Duration::from_secs(1));
    let second = bench.put(&writer.access, b"new").await.unwrap();
    assert_ne!(first.tag, second.tag);
    assert_eq!(first.created, second.created);
    assert!(first.changed < second.changed);
    assert_eq!(bench.read(&reader.access).await.unwrap(), b"new");
    let stale = files.read(&reader.access, &first, 0..1).await;
    assert!(matches!(stale, Err(Refusal::Conflict { .. })));
    while let Some(bytes) = sending.next().await.unwrap() {
        read += bytes.len();
    }
    assert_eq!(read, MANY);
    drop(sending);
    bench.pieces_are(1).await;
}

#[tokio::test]
async fn blocks_are_seen_when_they_are_committed_and_found_again_after_a_cut() {
    let bench = bench().await;
    let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    let (_, reader) = bench.access(place("t7", "a"), Verb::Read).await;
    bench.stage(&writer.access, "b2", b"world").await.unwrap();
    bench
        .stage(&writer.access, "b1", b"nonsense")
        .await
        .unwrap();
    bench.stage(&writer.access, "b1", b"hello ").await.unwrap();
    let none = bench.read(&reader.access).await;
    assert!(matches!(none, Err(Refusal::NotFound { .. })));
    let staged = bench.core.files.staged(&writer.access).await.unwrap();
    let staged: Vec<_> = staged
        .iter()
        .map(|one| (one.id.as_str(), one.size()))
        .collect();
    assert_eq!(staged, [("b1", 6), ("b2", 5)]);
    let missing = [("b1", Which::Latest), ("b3", Which::Latest)];
    let missing = bench.commit(&writer.access, &missing).await;
    assert!(matches!(missing, Err(Refusal::NotFound { .. })));
    let both = [("b1", Which::Staged), ("b2", Which::Latest)];
    let file = bench.commit(&writer.access, &both).await.unwrap();
    let digest = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    assert_eq!((file.digest.to_string().as_str(), file.size), (digest, 11));
    assert_eq!(bench.read(&reader.access).await.unwrap(), b"hello world");
    assert!(
        bench
            .core
            .files
            .staged(&writer.access)
            .await
            .unwrap()
            .is_empty()
    );
    bench.pieces_are(2).await;
    // Of blocks old and new, one of them twice.
    bench.stage(&writer.access, "b2", b"moon ").await.unwrap();
    let mixed = [
        ("b2", Which::Committed),
        ("b1", Which::Committed),
        ("b2", Which::Latest),
        ("b2", Which::Latest),
    ];
    bench.commit(&writer.access, &mixed).await.unwrap();
    let read = bench.read(&reader.access).await.unwrap();
    assert_eq!(read, b"worldhello moon moon ");
    let blocks = bench.core.files.blocks(&reader.access).await.unwrap();
    assert_eq!(blocks.len(), 4);
    let files = &bench.core.files;
    let file = files.find(&reader.access).await.unwrap();
    let mut part = files.read(&reader.access, &file, 4..9).await.unwrap();
    let mut read = Vec::new();
    while let Some(bytes) = part.next().await.unwrap() {
        read.extend_from_slice(&bytes);
    }
    assert_eq!(read, b"dhell");
    let (device, name) = ("t7".parse().unwrap(), "a".parse().unwrap());
    drop(part);
    files.remove(&Actor::hub(), &device, &name).await.unwrap();
    bench.pieces_are(0).await;
}

#[tokio::test]
async fn nothing_of_a_transfer_goes_on_when_its_grant_is_revoked() {
    let bench = bench().await;
    let (core, hub) = (&bench.core, Actor::hub());
    let (write, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    let (read, reader) = bench.access(place("t7", "a"), Verb::Read).await;
    bench.put(&writer.access, &vec![7; MANY]).await.unwrap();
    bench.stage(&writer.access, "b", b"block").await.unwrap();
    let file = core.files.find(&reader.access).await.unwrap();
    let mut sending = core
        .files
        .read(&reader.access, &file, 0..file.size)
        .await
        .unwrap();
    sending.next().await.unwrap().unwrap();
    let come = bench.whole(&writer.access, b"half").await.unwrap();
    let (for_writing, for_reading) = (writer.access.clone(), reader.access.clone());
    // Their connections close.
    drop((writer, reader));
    for issued in [&write, &read] {
        let (device, id) = (&issued.grant.device, &issued.grant.id);
        core.files.revoke_grant(&hub, device, id).await.unwrap();
    }
    let next = sending.next().await;
    assert!(matches!(next, Err(Refusal::Revoked)), "{next:?}");
    let put = core
        .files
        .put(&for_writing, come, Described::nothing())
        .await;
    assert!(matches!(put, Err(Refusal::Revoked)), "{put:?}");
    let commit = bench.commit(&for_writing, &[("b", Which::Latest)]).await;
    assert!(matches!(commit, Err(Refusal::Revoked)), "{commit:?}");
    let begun = core.files.begin(&for_writing, Hashes::Sha256).await;
    assert!(matches!(begun, Err(Refusal::Revoked)));
    let found = core.files.find(&for_reading).await;
    assert!(matches!(found, Err(Refusal::Revoked)));
    let staged = core.files.staged(&for_writing).await;
    assert!(matches!(staged, Err(Refusal::Revoked)));
    let by_hub = core.files.reach(&hub, place("t7", "a"), Verb::Read).await;
    assert_eq!(
        core.files.find(&by_hub.unwrap()).await.unwrap().tag,
        file.tag
    );
    drop(sending);
    bench.pieces_are(2).await;
}

#[tokio::test]
async fn who_may_read_cannot_write_and_the_other_way_round() {
    let bench = bench().await;
    let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    let (_, reader) = bench.access(place("t7", "a"), Verb::Read).await;
    bench.put(&writer.access, b"a").await.unwrap();
    let forbidden = bench.put(&reader.access, b"b").await;
    assert!(matches!(forbidden, Err(Refusal::Forbidden { .. })));
    let commit = bench.commit(&reader.access, &[]).await;
    assert!(matches!(commit, Err(Refusal::Forbidden { .. })));
    let forbidden = bench.read(&writer.access).await;
    assert!(matches!(forbidden, Err(Refusal::Forbidden { .. })));
    let blocks = bench.core.files.blocks(&writer.access).await;
    assert!(matches!(blocks, Err(Refusal::Forbidden { .. })));
    // What is to be checked before it is sent can be, by who may write.
    assert!(
        bench
            .core
            .files
            .there(&writer.access)
            .await
            .unwrap()
            .is_some()
    );
    let viewer = Actor {
        operator: Some("vera".parse().unwrap()),
        role: Role::Viewer,
        scope: Scope::All,
        ..Actor::hub()
    };
    let refused = bench
        .core
        .files
        .reach(&viewer, place("t7", "a"), Verb::Read)
        .await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    let (device, page) = (
        "t7".parse().unwrap(),
        Page {
            after: None,
            limit: 1,
        },
    );
    let listed = bench
        .core
        .files
        .list(&viewer, &device, &page)
        .await
        .unwrap();
    assert_eq!(listed.items[0].size, 1);
}

#[tokio::test]
async fn what_is_not_as_expected_leaves_what_was_there() {
    let bench = bench().await;
    let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    let files = &bench.core.files;
    bench.put(&writer.access, b"a").await.unwrap();
    let whole = bench.whole(&writer.access, b"b").await.unwrap();
    let described = Described {
        expected: Some("0".repeat(64).parse().unwrap()),
        ..Described::nothing()
    };
    let refused = files.put(&writer.access, whole, described).await;
    assert!(matches!(refused, Err(Refusal::Invalid { .. })));
    let whole = bench.whole(&writer.access, b"b").await.unwrap();
    let described = Described {
        condition: Box::new(|there| match there {
            Some(_) => Err(Refusal::Conflict { what: "the file" }),
            None => Ok(()),
        }),
        ..Described::nothing()
    };
    let refused = files.put(&writer.access, whole, described).await;
    assert!(matches!(refused, Err(Refusal::Conflict { .. })));
    let there = files.there(&writer.access).await.unwrap().unwrap();
    assert_eq!((there.size, there.content_type.as_str()), (1, ANY));
    bench.pieces_are(1).await;
    assert!("x".repeat(MAX_BLOCK_ID + 1).parse::<BlockId>().is_err());
    assert!("a b".parse::<BlockId>().is_err());
}

const ANY: &str = "application/octet-stream";

#[tokio::test]
async fn a_device_has_its_share_and_no_more() {
    let limits = FileLimits {
        file_bytes: 100,
        device_bytes: 150,
        device_files: 2,
        ..FileLimits::default()
    };
    let bench = bench_with(limits).await;
    let (_, a) = bench.access(place("t7", "a"), Verb::Write).await;
    let (_, b) = bench.access(place("t7", "b"), Verb::Write).await;
    let (_, c) = bench.access(place("t7", "c"), Verb::Write).await;
    let large = bench.put(&a.access, &[0; 101]).await;
    assert!(matches!(large, Err(Refusal::TooLarge { limit: 100, .. })));
    bench.put(&a.access, &[0; 100]).await.unwrap();
    // In its own place it may come again.
    bench.put(&a.access, &[1; 100]).await.unwrap();
    let large = bench.put(&b.access, &[0; 51]).await;
    assert!(matches!(large, Err(Refusal::TooLarge { limit: 50, .. })));
    bench.stage(&b.access, "1", &[0; 30]).await.unwrap();
    let large = bench.stage(&b.access, "2", &[0; 21]).await;
    assert!(matches!(large, Err(Refusal::TooLarge { .. })), "{large:?}");
    let large = bench.put(&c.access, &[0; 21]).await;
    assert!(matches!(large, Err(Refusal::TooLarge { .. })), "{large:?}");
    bench
        .commit(&b.access, &[("1", Which::Latest)])
        .await
        .unwrap();
    let many = bench.put(&c.access, &[0; 1]).await;
    assert!(matches!(many, Err(Refusal::TooMany { limit: 2, .. })));
    // Nobody else's share is used.
    let (_, other) = bench.access(place("t8", "c"), Verb::Write).await;
    bench.put(&other.access, &[0; 100]).await.unwrap();
    bench.pieces_are(3).await;
}

#[tokio::test]
async fn what_is_past_its_time_goes_unless_a_grant_for_it_holds() {
    let bench = bench().await;
    let (core, hub) = (&bench.core, Actor::hub());
    let (_, a) = bench.access(place("t7", "a"), Verb::Write).await;
    let (_, b) = bench.access(place("t7", "b"), Verb::Write).await;
    bench.put(&a.access, b"a").await.unwrap();
    bench.put(&b.access, b"b").await.unwrap();
    bench.stage(&b.access, "1", b"staged").await.unwrap();
    core.clock.advance(7 * DAY - Duration::from_secs(1));
    core.tidy().await.unwrap();
    bench.pieces_are(3).await;
    core.clock.advance(Duration::from_secs(1));
    core.tidy().await.unwrap();
    bench.pieces_are(2).await;
    let read = bench.give(place("t7", "b"), Verb::Read, MAX_LASTS).await;
    core.clock.advance(23 * DAY);
    core.tidy().await.unwrap();
    bench.pieces_are(1).await;
    let left = bench.admit(&read).await.unwrap();
    assert_eq!(bench.read(&left.access).await.unwrap(), b"b");
    core.clock.advance(7 * DAY);
    core.tidy().await.unwrap();
    bench.pieces_are(0).await;
    let device = "t7".parse().unwrap();
    let page = Page {
        after: None,
        limit: 10,
    };
    // The grants to write have ended 36 days ago, the one to read just now.
    let grants = core.files.grants(&hub, &device, &page).await.unwrap();
    let grants: Vec<_> = grants.items.into_iter().map(|grant| grant.id).collect();
    assert_eq!(grants, [read.grant.id]);
}

#[tokio::test]
async fn a_restart_keeps_what_was_committed_and_clears_what_was_coming() {
    let bench = bench().await;
    let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    bench.put(&writer.access, b"kept").await.unwrap();
    bench.stage(&writer.access, "1", b"staged").await.unwrap();
    let come = bench
        .whole(&writer.access, b"come and not put")
        .await
        .unwrap();
    // As if the process were killed here: nothing is dropped.
    std::mem::forget(come);
    drop(writer);
    let bench = bench.restarted();
    assert_eq!(bench.pieces(), 3);
    bench.core.tidy().await.unwrap();
    bench.pieces_are(2).await;
    let (_, reader) = bench.access(place("t7", "a"), Verb::Read).await;
    assert_eq!(bench.read(&reader.access).await.unwrap(), b"kept");
    let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    let staged = bench.core.files.staged(&writer.access).await.unwrap();
    assert_eq!(staged.len(), 1);
}

#[tokio::test]
async fn what_takes_the_name_of_a_removed_device_has_neither_its_files_nor_its_grants() {
    let bench = bench().await;
    let (core, hub) = (&bench.core, Actor::hub());
    let (writes, admitted) = bench.access(place("t7", "a"), Verb::Write).await;
    bench.put(&admitted.access, b"staff").await.unwrap();
    let device = writes.grant.device.clone();
    let removed = core.identity.remove_device(&hub, &device, None);
    removed.await.unwrap();
    let site = "mill".parse().unwrap();
    let made = core.identity.create_device(&hub, device, site, None);
    made.await.unwrap();
    assert!(matches!(bench.admit(&writes).await, Err(Refusal::Revoked)));
    let (_, admitted) = bench.access(place("t7", "a"), Verb::Read).await;
    assert_eq!(core.files.there(&admitted.access).await.unwrap(), None);
}

#[tokio::test]
async fn a_block_that_is_named_twice_counts_twice() {
    let bench = bench_with(FileLimits {
        file_bytes: 100,
        ..FileLimits::default()
    })
    .await;
    let (_, admitted) = bench.access(place("t7", "a"), Verb::Write).await;
    bench.stage(&admitted.access, "b", &[7; 60]).await.unwrap();
    let refused = bench
        .commit(&admitted.access, &[("b", Which::Staged); 2])
        .await;
    assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
}

#[tokio::test]
async fn a_file_is_removed_by_who_may_remove_it_and_who_reads_it_gets_all_of_it() {
    let bench = bench().await;
    let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    let (_, reader) = bench.access(place("t7", "a"), Verb::Read).await;
    let (issued, remover) = bench.access(place("t7", "a"), Verb::Delete).await;
    let files = &bench.core.files;
    let file = bench.put(&writer.access, &vec![7; MANY]).await.unwrap();
    bench.stage(&writer.access, "b", b"block").await.unwrap();
    let whatever = || -> Condition { Box::new(|_| Ok(())) };
    for access in [&writer.access, &reader.access] {
        let refused = files.delete(access, whatever()).await;
        assert!(
            matches!(refused, Err(Refusal::Forbidden { .. })),
            "{refused:?}"
        );
    }
    let refused = bench.read(&remover.access).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    let refused = bench.put(&remover.access, b"other").await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    let other = files.delete(
        &remover.access,
        Box::new(|there| match there {
            Some(_) => Err(Refusal::Conflict { what: "the file" }),
            None => Ok(()),
        }),
    );
    assert!(matches!(other.await, Err(Refusal::Conflict { .. })));
    let mut sending = files
        .read(&reader.access, &file, 0..file.size)
        .await
        .unwrap();
    let mut read = sending.next().await.unwrap().unwrap().len();
    files.delete(&remover.access, whatever()).await.unwrap();
    let gone = bench.read(&reader.access).await;
    assert!(matches!(gone, Err(Refusal::NotFound { .. })));
    assert!(files.staged(&writer.access).await.unwrap().is_empty());
    while let Some(bytes) = sending.next().await.unwrap() {
        read += bytes.len();
    }
    assert_eq!(read, MANY);
    drop(sending);
    bench.pieces_are(0).await;
    let again = files.delete(&remover.access, whatever()).await;
    assert!(matches!(again, Err(Refusal::NotFound { .. })));
    let (device, id) = (&issued.grant.device, &issued.grant.id);
    bench.put(&writer.access, b"other").await.unwrap();
    files.revoke_grant(&Actor::hub(), device, id).await.unwrap();
    let revoked = files.delete(&remover.access, whatever()).await;
    assert!(matches!(revoked, Err(Refusal::Revoked)));
    assert_eq!(bench.read(&reader.access).await.unwrap(), b"other");
}
