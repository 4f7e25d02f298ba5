//! Logs on a store of their own.

use std::pin::pin;
use std::task::Poll;

use super::*;
use crate::events::tests::Bench;
use crate::sessions::{Ending, Selector, Session};

const DAY: Duration = Duration::from_secs(86_400);

/// Records of one resource and one scope.
fn logged<T: AsRef<[u8]>>(records: impl IntoIterator<Item = T>) -> NewLogs {
    let record = |record: T| NewLog {
        resource: 0,
        scope: 1,
        severity: 9,
        record: Bytes::copy_from_slice(record.as_ref()),
    };
    NewLogs {
        contexts: vec!["resource".into(), "scope".into()],
        records: records.into_iter().map(record).collect(),
    }
}

async fn log<const N: usize>(bench: &Bench, session: &Session, records: [&str; N]) -> u64 {
    let logs = &bench.core.logs;
    logs.append(session.pass(), logged(records)).await.unwrap()
}

/// What `filter` finds, all of it.
async fn found(bench: &Bench, filter: &LogFilter) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let taken = bench.core.logs.after(filter, after, 2).await.unwrap();
        let texts = taken.logs.iter();
        all.extend(texts.map(|log| String::from_utf8(log.record.to_vec()).unwrap()));
        if taken.next >= taken.newest {
            return all;
        }
        assert!(taken.next > after, "it does not get on");
        after = taken.next;
    }
}

fn of(device: &str) -> LogFilter {
    LogFilter {
        device: Some(device.parse().unwrap()),
        ..LogFilter::default()
    }
}

/// How many rows a table has.
async fn rows(bench: &Bench, table: &'static str) -> i64 {
    let count = move |connection: &Connection| {
        let sql = format!("SELECT count(*) FROM {table}");
        Ok(connection.query_row(&sql, [], |row| row.get(0))?)
    };
    bench.core.logs.store().read(count).await.unwrap()
}

#[tokio::test]
async fn a_device_is_told_what_it_logged_in_order_with_what_it_belongs_to() {
    let bench = Bench::new(Limits::default());
    let (one, two) = (bench.session("one"), bench.session("two"));
    assert_eq!(log(&bench, &one, ["a", "b"]).await, 2);
    assert_eq!(log(&bench, &two, ["c"]).await, 3);
    assert_eq!(log(&bench, &one, ["d"]).await, 4);
    assert_eq!(log(&bench, &one, []).await, 4, "nothing is kept of nothing");
    assert_eq!(found(&bench, &of("one")).await, ["a", "b", "d"]);
    assert_eq!(found(&bench, &of("two")).await, ["c"]);
    assert_eq!(
        found(&bench, &LogFilter::default()).await,
        ["a", "b", "c", "d"]
    );
    let site = Scope::Site("site-of-two".parse().unwrap());
    assert_eq!(found(&bench, &LogFilter::seen_by(site)).await, ["c"]);
    let newest = bench.core.logs.before(&of("one"), None, 2).await.unwrap();
    let newest = newest.logs;
    assert_eq!(newest.iter().map(|log| log.seq).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(
        (&newest[0].resource[..], &newest[0].scope[..]),
        (&b"resource"[..], &b"scope"[..])
    );
    assert_eq!(*bench.core.logs.newest().borrow(), 4);
    assert_eq!(
        rows(&bench, "context").await,
        2,
        "what is shared is kept once"
    );
}

#[tokio::test]
async fn a_search_that_finds_little_gets_on_and_ends() {
    let bench = Bench::new(Limits {
        log_burst: 100_000,
        ..Limits::default()
    });
    let session = bench.session("one");
    let many: Vec<String> = (0..2_500).map(|number| number.to_string()).collect();
    for _ in 0..5 {
        let logs = &bench.core.logs;
        logs.append(session.pass(), logged(&many)).await.unwrap();
    }
    let rare = LogFilter {
        wants: Some(Arc::new(|record| record == b"2499")),
        ..of("one")
    };
    assert_eq!(found(&bench, &rare).await.len(), 5);
    let taken = bench.core.logs.after(&rare, 0, 1_000).await.unwrap();
    assert_eq!(
        (taken.logs.len(), taken.next),
        (4, u64::from(MAX_LOOKED_AT))
    );
    assert_eq!(found(&bench, &of("two")).await, [""; 0]);
}

#[tokio::test]
async fn a_search_from_the_newest_gets_back_to_the_oldest_a_part_at_a_time() {
    let bench = Bench::new(Limits::default());
    let (one, two) = (bench.session("one"), bench.session("two"));
    for day in 0..3 {
        log(&bench, &one, [&*format!("{day}a"), &*format!("{day}b")]).await;
        log(&bench, &two, ["other"]).await;
        bench.core.clock.advance(DAY);
    }
    let back = async |filter: &LogFilter| {
        let (mut found, mut before, mut parts) = (Vec::new(), None, 0);
        loop {
            let part = bench.core.logs.before(filter, before, 2).await.unwrap();
            let texts = part.logs.iter();
            found.extend(texts.map(|log| String::from_utf8(log.record.to_vec()).unwrap()));
            parts += 1;
            match part.next {
                Some(next) => assert!(before.replace(next).is_none_or(|last| last > next)),
                None => return (found.join(" "), parts),
            }
        }
    };
    let all = "2b 2a 1b 1a 0b 0a";
    assert_eq!(back(&of("one")).await, (all.to_owned(), 3));
    let now = bench.core.clock.now();
    let since = LogFilter {
        since: Some(now.before(2 * DAY)),
        ..of("one")
    };
    assert_eq!(back(&since).await, ("2b 2a 1b 1a".to_owned(), 2));
    let until = LogFilter {
        until: Some(now.before(2 * DAY)),
        ..of("one")
    };
    assert_eq!(back(&until).await, ("0b 0a".to_owned(), 1));
    let never = LogFilter {
        since: Some(now.after(DAY)),
        ..of("one")
    };
    assert_eq!(back(&never).await, (String::new(), 1));
}

#[tokio::test]
async fn a_search_from_the_newest_that_finds_little_gets_on() {
    let bench = Bench::new(Limits {
        log_burst: 100_000,
        ..Limits::default()
    });
    let session = bench.session("one");
    let many: Vec<String> = (0..6_000).map(|number| number.to_string()).collect();
    for _ in 0..2 {
        let logs = &bench.core.logs;
        logs.append(session.pass(), logged(&many)).await.unwrap();
    }
    let rare = LogFilter {
        wants: Some(Arc::new(|record| record == b"0")),
        ..of("one")
    };
    let part = bench.core.logs.before(&rare, None, 10).await.unwrap();
    let found: Vec<u64> = part.logs.iter().map(|log| log.seq).collect();
    assert_eq!((found, part.next), (vec![6_001], Some(2_001)));
    let part = bench.core.logs.before(&rare, part.next, 10).await.unwrap();
    let found: Vec<u64> = part.logs.iter().map(|log| log.seq).collect();
    assert_eq!((found, part.next), (vec![1], None));
}

#[tokio::test]
async fn what_is_kept_of_each_device_is_counted() {
    let limits = Limits {
        keep_logs: DAY,
        ..Limits::default()
    };
    let bench = Bench::new(limits);
    let (one, two) = (bench.session("one"), bench.session("two"));
    let kept = async |device: &str| {
        let kept = bench.core.logs.kept(&device.parse().unwrap()).await;
        let kept = kept.unwrap();
        (kept.records, kept.bytes, kept.latest)
    };
    let first = bench.core.clock.now();
    log(&bench, &one, ["a", "b"]).await;
    log(&bench, &one, ["c"]).await;
    log(&bench, &two, ["d"]).await;
    // Each record as one byte and its overhead; what they share, with each request.
    let shared = "resource".len() + "scope".len();
    let bytes = u64::try_from(3 * 129 + 2 * shared).unwrap();
    assert_eq!(kept("one").await, (3, bytes, Some(first)));
    assert_eq!(kept("two").await.0, 1);
    assert_eq!(kept("three").await, (0, 0, None));
    bench.core.clock.advance(2 * DAY);
    log(&bench, &one, ["e"]).await;
    assert_eq!(kept("one").await.0, 4);
    bench.core.logs.clear_old().await.unwrap();
    let now = bench.core.clock.now();
    let (records, _, latest) = kept("one").await;
    assert_eq!((records, latest), (1, Some(now)));
    assert_eq!(kept("two").await, (0, 0, None));
}

#[tokio::test]
async fn a_stretch_is_of_one_day_and_goes_whole_when_its_time_is_over() {
    let limits = Limits {
        keep_logs: 2 * DAY,
        ..Limits::default()
    };
    let bench = Bench::new(limits);
    let (session, logs) = (bench.session("one"), &bench.core.logs);
    for day in ["first", "second", "third"] {
        log(&bench, &session, [day]).await;
        bench.core.clock.advance(DAY);
    }
    assert_eq!(rows(&bench, "stretch").await, 3);
    // The second day is just two days ago.
    assert_eq!(logs.clear_old().await.unwrap(), 1);
    assert_eq!(found(&bench, &of("one")).await, ["second", "third"]);
    assert_eq!(logs.oldest().await.unwrap(), 2);
    bench.core.clock.advance(5 * DAY);
    assert_eq!(logs.clear_old().await.unwrap(), 2);
    for table in ["stretch", "context", "tally", "log"] {
        assert_eq!(rows(&bench, table).await, 0, "{table}");
    }
    assert_eq!(
        log(&bench, &session, ["later"]).await,
        4,
        "no place is given twice"
    );
    assert_eq!(logs.oldest().await.unwrap(), 4);
}

#[tokio::test]
async fn the_oldest_go_when_there_is_too_much_and_the_file_stays_within_bounds() {
    let limits = Limits {
        log_bytes: 64 << 20,
        logs_a_second: 1_000_000,
        log_burst: 1_000_000,
        ..Limits::default()
    };
    let bench = Bench::new(limits);
    let session = bench.session("one");
    let large = vec![7_u8; 60_000];
    let mut last = 0;
    for _ in 0..40 {
        let (logs, pass) = (&bench.core.logs, session.pass());
        let four_mebibytes = std::iter::repeat_n(&large, 66);
        last = logs.append(pass, logged(four_mebibytes)).await.unwrap();
    }
    let held = bench
        .core
        .logs
        .store()
        .read(|connection| Ok(store::used(connection)?))
        .await
        .unwrap()
        .held;
    assert!(held < 72 << 20, "{held}");
    let oldest = bench.core.logs.oldest().await.unwrap();
    let kept = rows(&bench, "log").await;
    assert_eq!(
        u64::try_from(kept).unwrap(),
        last - oldest + 1,
        "there is no hole"
    );
    assert!(kept > 700, "{kept}");
}

#[tokio::test]
async fn a_search_for_a_time_finds_all_of_it_though_the_clock_was_put_back() {
    // Who has logged by a clock that is put back would wait for it otherwise.
    let bench = Bench::new(Limits {
        logs_a_second: 1,
        log_burst: u32::MAX,
        ..Limits::default()
    });
    let session = bench.session("one");
    let start = bench.core.clock.now();
    // Ahead by a year, then put right.
    bench.core.clock.advance(365 * DAY);
    log(&bench, &session, ["ahead"]).await;
    let Clock::Held(millis) = &bench.core.clock else {
        panic!("it is held");
    };
    millis.store(start.as_millis(), Ordering::SeqCst);
    log(&bench, &session, ["right"]).await;
    bench.core.clock.advance(DAY);
    log(&bench, &session, ["later"]).await;
    let between = |since, until| LogFilter {
        since: Some(since),
        until: Some(until),
        ..of("one")
    };
    let day = between(start, start.after(DAY));
    assert_eq!(found(&bench, &day).await, ["right"]);
    let days = between(start, start.after(2 * DAY));
    assert_eq!(found(&bench, &days).await, ["right", "later"]);
    let year = between(start.after(DAY), start.after(366 * DAY));
    assert_eq!(found(&bench, &year).await, ["ahead", "later"]);
    let never = between(start.after(400 * DAY), start.after(500 * DAY));
    assert_eq!(found(&bench, &never).await, [""; 0]);
}

#[tokio::test]
async fn what_waits_for_the_disk_when_its_sender_is_revoked_is_not_kept() {
    let bench = Bench::new(Limits::default());
    let session = bench.session("one");
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let store = bench.core.logs.store().clone();
    let busy = tokio::spawn(async move {
        let wait = move |_: &Connection| Ok(may_go_on.recv().is_ok());
        store.write(wait).await
    });
    tokio::task::yield_now().await;
    let mut append = pin!(bench.core.logs.append(session.pass(), logged(["late"])));
    let waits = std::future::poll_fn(|task| Poll::Ready(append.as_mut().poll(task))).await;
    assert!(waits.is_pending());
    let end = bench
        .core
        .sessions
        .end(&Selector::All, Ending::Revoked, Duration::ZERO);
    assert_eq!(end.await.ended, 1);
    go_on.send(()).unwrap();
    busy.await.unwrap().unwrap();
    let refused = append.await;
    assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
    assert_eq!(found(&bench, &LogFilter::default()).await, [""; 0]);
}

#[tokio::test]
async fn nobody_but_a_device_logs() {
    let bench = Bench::new(Limits::default());
    let service = bench.service("erp", "");
    let refused = bench.core.logs.append(service.pass(), logged(["no"])).await;
    assert!(
        matches!(refused, Err(Refusal::Forbidden { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_request_larger_than_a_burst_is_taken_whole_and_what_follows_waits() {
    let limits = Limits {
        logs_a_second: 10,
        log_burst: 20,
        ..Limits::default()
    };
    let bench = Bench::new(limits);
    let session = bench.session("one");
    let many: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let logs = &bench.core.logs;
    logs.append(session.pass(), logged(&many)).await.unwrap();
    let refused = logs.append(session.pass(), logged(["more"])).await;
    let Err(Refusal::Limited { retry_after, .. }) = refused else {
        panic!("{refused:?}");
    };
    // 30 more than the burst, and the one that is asked for.
    assert_eq!(retry_after, Duration::from_millis(3_100));
    assert!(logs.allow(&session.pass()).is_err());
    logs.append(bench.session("two").pass(), logged(["other"]))
        .await
        .unwrap();
    bench.core.clock.advance(retry_after);
    logs.allow(&session.pass()).unwrap();
    logs.append(session.pass(), logged(["more"])).await.unwrap();
}

#[tokio::test]
async fn a_file_with_logs_is_not_taken_for_one_with_a_model() {
    let folder = tempfile::tempdir().unwrap();
    drop(crate::Core::open(&crate::Settings::new(folder.path())).unwrap());
    let refused = store::open(
        &folder.path().join(FOLDER),
        &Limits::default(),
        Hook::default(),
    );
    assert!(
        matches!(
            refused,
            Err(OpenError::Store(outgate_store::OpenError::Foreign { .. }))
        ),
        "{refused:?}"
    );
}
