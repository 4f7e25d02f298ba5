//! What the two ends say to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use outgate_signalr_client::{Builder, CallError, Cause, Client};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::closed;
use crate::hub::{Hub, Peer};

async fn connected(hub: &Hub) -> (Client, Peer) {
    let client = hub.builder().build().unwrap();
    client.start().await.unwrap();
    (client, hub.accept().await)
}

fn call(target: &str, arguments: &str) -> String {
    format!(r#"{{"type":1,"target":"{target}","arguments":{arguments}}}"#)
}

#[tokio::test(start_paused = true)]
async fn handlers_hear_what_is_for_them_in_order_and_in_any_case() {
    let hub = Hub::new();
    let (client, peer) = connected(&hub).await;
    let (heard, mut hears) = mpsc::unbounded_channel();
    let mut registrations = Vec::new();
    for name in ["one", "two"] {
        let heard = heard.clone();
        registrations.push(client.on("Note", move |(user, number): (String, u32)| {
            let heard = heard.clone();
            async move { heard.send(format!("{name} {user} {number}")).unwrap() }
        }));
    }
    peer.say(&call("NOTE", r#"["ann",1,"beyond"]"#));
    let mut both = [hears.recv().await.unwrap(), hears.recv().await.unwrap()];
    both.sort();
    assert_eq!(both, ["one ann 1", "two ann 1"]);
    client.off(&registrations[0]);
    // Those that do not fit are left out, and the others are not.
    for arguments in [r#"["ann"]"#, r#"[1,"ann"]"#, "[]"] {
        peer.say(&call("note", arguments));
    }
    for number in 2..100 {
        peer.say(&call("note", &format!(r#"["ann",{number}]"#)));
    }
    for number in 2..100 {
        assert_eq!(hears.recv().await.unwrap(), format!("two ann {number}"));
    }
    client.off_all("note");
    peer.say(&call("note", r#"["ann",0]"#));
    peer.say(&call("unknown", "[]"));
    sleep(Duration::from_secs(1)).await;
    hears.try_recv().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn the_hub_gets_the_results_it_wants() {
    let hub = Hub::new();
    let (client, mut peer) = connected(&hub).await;
    client.answer("Add", |(a, b): (u32, u32)| async move {
        a.checked_add(b).ok_or("too much")
    });
    client.answer("Nothing", |()| async { Ok::<_, CallError>(()) });
    client.answer("Panic", |()| async {
        assert!(std::hint::black_box(false), "as it is told to");
        Ok::<_, CallError>(())
    });
    for (target, arguments, answer) in [
        ("add", "[1,2]", r#""result":3"#),
        ("Add", "[4294967295,1]", r#""error":"too much""#),
        ("Add", "[1]", r#""error":"1 arguments in place of 2""#),
        ("Nothing", "[]", r#""result":null"#),
        ("Panic", "[]", r#""error":"the client's handler failed""#),
        (
            "Unknown",
            "[]",
            r#""error":"Client didn't provide a result.""#,
        ),
    ] {
        peer.say(&format!(
            r#"{{"type":1,"invocationId":"a","target":"{target}","arguments":{arguments}}}"#
        ));
        let expected = format!(r#"{{"type":3,"invocationId":"a",{answer}}}"#);
        assert_eq!(peer.said().await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_holds_up_neither_pings_nor_answers_nor_others() {
    let hub = Hub::new();
    let (client, mut peer) = connected(&hub).await;
    client.on("Slow", |()| sleep(Duration::from_secs(1000)));
    client.answer("Slow", |()| async {
        sleep(Duration::from_secs(1000)).await;
        Ok::<_, CallError>(())
    });
    let inside = client.clone();
    client.answer("Inside", move |()| {
        let client = inside.clone();
        async move { client.invoke::<u32>("Number", ()).await }
    });
    peer.say(&call("Slow", "[]"));
    peer.say(r#"{"type":1,"invocationId":"slow","target":"Slow","arguments":[]}"#);
    peer.say(r#"{"type":1,"invocationId":"b","target":"Inside","arguments":[]}"#);
    let asked = peer.asked().await;
    peer.say(&format!(
        r#"{{"type":3,"invocationId":{},"result":7}}"#,
        asked["invocationId"]
    ));
    assert_eq!(
        peer.said().await.unwrap(),
        r#"{"type":3,"invocationId":"b","result":7}"#
    );
    assert_eq!(peer.said().await.unwrap(), r#"{"type":6}"#);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_far_too_slow_ends_the_connection_and_says_which_it_is() {
    let call = call("Slow", "[]");
    let three = 3 * call.len();
    for bound in [
        |builder: Builder, _| builder.handler_queue_max(3),
        |builder: Builder, three| builder.handler_queue_bytes_max(three),
    ] {
        let hub = Hub::new();
        let client = bound(hub.builder(), three).build().unwrap();
        client.on("Slow", |()| sleep(Duration::from_secs(1000)));
        client.start().await.unwrap();
        let peer = hub.accept().await;
        peer.say(&call);
        // Being handled, it waits no more.
        sleep(Duration::from_secs(1)).await;
        for _ in 0..3 {
            peer.say(&call);
        }
        sleep(Duration::from_secs(1)).await;
        assert!(client.state().borrow().is_connected());
        peer.say(&call);
        let cause = closed(&client).await.unwrap();
        let expected = format!(
            "the handler of Slow is too slow: 3 calls of {three} bytes wait for it already"
        );
        assert_eq!(cause.to_string(), expected);
        assert!(matches!(cause, Cause::SlowHandler { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_longer_than_all_that_may_wait_is_handled_all_the_same() {
    let hub = Hub::new();
    let client = hub.builder().handler_queue_bytes_max(10).build().unwrap();
    let (heard, mut hears) = mpsc::unbounded_channel();
    client.on("Said", move |(text,): (String,)| {
        heard.send(text).unwrap();
        std::future::ready(())
    });
    client.start().await.unwrap();
    let peer = hub.accept().await;
    peer.say(&call("Said", r#"["longer than ten bytes"]"#));
    assert_eq!(hears.recv().await.unwrap(), "longer than ten bytes");
}

#[tokio::test(start_paused = true)]
async fn a_hub_cannot_have_results_made_without_end() {
    let hub = Hub::new();
    let (client, mut peer) = connected(&hub).await;
    client.answer("Slow", |()| async {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, CallError>(())
    });
    for _ in 0..65 {
        peer.say(r#"{"type":1,"invocationId":"a","target":"Slow","arguments":[]}"#);
    }
    let busy = peer.asked().await["error"].clone();
    assert_eq!(busy, "the client handles too many calls at a time");
    for _ in 0..64 {
        assert!(peer.asked().await["result"].is_null());
    }
    peer.say(r#"{"type":1,"invocationId":"a","target":"Slow","arguments":[]}"#);
    assert_eq!(peer.asked().await["error"], serde_json::Value::Null);
}

fn item(id: &serde_json::Value, item: u32) -> String {
    format!(r#"{{"type":2,"invocationId":{id},"item":{item}}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_the_hub_ends_well_or_with_its_error() {
    let hub = Hub::new();
    let (client, mut peer) = connected(&hub).await;
    for (end, last) in [("", None), (r#","error":"no more""#, Some("no more"))] {
        let mut items = client.stream::<u32>("Count", (3,)).await.unwrap();
        let asked = peer.asked().await;
        let id = &asked["invocationId"];
        assert_eq!(
            (&asked["type"], &asked["arguments"][0]),
            (&4.into(), &3.into())
        );
        for number in 0..3 {
            peer.say(&item(id, number));
        }
        peer.say(&format!(r#"{{"type":3,"invocationId":{id}{end}}}"#));
        for number in 0..3 {
            assert_eq!(items.next().await.unwrap().unwrap(), number);
        }
        let error = items.next().await.map(|it| it.unwrap_err().to_string());
        assert_eq!(error.as_deref(), last);
        assert!(items.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_takes_or_that_does_not_fit_is_cancelled_once() {
    let hub = Hub::new();
    let (client, mut peer) = connected(&hub).await;
    let items = client.stream::<u32>("Count", ()).await.unwrap();
    let id = peer.asked().await["invocationId"].clone();
    drop(items);
    let cancel = |id: &serde_json::Value| format!(r#"{{"type":5,"invocationId":{id}}}"#);
    assert_eq!(peer.said().await.unwrap(), cancel(&id));
    peer.say(&item(&id, 1));
    let mut items = client.stream::<String>("Count", ()).await.unwrap();
    let id = peer.asked().await["invocationId"].clone();
    peer.say(&item(&id, 1));
    let error = items.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Read { .. }), "{error}");
    assert!(items.next().await.is_none());
    drop(items);
    assert_eq!(peer.said().await.unwrap(), cancel(&id));
    // Nothing but the ping after it.
    assert_eq!(peer.said().await.unwrap(), r#"{"type":6}"#);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_taken_too_slowly_ends_with_what_had_room() {
    let two = 2 * item(&"1".into(), 0).len();
    for bound in [
        |builder: Builder, _| builder.items_max(2),
        |builder: Builder, two| builder.items_bytes_max(two),
    ] {
        let hub = Hub::new();
        let client = bound(hub.builder(), two).build().unwrap();
        client.start().await.unwrap();
        let mut peer = hub.accept().await;
        let mut items = client.stream::<u32>("Count", ()).await.unwrap();
        let id = peer.asked().await["invocationId"].clone();
        for number in 0..3 {
            peer.say(&item(&id, number));
        }
        assert_eq!(peer.asked().await["type"], 5);
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        assert_eq!(items.next().await.unwrap().unwrap(), 1);
        let error = items.next().await.unwrap().unwrap_err();
        let expected = matches!(error, CallError::Overflow { items: 2, bytes } if bytes == two);
        assert!(expected, "{error}");
        assert!(items.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn streams_go_to_the_hub_beside_the_arguments() {
    let hub = Hub::new();
    let (client, mut peer) = connected(&hub).await;
    let failing = stream::iter([Ok(1), Err("broken")]);
    let call = client.call("Upload").arguments(("x",));
    let call = call.upload(stream::iter(["a", "b"])).try_upload(failing);
    let waiting = tokio::spawn(call.invoke::<u32>());
    let asked = peer.asked().await;
    let ids = asked["streamIds"].as_array().unwrap().clone();
    assert_eq!(
        (ids.len(), &asked["arguments"]),
        (2, &serde_json::json!(["x"]))
    );
    let mut heard = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        let said = peer.asked().await;
        let stream = ids
            .iter()
            .position(|id| *id == said["invocationId"])
            .unwrap();
        let what = [&said["item"], &said["error"]];
        let what = what.into_iter().find(|it| !it.is_null());
        heard[stream].push(what.map_or("end".to_owned(), ToString::to_string));
    }
    let expected = [vec![r#""a""#, r#""b""#, "end"], vec!["1", r#""broken""#]];
    assert_eq!(heard, expected);
    let id = &asked["invocationId"];
    peer.say(&format!(r#"{{"type":3,"invocationId":{id},"result":3}}"#));
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_to_the_hub_ends_with_the_call_that_it_goes_with() {
    let hub = Hub::new();
    let (client, mut peer) = connected(&hub).await;
    let taken = Arc::new(AtomicUsize::new(0));
    let endless = stream::unfold(taken.clone(), |taken| async move {
        sleep(Duration::from_secs(1)).await;
        taken.fetch_add(1, Ordering::Relaxed);
        Some((1, taken))
    });
    let call = client.call("Upload").upload(endless);
    let waiting = tokio::spawn(call.invoke::<()>());
    let asked = peer.asked().await;
    peer.asked().await;
    let id = &asked["invocationId"];
    peer.say(&format!(r#"{{"type":3,"invocationId":{id}}}"#));
    waiting.await.unwrap().unwrap();
    let count = taken.load(Ordering::Relaxed);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(
        (taken.load(Ordering::Relaxed), Arc::strong_count(&taken)),
        (count, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn records_may_come_in_any_pieces_and_with_the_welcome() {
    let hub = Hub::new();
    let (heard, mut hears) = mpsc::unbounded_channel();
    let client = hub.builder().build().unwrap();
    client.on("Go", move |(number,): (u32,)| {
        heard.send(number).unwrap();
        std::future::ready(())
    });
    hub.welcome_with(&format!("{{}}\u{1e}{}\u{1e}", call("Go", "[1]")));
    client.start().await.unwrap();
    assert_eq!(hears.recv().await, Some(1));
    let peer = hub.accept().await;
    for piece in call("Go", "[2]").split_inclusive('"') {
        peer.say_raw(piece);
    }
    peer.say_raw("\u{1e}");
    peer.say(r#"{"type":77}"#);
    peer.say("nonsense");
    let cause = closed(&client).await.unwrap();
    assert!(matches!(cause, Cause::Protocol { .. }), "{cause}");
    assert_eq!(hears.recv().await, Some(2));
}
