use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

/// The SHA-256 of "abc" (FIPS 180-4, appendix B.1).
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn open() -> (TempDir, Objects) {
    let folder = TempDir::new().unwrap();
    let objects = Objects::open(folder.path().join(FOLDER), 0).unwrap();
    (folder, objects)
}

async fn coming(objects: &Objects, parts: &[&'static str]) -> Incoming {
    let mut incoming = objects.begin(10).await.unwrap();
    for part in parts {
        let part = Bytes::from_static(part.as_bytes());
        incoming = incoming.take(part).await.unwrap();
    }
    incoming
}

/// How many are still coming.
fn unnamed(folder: &TempDir) -> usize {
    let incoming = folder.path().join(FOLDER).join(INCOMING);
    fs::read_dir(incoming).unwrap().count()
}

#[tokio::test]
async fn an_object_has_its_name_from_what_is_in_it_however_it_came() {
    let (folder, objects) = open();
    let whole = coming(&objects, &["a", "", "bc"]).await.finish().await;
    let whole = whole.unwrap();
    assert_eq!(
        (whole.digest().to_string().as_str(), whole.size()),
        (ABC, 3)
    );
    let path = objects.path(whole.digest());
    assert!(!path.exists());
    whole.keep().await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"abc");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // The same again changes nothing.
    let again = coming(&objects, &["abc"]).await.finish().await.unwrap();
    again.keep().await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"abc");
    assert_eq!(unnamed(&folder), 0);
}

#[tokio::test]
async fn nothing_is_left_of_what_did_not_come_as_a_whole() {
    let (folder, objects) = open();
    drop(coming(&objects, &["a"]).await);
    drop(coming(&objects, &["a"]).await.finish().await.unwrap());
    assert_eq!(unnamed(&folder), 0);
    // As after the end of the process.
    let (_, path) = coming(&objects, &["a"]).await.file.keep().unwrap();
    assert!(path.exists());
    Objects::open(folder.path().join(FOLDER), 0).unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn more_than_was_agreed_is_refused() {
    let (_folder, objects) = open();
    let incoming = coming(&objects, &["0123456789"]).await;
    let refused = incoming.take(Bytes::from_static(b"a")).await;
    assert!(matches!(refused, Err(Refusal::TooLarge { limit: 10, .. })));
}

#[tokio::test]
async fn the_reserve_of_the_disk_is_left_free() {
    let folder = TempDir::new().unwrap();
    let objects = Objects::open(folder.path().join(FOLDER), u64::MAX / 2).unwrap();
    let incoming = objects.begin(10).await.unwrap();
    let refused = incoming.take(Bytes::from_static(b"a")).await;
    assert!(matches!(refused, Err(Refusal::Full)));
}

#[test]
fn a_digest_is_written_in_one_way_only() {
    assert_eq!(ABC.parse::<Digest>().unwrap().to_string(), ABC);
    let upper = ABC.to_uppercase();
    let odd = format!("{ABC}0");
    for wrong in ["", "ba", &ABC[2..], &upper, &odd, &ABC.replace('b', "g")] {
        assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
    }
}
