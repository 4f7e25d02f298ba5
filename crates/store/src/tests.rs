//! The store by itself.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::task::Poll;

use tempfile::TempDir;

use super::*;
use crate::work::places as places_of;

const SCHEMA: Schema = Schema {
    holder: "hub",
    application: 0x4f75_7447,
    versions: &[&["CREATE TABLE t (n INTEGER)"]],
};

fn open(folder: &Path) -> Result<Store, OpenError> {
    Store::open(&SCHEMA, folder, Room::leaving(0), Hook::default())
}

/// A store with a table `t` of one number.
fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).unwrap();
    (folder, store)
}

fn add(number: i64) -> impl FnOnce(&Connection) -> Result<(), Error> + Send + 'static {
    move |connection| {
        connection
            .prepare_cached("INSERT INTO t (n) VALUES (?1)")?
            .execute([number])?;
        Ok(())
    }
}

async fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    std::future::poll_fn(|task| Poll::Ready(future.as_mut().poll(task))).await
}

async fn numbers(store: &Store) -> Vec<i64> {
    store
        .read(|connection| {
            let mut statement = connection.prepare("SELECT n FROM t ORDER BY rowid")?;
            let numbers = statement.query_map([], |row| row.get(0))?;
            Ok(numbers.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_write_that_refuses_leaves_nothing_and_its_neighbours_stay() {
    let (_folder, store) = store();
    let refusing = |connection: &Connection| {
        add(2)(connection)?;
        Err::<(), _>(Error::Internal("on purpose"))
    };
    let (one, two, three) = tokio::join!(
        store.write(add(1)),
        store.write(refusing),
        store.write(add(3))
    );
    one.unwrap();
    three.unwrap();
    assert!(matches!(two, Err(Error::Internal("on purpose"))));
    assert_eq!(numbers(&store).await, [1, 3]);
}

#[tokio::test]
async fn a_write_that_panics_is_refused_and_the_store_goes_on() {
    let (_folder, store) = store();
    let refused = store
        .write(|connection| -> Result<(), Error> {
            add(1)(connection)?;
            panic!("on purpose")
        })
        .await;
    assert!(
        matches!(refused, Err(Error::Internal("a write panicked"))),
        "{refused:?}"
    );
    store.write(add(2)).await.unwrap();
    assert_eq!(numbers(&store).await, [2]);
}

/// Holds the writer up until what is given is dropped.
async fn hold_up(store: &Store) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = oneshot::channel();
    let other = store.clone();
    tokio::spawn(async move {
        let hold = move |_: &Connection| {
            let _ = begun.send(());
            let _ = held.recv();
            Ok(())
        };
        other.write(hold).await
    });
    begins.await.unwrap();
    release
}

#[tokio::test]
async fn writes_keep_the_order_in_which_they_were_handed_in() {
    let (_folder, store) = store();
    let release = hold_up(&store).await;
    let mut writes = Vec::new();
    for number in 0..10_000 {
        let mut write = Box::pin(store.write(add(number)));
        assert!(poll_once(&mut write).await.is_pending());
        writes.push(write);
    }
    drop(release);
    for write in writes.into_iter().rev() {
        write.await.unwrap();
    }
    assert_eq!(numbers(&store).await, (0..10_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn more_than_may_wait_is_refused_and_what_waits_is_kept() {
    const EACH: usize = 1 << 20;
    let (_folder, store) = store();
    let release = hold_up(&store).await;
    let places = i64::from((MAX_WAITING - 1) / places_of(EACH));
    let mut writes = Vec::new();
    for number in 0..places {
        let mut write = Box::pin(store.write_bulk(EACH, add(number)));
        assert!(poll_once(&mut write).await.is_pending());
        writes.push(write);
    }
    let refused = store.write_bulk(EACH, add(-1)).await;
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    drop(release);
    for write in writes {
        write.await.unwrap();
    }
    assert_eq!(numbers(&store).await, (0..places).collect::<Vec<_>>());
    store.write_bulk(EACH, add(places)).await.unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_when_the_folder_is_opened_again() {
    let (folder, store) = store();
    store.write(add(1)).await.unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(numbers(&store).await, [1]);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[test]
fn a_folder_can_be_open_only_once() {
    let (folder, store) = store();
    let Err(error) = open(folder.path()) else {
        panic!("opened twice");
    };
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("another hub"), "{error}");
    drop(store);
    open(folder.path()).unwrap();
}

#[test]
fn the_folder_and_the_files_are_for_their_owner_alone() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("deep").join("data");
    let _store = open(&data).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        ["hub.lock", "hub.sqlite", "hub.sqlite-shm", "hub.sqlite-wal"]
    );
}

#[test]
fn a_file_that_others_may_read_is_closed_to_them() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()).unwrap());
    let file = folder.path().join("hub.sqlite");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(folder.path()).unwrap());
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_not_touched() {
    let (folder, store) = store();
    drop(store);
    let file = folder.path().join("hub.sqlite");
    let connection = Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let Err(error) = open(folder.path()) else {
        panic!("opened a newer one");
    };
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("upgrade"), "{error}");
    let connection = Connection::open(&file).unwrap();
    let version: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

#[test]
fn a_file_that_a_killed_hub_had_only_begun_is_taken_up() {
    let folder = TempDir::new().unwrap();
    let connection = Connection::open(folder.path().join("hub.sqlite")).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    connection.close().unwrap();
    open(folder.path()).unwrap();
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    for foreign in [&b"not a database at all, but long enough to have a header of its own, and more than one hundred bytes long"[..], b"short"] {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("hub.sqlite"), foreign).unwrap();
        let error = open(folder.path()).map(|_| ());
        assert!(matches!(error, Err(OpenError::Foreign { .. })), "{error:?}");
    }
    let folder = TempDir::new().unwrap();
    let connection = Connection::open(folder.path().join("hub.sqlite")).unwrap();
    connection.execute_batch("CREATE TABLE theirs (n)").unwrap();
    let error = open(folder.path()).map(|_| ());
    assert!(matches!(error, Err(OpenError::Foreign { .. })), "{error:?}");
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_folder, store) = store();
    let refused = store.read(add(1)).await;
    assert!(matches!(refused, Err(Error::Sqlite(_))), "{refused:?}");
}

#[tokio::test]
async fn the_barrier_comes_after_all_that_was_handed_in_before() {
    let (_folder, store) = store();
    let mut write = Box::pin(store.write(add(1)));
    assert!(poll_once(&mut write).await.is_pending());
    drop(write);
    store.barrier().await.unwrap();
    assert_eq!(numbers(&store).await, [1], "although nobody waited for it");
}

#[tokio::test]
async fn a_backup_made_while_it_is_written_to_has_all_that_was_acknowledged_before() {
    let (folder, store) = store();
    let filler = |connection: &Connection| {
        connection.execute_batch(
            "CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL \
             SELECT i + 1 FROM n WHERE i < 20000) SELECT i, randomblob(500) AS blob FROM n",
        )?;
        Ok(())
    };
    store.write(filler).await.unwrap();
    for number in 0..10 {
        store.write(add(number)).await.unwrap();
    }
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let file = copy.join("hub.sqlite");
    let mut backup = Box::pin(store.backup(&file));
    let mut during = 0;
    loop {
        // Writes go on while the backup does.
        tokio::select! {
            done = &mut backup => break done.unwrap(),
            written = store.write(add(10 + during)) => { written.unwrap(); during += 1; }
        }
    }
    drop(backup);
    assert!(during > 1, "{during}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = store.backup(&file).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    let copied = open(&copy).unwrap();
    assert_eq!(copied.check().await.unwrap(), Vec::<String>::new());
    let (all, kept) = (numbers(&store).await, numbers(&copied).await);
    assert!(kept.len() >= 10, "{kept:?}");
    assert_eq!(kept, all[..kept.len()], "a state that the store was in");
    let left: Vec<_> = std::fs::read_dir(&copy)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().ends_with(".partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_backup_that_cannot_be_made_says_so() {
    let (folder, store) = store();
    let nowhere = folder.path().join("no such folder").join("copy");
    let refused = store.backup(&nowhere).await;
    assert!(matches!(refused, Err(Error::Copy(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_on_and_on_does_not_let_the_log_grow_without_bound() {
    let (folder, store) = store();
    store.write(add(1)).await.unwrap();
    let (begun, begins) = oneshot::channel();
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            let endless = move |connection: &Connection| {
                let mut statement = connection.prepare(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                     SELECT (SELECT count(*) FROM t), i FROM n",
                )?;
                let mut rows = statement.query([])?;
                let mut begun = Some(begun);
                while rows.next()?.is_some() {
                    begun.take().map(|begun| begun.send(()));
                }
                Ok(())
            };
            store.read(endless).await
        }
    });
    begins.await.unwrap();
    let blob = vec![7_u8; 4 << 20];
    let fill =
        |connection: &Connection| Ok(connection.execute_batch("CREATE TABLE filler (blob BLOB)")?);
    store.write(fill).await.unwrap();
    // Three times as much as the log may hold.
    for _ in 0..3 * u64::from(wal::MOST) * LOG / (4 << 20) {
        let blob = blob.clone();
        let write = move |connection: &Connection| {
            connection.execute("DELETE FROM filler", [])?;
            connection.execute("INSERT INTO filler (blob) VALUES (?1)", [blob])?;
            Ok(())
        };
        store.write(write).await.unwrap();
    }
    let broken_off = reader.await.unwrap();
    assert!(
        matches!(broken_off, Err(Error::Sqlite(_))),
        "{broken_off:?}"
    );
    let log = std::fs::metadata(folder.path().join("hub.sqlite-wal")).unwrap();
    assert!(
        log.len() <= u64::from(wal::MOST) * (LOG + LOG / 100) + (16 << 20),
        "{}",
        log.len()
    );
    // Readers that come later are not broken off.
    assert_eq!(numbers(&store).await, [1]);
}

#[tokio::test]
async fn whoever_comes_in_does_not_wait_for_those_who_read_a_lot() {
    let (_folder, store) = store();
    let mut readers = tokio::task::JoinSet::new();
    let mut held = Vec::new();
    for _ in 0..MAX_READERS {
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        held.push(go_on);
        let store = store.clone();
        // Ends once its sender is dropped.
        readers.spawn(async move { store.read(move |_| Ok(may_go_on.recv().is_err())).await });
    }
    let mut other = Box::pin(store.read(|_| Ok(())));
    let login = store.read_first(|_| Ok(()));
    let login = tokio::time::timeout(std::time::Duration::from_secs(20), login);
    login.await.expect("it waits for the readers").unwrap();
    assert!(poll_once(&mut other).await.is_pending());
    drop(held);
    other.await.unwrap();
    readers.join_all().await;
}
