use std::fs;

use bytes::Bytes;
use object_store::memory::InMemory;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// The SHA-256 of "abc" (FIPS 180-4, appendix B.1).
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The MD5 of "abc" (RFC 1321, appendix A.5).
const ABC_MD5: [u8; 16] = 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72_u128.to_be_bytes();

fn on_disk() -> (TempDir, Contents) {
    let folder = TempDir::new().unwrap();
    let contents = open(&folder);
    (folder, contents)
}

fn open(folder: &TempDir) -> Contents {
    Contents::open(&Depot::Folder, folder.path(), 0).unwrap()
}

fn elsewhere() -> (TempDir, Contents) {
    let folder = TempDir::new().unwrap();
    let depot = Depot::Elsewhere(Arc::new(InMemory::new()));
    let contents = Contents::open(&depot, folder.path(), 0).unwrap();
    (folder, contents)
}

async fn kept(contents: &Contents, parts: &[&[u8]]) -> Piece {
    let whole = coming(contents, parts).await.finish().await.unwrap();
    let piece = whole.piece().clone();
    whole.keep();
    piece
}

async fn coming(contents: &Contents, parts: &[&[u8]]) -> Coming {
    let mut coming = contents.begin(64 << 20, None, Hashes::Sha256);
    for part in parts {
        coming = coming.take(Bytes::copy_from_slice(part)).await.unwrap();
    }
    coming
}

async fn all_of(mut reading: Reading) -> Result<Vec<u8>, Refusal> {
    let mut all = Vec::new();
    while let Some(bytes) = reading.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// Every file below the folder of files, whatever its name.
fn files(folder: &TempDir) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.path().join(FOLDER)];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// Waits until what was let go of without waiting has gone.
async fn until_gone(folder: &TempDir) {
    let mut looked = 0;
    while !files(folder).is_empty() {
        looked += 1;
        assert!(looked < 10_000, "{:?} stay", files(folder));
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_piece_is_read_as_it_came_and_its_sums_are_those_of_its_bytes() {
    for (_folder, contents) in [on_disk(), elsewhere()] {
        let mut coming = contents.begin(3, None, Hashes::WithMd5);
        for part in ["a", "", "bc"] {
            coming = coming
                .take(Bytes::from_static(part.as_bytes()))
                .await
                .unwrap();
        }
        let whole = coming.finish().await.unwrap();
        assert_eq!(whole.digest().to_string(), ABC);
        assert_eq!(whole.md5(), Some(&ABC_MD5));
        let piece = whole.piece().clone();
        whole.keep();
        assert_eq!(piece.size, 3);
        let pieces = [piece];
        let read = all_of(contents.read(&pieces, 0..3)).await.unwrap();
        assert_eq!(read, b"abc");
        assert_eq!(contents.digest(&pieces).await.unwrap().to_string(), ABC);
    }
}

#[tokio::test]
async fn a_large_piece_goes_out_in_parts_and_is_the_same_afterwards() {
    let bytes: Vec<u8> = (0..20_000_003_u32).map(|at| (at % 251) as u8).collect();
    for (_folder, contents) in [on_disk(), elsewhere()] {
        // Parts of the sender's are longer and shorter than the store's.
        let (long, rest) = bytes.split_at(9_500_000);
        let mut parts = vec![long];
        parts.extend(rest.chunks(700_001));
        let whole = coming(&contents, &parts).await.finish().await.unwrap();
        let piece = whole.piece().clone();
        let digest = *whole.digest();
        whole.keep();
        let pieces = [piece];
        let size = pieces[0].size;
        assert!(all_of(contents.read(&pieces, 0..size)).await.unwrap() == bytes);
        assert_eq!(contents.digest(&pieces).await.unwrap(), digest);
        let middle = all_of(contents.read(&pieces, 1_048_575..9_000_001));
        assert!(middle.await.unwrap() == bytes[1_048_575..9_000_001]);
    }
}

#[tokio::test]
async fn nothing_is_left_of_what_did_not_come_as_a_whole_or_was_not_kept() {
    let (folder, contents) = on_disk();
    let long = vec![7; LOCAL_PART + 1];
    drop(coming(&contents, &[&long]).await);
    until_gone(&folder).await;
    drop(coming(&contents, &[&long]).await.finish().await.unwrap());
    until_gone(&folder).await;
    drop(coming(&contents, &[b"a"]).await.finish().await.unwrap());
    until_gone(&folder).await;
}

#[tokio::test]
async fn one_byte_too_many_is_refused_and_leaves_nothing() {
    let (folder, contents) = on_disk();
    let coming = contents.begin(3, None, Hashes::Sha256);
    let coming = coming.take(Bytes::from_static(b"abc")).await.unwrap();
    let refused = coming.take(Bytes::from_static(b"d")).await;
    assert!(matches!(refused, Err(Refusal::TooLarge { limit: 3, .. })));
    assert_eq!(files(&folder), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_piece_that_is_removed_while_it_is_read_is_read_to_its_end() {
    let (folder, contents) = on_disk();
    let pieces = [
        kept(&contents, &[b"ab"]).await,
        kept(&contents, &[b"cd"]).await,
    ];
    let keys = || {
        pieces
            .iter()
            .map(|piece| piece.key.clone())
            .collect::<Vec<_>>()
    };
    let (one, other) = (contents.read(&pieces, 0..4), contents.read(&pieces, 1..3));
    contents.remove(keys()).await;
    assert_eq!(all_of(one).await.unwrap(), b"abcd");
    assert_eq!(all_of(other).await.unwrap(), b"bc");
    until_gone(&folder).await;
    let gone = all_of(contents.read(&pieces, 0..4)).await;
    assert!(matches!(gone, Err(Refusal::Conflict { .. })), "{gone:?}");
    // Again changes nothing.
    contents.remove(keys()).await;
}

#[tokio::test]
async fn a_sweep_leaves_what_is_needed_and_what_came_since_the_start() {
    let (folder, before) = on_disk();
    let needed = kept(&before, &[b"needed"]).await;
    kept(&before, &[b"forgotten"]).await;
    let unfinished = folder.path().join(FOLDER).join(format!("{}#1", needed.key));
    fs::write(&unfinished, "as after the end of the process").unwrap();
    let after = open(&folder);
    let new = kept(&after, &[b"new"]).await;
    after
        .sweep(vec![needed.key.clone()], Vec::new())
        .await
        .unwrap();
    let mut left = files(&folder);
    left.sort_unstable();
    let path = |piece: &Piece| folder.path().join(FOLDER).join(piece.key.to_string());
    let mut expected = vec![path(&needed), path(&new)];
    expected.sort_unstable();
    assert_eq!(left, expected);
    // Folders go with the last of what was in them.
    let reading = after.read(std::slice::from_ref(&needed), 0..6);
    open(&folder).sweep(Vec::new(), Vec::new()).await.unwrap();
    assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 0);
    drop(reading);
}

#[tokio::test]
async fn a_store_elsewhere_is_swept_too() {
    let store = Arc::new(InMemory::new());
    let depot = Depot::Elsewhere(store.clone());
    let folder = TempDir::new().unwrap();
    let before = Contents::open(&depot, folder.path(), 0).unwrap();
    let needed = kept(&before, &[b"needed"]).await;
    kept(&before, &[b"forgotten"]).await;
    let after = Contents::open(&depot, folder.path(), 0).unwrap();
    after
        .sweep(vec![needed.key.clone()], Vec::new())
        .await
        .unwrap();
    let left: Vec<_> = store.list(None).collect::<Vec<_>>().await;
    let left: Vec<_> = left
        .into_iter()
        .map(|found| found.unwrap().location)
        .collect();
    assert_eq!(left, [needed.key.path()]);
}

#[test]
fn a_key_is_nothing_that_leads_elsewhere() {
    for text in [
        "", "a/b", "a//b", "../a/b", "a/b/c/d", "/a/b", "a/b/c#1", "A/b/c", "a/b/%2e",
    ] {
        assert!(text.parse::<PieceKey>().is_err(), "{text:?}");
    }
    let run = "0123456789abcdefghjk";
    let others = [
        "logs/2026/11".to_owned(),
        format!("{run}/2/401"),
        format!("{run}/1/0401"),
    ];
    for text in others {
        assert!(text.parse::<PieceKey>().is_err(), "{text:?}");
    }
    let key = PieceKey::new(run, 1_025);
    assert_eq!(key.to_string(), format!("{run}/1/401"));
    assert_eq!(key.to_string().parse::<PieceKey>().unwrap(), key);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_range_of_any_pieces_is_what_it_is_of_the_whole(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6),
        from in 0_usize..130,
        length in 0_usize..130,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_folder, contents) = on_disk();
            let mut all = Vec::new();
            for piece in &pieces {
                all.push(kept(&contents, &[piece]).await);
            }
            let whole = pieces.concat();
            let range = from as u64..(from + length) as u64;
            let read = all_of(contents.read(&all, range)).await.unwrap();
            let (from, to) = (from.min(whole.len()), (from + length).min(whole.len()));
            assert_eq!(read, &whole[from..to]);
        });
    }
}
