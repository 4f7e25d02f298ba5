//! What files and hubs have together: the names of blocks, a device's share, a store.

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::contents::Depot;

#[tokio::test]
async fn blocks_of_one_file_have_names_of_one_length() {
    let bench = bench().await;
    let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
    bench.stage(&writer.access, "AAAA", b"one").await.unwrap();
    // Of one byte less when they are decoded, and of three more.
    for other in ["AAA=", "AAAAAAAA"] {
        let refused = bench.stage(&writer.access, other, b"two").await;
        assert!(
            matches!(&refused, Err(Refusal::Invalid { field, .. }) if field == BLOCK),
            "{other}: {refused:?}"
        );
    }
    bench.stage(&writer.access, "BBBB", b"two").await.unwrap();
    bench.stage(&writer.access, "AAAA", b"new").await.unwrap();
    let (_, other) = bench.access(place("t7", "b"), Verb::Write).await;
    bench.stage(&other.access, "AAA=", b"two").await.unwrap();
    bench.pieces_are(3).await;
}

#[tokio::test]
async fn what_comes_counts_in_the_share_of_its_device_while_it_comes() {
    let bench = bench_with(FileLimits {
        file_bytes: 8,
        device_bytes: 10,
        ..FileLimits::default()
    })
    .await;
    let (_, one) = bench.access(place("t7", "a"), Verb::Write).await;
    let (_, two) = bench.access(place("t7", "b"), Verb::Write).await;
    let (_, other) = bench.access(place("t8", "a"), Verb::Write).await;
    let begun = async |access| {
        let begun = bench.core.files.begin(access, Hashes::Sha256).await;
        begun.unwrap()
    };
    let six = Bytes::from_static(b"sixsix");
    let first = begun(&one.access).await.take(six.clone()).await.unwrap();
    let second = begun(&two.access).await;
    let refused = second.take(six.clone()).await;
    let limit = "bytes of all files of a device";
    assert!(
        matches!(refused, Err(Refusal::TooLarge { what, limit: 10 }) if what == limit),
        "{refused:?}"
    );
    begun(&other.access).await.take(six.clone()).await.unwrap();
    // What is given up counts no longer, what is there does.
    drop(first);
    let second = begun(&two.access).await.take(six.clone()).await.unwrap();
    let whole = second.finish().await.unwrap();
    let (files, described) = (&bench.core.files, Described::nothing());
    files.put(&two.access, whole, described).await.unwrap();
    assert_eq!(begun(&one.access).await.most(), 4);
}

/// A hub in this folder that keeps its files in that store.
fn sharing(folder: &TempDir, store: &Arc<dyn ObjectStore>) -> Core {
    let settings = Settings {
        depot: Depot::Elsewhere(Arc::clone(store)),
        ..Settings::new(folder.path())
    };
    Core::open(&settings).unwrap()
}

/// How many pieces lie in a store.
async fn pieces_in(store: &Arc<dyn ObjectStore>) -> usize {
    store.list(None).count().await
}

#[tokio::test]
async fn of_a_store_that_two_hubs_share_each_removes_only_what_it_has_left_behind() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut hubs = Vec::new();
    for _ in 0..2 {
        let folder = TempDir::new().unwrap();
        let core = sharing(&folder, &store);
        furnish(&core).await;
        let bench = Bench { core, folder };
        let (_, writer) = bench.access(place("t7", "a"), Verb::Write).await;
        bench.put(&writer.access, b"kept").await.unwrap();
        // As when the hub ends before anything refers to it.
        std::mem::forget(bench.whole(&writer.access, b"left").await.unwrap());
        hubs.push(bench);
    }
    assert_eq!(pieces_in(&store).await, 4);
    for left in [3, 2] {
        let Bench { core, folder } = hubs.remove(0);
        drop(core);
        let core = sharing(&folder, &store);
        core.tidy().await.unwrap();
        assert_eq!(pieces_in(&store).await, left);
        hubs.push(Bench { core, folder });
        for bench in &hubs {
            let (_, reader) = bench.access(place("t7", "a"), Verb::Read).await;
            assert_eq!(bench.read(&reader.access).await.unwrap(), b"kept");
        }
    }
    // A run is forgotten with the last that was kept of it.
    let Bench { core, folder } = hubs.remove(0);
    let (device, name) = ("t7".parse().unwrap(), "a".parse().unwrap());
    let hub = Actor::hub();
    let removed = core.files.remove(&hub, &device, &name);
    removed.await.unwrap();
    drop(core);
    let core = sharing(&folder, &store);
    core.tidy().await.unwrap();
    let runs = core.store.read(kept::runs).await.unwrap();
    assert!(runs.is_empty(), "{runs:?}");
    assert_eq!(pieces_in(&store).await, 1);
}
