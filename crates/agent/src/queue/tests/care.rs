//! What the board shows of the queue.

use super::*;
use crate::status::{Board, Status};

/// Looks after the queue until the board is as it should be.
pub(super) async fn until(queue: &Queue, board: &Board, right: impl FnMut(&Status) -> bool) {
    let mut watch = board.watch();
    let seen = tokio::time::timeout(Duration::from_secs(20), watch.wait_for(right));
    tokio::select! {
        () = look_after(queue, board) => panic!("it ended"),
        seen = seen => drop(seen.expect("the board does not show it").unwrap()),
    }
}

#[tokio::test]
async fn the_board_shows_what_waits() {
    let (_folder, _clock, queue) = queue(ROOMY);
    let board = Board::new(None);
    queue.push(Entry::event("a", "12345")).await.unwrap();
    until(&queue, &board, |status| status.queue.entries == 1).await;
    let shown = board.status().queue;
    assert_eq!(shown.limit_bytes, ROOMY.bytes);
    assert!(shown.bytes > 0 && shown.bytes < 1 << 20, "{}", shown.bytes);
    let ordinary = shown.levels[1];
    assert_eq!((ordinary.priority, ordinary.bytes), (Priority::Ordinary, 6));
}

#[tokio::test]
async fn what_was_dropped_is_a_trouble_but_not_each_time() {
    let (_folder, _clock, queue) = queue(ROOMY);
    let board = Board::new(None);
    for round in 1..=3 {
        let position = queue.push(Entry::event("a", "")).await.unwrap();
        queue.give_up(vec![position]).await.unwrap();
        until(&queue, &board, |status| status.queue.dropped == round).await;
    }
    let troubles = board.status().troubles;
    assert_eq!(troubles.len(), 0, "of runs before: {troubles:?}");
    let dropping = async {
        for _ in 0..2 {
            let position = queue.push(Entry::event("a", "")).await.unwrap();
            queue.give_up(vec![position]).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = until(&queue, &board, |status| status.queue.dropped == 5) => {}
        () = dropping => {}
    }
    let troubles = board.status().troubles;
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!(troubles[0].part, "queue");
}

#[tokio::test]
async fn what_is_too_old_goes_by_itself() {
    let (_folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("a", "")).await.unwrap();
    clock.advance(ROOMY.keep + Duration::from_secs(1));
    let aged = |status: &Status| {
        status
            .queue
            .levels
            .iter()
            .any(|level| level.dropped.age == 1)
    };
    until(&queue, &Board::new(None), aged).await;
}
