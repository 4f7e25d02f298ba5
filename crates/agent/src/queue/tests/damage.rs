//! A file that nobody can read.

use std::os::unix::fs::FileExt as _;

use super::care::until;
use super::*;

/// Opens a queue that has had something in it, after `damage` was done to its file.
async fn after(damage: impl FnOnce(&Path)) -> (TempDir, Queue) {
    let (folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("a", "")).await.unwrap();
    drop(queue);
    let file = folder.path().join("agent.sqlite");
    // All of it is in the file then, and nothing in the log.
    let connection = Connection::open(&file).unwrap();
    let copied = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(copied, [], |_| Ok(())).unwrap();
    connection.close().unwrap();
    damage(&file);
    let queue = Queue::open(folder.path(), ROOMY, clock).unwrap();
    (folder, queue)
}

fn overwrite(file: &Path, from: u64, bytes: usize) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.write_all_at(&vec![0xa5; bytes], from).unwrap();
}

#[tokio::test]
async fn a_sound_file_is_not_set_aside() {
    let (_folder, queue) = after(|_| {}).await;
    assert_eq!(queue.set_aside(), None);
    assert_eq!(queue.tally().borrow().entries(), 1);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_device_goes_on() {
    let damages: [fn(&Path); 3] = [
        |file| overwrite(file, 0, 100),
        |file| overwrite(file, 100, 3_996),
        |file| std::fs::write(file, "half a page").unwrap(),
    ];
    for damage in damages {
        let (folder, queue) = after(damage).await;
        let aside = folder.path().join("agent.sqlite.damaged");
        assert_eq!(queue.set_aside(), Some(&*aside));
        assert!(aside.is_file());
        queue.push(Entry::event("b", "")).await.unwrap();
        let batch = queue.batch(9).await.unwrap();
        assert_eq!(names(&batch), ["b"]);
        // And it is said, once the agent runs.
        let board = crate::status::Board::new(None);
        until(&queue, &board, |status| !status.troubles.is_empty()).await;
        let text = board.status().troubles[0].text.clone();
        assert!(text.contains("agent.sqlite.damaged"), "{text}");
    }
}

#[tokio::test]
async fn a_queue_that_another_agent_uses_is_left_alone() {
    let (folder, clock, _queue) = queue(ROOMY);
    let refused = Queue::open(folder.path(), ROOMY, clock);
    assert!(
        matches!(refused, Err(OpenFailed::Store(OpenError::InUse { .. }))),
        "{refused:?}"
    );
    let aside = folder.path().join("agent.sqlite.damaged");
    assert!(!aside.exists());
}
