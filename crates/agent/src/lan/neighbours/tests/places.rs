//! Who takes up the places that there are for what others want, and until when.

use std::fs::File;
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::super::envelope::{FILE_PATH, RELAY_PATH};
use super::super::file::GIVEN_MAX;
use super::super::relay::{RELAYED_AT_ONCE, Relay};
use super::*;

/// A request whose content may be still to come, and who waits for its answer.
struct Asked(TcpStream);

impl Asked {
    async fn begin(till: &Neighbours, path: &str, fields: &HeaderMap, length: usize) -> Self {
        let mut head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(till.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    async fn whole(till: &Neighbours, path: &str, fields: &HeaderMap, content: &[u8]) -> Self {
        let mut asked = Self::begin(till, path, fields, content.len()).await;
        asked.0.write_all(content).await.unwrap();
        asked
    }

    /// The status, once it comes, and nothing more of the answer.
    async fn status(&mut self) -> u16 {
        let mut line = [0; 12];
        soon(self.0.read_exact(&mut line)).await.unwrap();
        std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn who_is_no_member_takes_no_place_from_those_who_have_something_handed_on() {
    let mut place = place(1);
    place.settings.relay = Some(Relay::new(|said| async { Some(said) }.boxed()));
    let till = place.start().await;
    let mut strangers = Vec::new();
    for _ in 0..2 * RELAYED_AT_ONCE {
        let nothing = HeaderMap::new();
        strangers.push(Asked::begin(&till, RELAY_PATH, &nothing, 1 << 20).await);
    }
    // They are answered before they have said what they want handed on.
    for stranger in &mut strangers {
        assert_eq!(stranger.status().await, 401);
    }
    let second = Envelope::new(&super::place(2).settings, 1, &open(&of_three())).unwrap();
    let fields = second.request(RELAY_PATH, &id(1), challenge(&till).await, b"said");
    let mut asked = Asked::whole(&till, RELAY_PATH, &fields, b"said").await;
    assert_eq!(asked.status().await, 200);
    let mut replayed = Asked::whole(&till, RELAY_PATH, &fields, b"said").await;
    assert_eq!(replayed.status().await, 401);
    let fields = second.request(RELAY_PATH, &id(1), challenge(&till).await, b"said");
    let mut changed = Asked::whole(&till, RELAY_PATH, &fields, b"told").await;
    assert_eq!(changed.status().await, 401);
    let long = vec![0; (2 << 20) + 1];
    let fields = second.request(RELAY_PATH, &id(1), challenge(&till).await, &long);
    let mut asked = Asked::begin(&till, RELAY_PATH, &fields, long.len()).await;
    assert_eq!(asked.status().await, 413);
}

#[tokio::test]
async fn who_is_no_member_is_not_waited_for_to_say_which_file_it_wants() {
    let mut place = place(1);
    let find = |_| async { tempfile::tempfile().ok() }.boxed();
    place.settings.files = Some(Files::new(find));
    let till = place.start().await;
    let mut stranger = Asked::begin(&till, FILE_PATH, &HeaderMap::new(), 1).await;
    assert_eq!(stranger.status().await, 401);
    let second = Envelope::new(&super::place(2).settings, 1, &open(&of_three())).unwrap();
    let wanted = [&[0; 32], b"menu".as_slice()].concat();
    let ask = async |said: &[u8], asked: &[u8]| {
        let fields = second.request(FILE_PATH, &id(1), challenge(&till).await, said);
        let mut asked = Asked::whole(&till, FILE_PATH, &fields, asked).await;
        asked.status().await
    };
    assert_eq!(ask(&wanted, &wanted).await, 200);
    assert_eq!(ask(&wanted, &[0; 36]).await, 401);
    assert_eq!(ask(b"menu", b"menu").await, 400);
}

#[tokio::test]
async fn what_is_handed_on_has_its_place_until_the_hub_has_answered_though_nobody_waits_any_more() {
    let (begun, mut begins) = watch::channel(0);
    let hub = Arc::new(Semaphore::new(0));
    let answers = Arc::clone(&hub);
    let mut place = place(1);
    place.settings.relay = Some(Relay::new(move |said| {
        begun.send_modify(|begun| *begun += 1);
        let answers = Arc::clone(&answers);
        async move {
            let _ = answers.acquire().await;
            Some(said)
        }
        .boxed()
    }));
    let till = place.start().await;
    let second = Envelope::new(&super::place(2).settings, 1, &open(&of_three())).unwrap();
    let ask = async || {
        let fields = second.request(RELAY_PATH, &id(1), challenge(&till).await, b"said");
        Asked::whole(&till, RELAY_PATH, &fields, b"said").await
    };
    for number in 1..=RELAYED_AT_ONCE {
        let mut asked = ask().await;
        drop(
            soon(begins.wait_for(|begun| *begun == number))
                .await
                .unwrap(),
        );
        // It is noticed that whoever asked has gone: its connection ends.
        asked.0.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon(asked.0.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    }
    assert_eq!(ask().await.status().await, 503);
    hub.close();
    let all = u32::try_from(RELAYED_AT_ONCE).unwrap();
    drop(soon(till.site.relaying.acquire_many(all)).await.unwrap());
    assert_eq!(ask().await.status().await, 200);
}

#[tokio::test]
async fn who_shows_a_challenge_that_is_over_goes_on_by_the_same_connection() {
    let mut place = place(1);
    place.settings.relay = Some(Relay::new(|said| async { Some(said) }.boxed()));
    let till = place.start().await;
    let second = Envelope::new(&super::place(2).settings, 1, &open(&of_three())).unwrap();
    let said = vec![7; 1 << 20];
    let old = HeaderValue::from_static("from-yesterday");
    let fields = second.request(RELAY_PATH, &id(1), old, &said);
    let mut asked = Asked::whole(&till, RELAY_PATH, &fields, &said).await;
    assert_eq!(asked.status().await, 409);
    let mut rest = [0; 4];
    while rest != *b"\r\n\r\n" {
        rest.rotate_left(1);
        rest[3] = soon(asked.0.read_u8()).await.unwrap();
    }
    let fields = second.request(RELAY_PATH, &id(1), challenge(&till).await, &said);
    let mut head = format!(
        "POST {RELAY_PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n",
        said.len()
    );
    for (name, value) in &fields {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    asked.0.write_all((head + "\r\n").as_bytes()).await.unwrap();
    asked.0.write_all(&said).await.unwrap();
    assert_eq!(asked.status().await, 200);
}

#[tokio::test]
async fn a_file_has_its_place_until_it_has_gone_out() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("film");
    // More than waits anywhere on the way to who does not read it.
    let file = File::create(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    let mut place = place(1);
    let find = move |_| {
        let path = path.clone();
        async move { File::open(path).ok() }.boxed()
    };
    place.settings.files = Some(Files::new(find));
    let till = place.start().await;
    let second = Envelope::new(&super::place(2).settings, 1, &open(&of_three())).unwrap();
    let wanted = [&[0; 32], b"film".as_slice()].concat();
    let ask = async || {
        let fields = second.request(FILE_PATH, &id(1), challenge(&till).await, &wanted);
        let mut asked = Asked::whole(&till, FILE_PATH, &fields, &wanted).await;
        (asked.status().await, asked)
    };
    let mut coming = Vec::new();
    for _ in 0..GIVEN_MAX {
        let (status, asked) = ask().await;
        assert_eq!(status, 200);
        coming.push(asked);
    }
    let fields = second.request(FILE_PATH, &id(1), challenge(&till).await, &wanted);
    let mut next = Asked::whole(&till, FILE_PATH, &fields, &wanted).await;
    tokio::select! {
        biased;
        status = next.status() => panic!("{status}"),
        _ = challenge(&till) => {}
    }
    // Whoever goes away makes room, as soon as that is noticed.
    coming.pop();
    assert_eq!(next.status().await, 200);
}

#[tokio::test]
async fn all_who_want_a_file_that_is_still_to_come_wait_for_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("menu");
    std::fs::write(&path, "[]").unwrap();
    let (wait, waiting) = watch::channel(0);
    let (wait, come) = (Arc::new(wait), Arc::new(Semaphore::new(0)));
    let mut place = place(1);
    let there = Arc::clone(&come);
    let find = move |_| {
        wait.send_modify(|waiting| *waiting += 1);
        let (path, there) = (path.clone(), Arc::clone(&there));
        async move {
            let _ = there.acquire().await;
            File::open(path).ok()
        }
        .boxed()
    };
    place.settings.files = Some(Files::new(find));
    let till = place.start().await;
    let second = Envelope::new(&super::place(2).settings, 1, &open(&of_three())).unwrap();
    let wanted = [&[0; 32], b"menu".as_slice()].concat();
    let mut all = Vec::new();
    for _ in 0..2 * GIVEN_MAX {
        let fields = second.request(FILE_PATH, &id(1), challenge(&till).await, &wanted);
        all.push(Asked::whole(&till, FILE_PATH, &fields, &wanted).await);
    }
    let mut waiting = waiting;
    let everybody = waiting.wait_for(|waiting| *waiting == 2 * GIVEN_MAX);
    drop(soon(everybody).await.unwrap());
    come.close();
    for asked in &mut all {
        assert_eq!(asked.status().await, 200);
    }
}

#[tokio::test]
async fn who_is_busy_with_a_file_is_told_from_who_does_not_give_it() {
    let mut place = place(1);
    let find = |_| async { tempfile::tempfile().ok() }.boxed();
    place.settings.files = Some(Files::new(find));
    let gives = place.start().await;
    let mut other = super::place(2);
    other.settings.known = vec![gives.address()];
    let other = other.start().await;
    shows(&gives, |view| view.there == [id(2)]).await;
    shows(&other, |view| view.there == [id(1)]).await;
    let wanted = Wanted {
        digest: [0; 32],
        name: "menu".to_owned(),
    };
    let none = gives.fetch(&id(2), &wanted).await;
    assert!(matches!(none, Err(Unsaid::Declined)), "{none:?}");
    other.fetch(&id(1), &wanted).await.unwrap();
    gives.site.giving.close();
    let busy = other.fetch(&id(1), &wanted).await;
    assert!(matches!(busy, Err(Unsaid::Busy)), "{busy:?}");
}

#[tokio::test]
async fn what_is_stopped_leaves_its_address_and_folder_though_somebody_still_has_it() {
    let mut place = place(1);
    let till = Arc::new(place.start().await);
    let held = Arc::clone(&till);
    till.stop().await;
    place.settings.listen = held.address();
    let again = place.start().await;
    assert_eq!(again.address(), held.address());
    assert_eq!(held.set_uplink(true).await, Err(Stopped));
    assert_eq!(sell(&again).await.number, 1);
}
