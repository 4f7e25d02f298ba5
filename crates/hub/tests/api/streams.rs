//! Events as they come: long polls, server-sent events, consumers.

use std::collections::BTreeMap;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::{Method, Request, StatusCode};
use outgate_core::events::NewEvent;
use outgate_core::sessions::Session;
use serde_json::{Value, json};

use crate::hub::{Hub, request, soon};

async fn say(hub: &Hub, session: &Session, name: &str, payload: &str) -> u64 {
    let event = NewEvent {
        name: name.to_owned(),
        content_type: "application/json".to_owned(),
        properties: BTreeMap::new(),
        payload: payload.to_owned().into(),
    };
    hub.core.events.append(session, event).await.unwrap()
}

/// A stream of server-sent events, read a message at a time.
struct Following {
    body: BodyDataStream,
    text: String,
}

impl Following {
    async fn open(hub: &Hub, token: &str, path: &str, last: Option<u64>) -> Self {
        let mut asked = request(token, Method::GET, path, &Value::Null);
        let kind = "text/event-stream".parse().unwrap();
        asked.headers_mut().insert("accept", kind);
        if let Some(last) = last {
            asked.headers_mut().insert("last-event-id", last.into());
        }
        let response = hub.send(asked).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The fields of the next message; `None` when the stream is over.
    async fn next(&mut self) -> Option<BTreeMap<String, String>> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let fields = message.lines().map(|line| {
                    let (name, value) = line.split_once(": ").unwrap();
                    (name.to_owned(), value.to_owned())
                });
                let fields = fields.collect();
                self.text = rest.to_owned();
                return Some(fields);
            }
            let chunk = soon(self.body.next()).await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn events_are_read_in_order_and_by_filter() {
    let hub = Hub::furnished().await;
    let session = hub.session("till").await;
    let first = say(&hub, &session, "door/opened", "1").await;
    let second = say(&hub, &session, "light/on", "{\"a\": 1.50}").await;
    let all = hub.get("/api/events").await;
    assert_eq!(all.body["items"].as_array().unwrap().len(), 2, "{all:?}");
    assert_eq!(all.body["items"][1]["payload"], json!({"a": 1.5}));
    assert_eq!(all.body["next"], second);
    let doors = hub.get("/api/events?prefix=door/").await;
    assert_eq!(doors.body["items"][0]["place"], first);
    assert_eq!(doors.body["items"].as_array().unwrap().len(), 1);
    let later = hub
        .get(&format!("/api/events?after={first}&device=till"))
        .await;
    assert_eq!(later.body["items"][0]["place"], second);
    let theirs = hub.operator("bo", "viewer", Some("b")).await;
    let none = hub
        .ask(&theirs, Method::GET, "/api/events", Value::Null)
        .await;
    assert_eq!(none.body["items"], json!([]));
}

#[tokio::test]
async fn a_long_poll_wakes_with_the_event() {
    let hub = Hub::furnished().await;
    let session = hub.session("till").await;
    let polling = hub.get("/api/events?wait=60");
    let saying = async {
        tokio::task::yield_now().await;
        say(&hub, &session, "x", "1").await
    };
    let (polled, place) = soon(async { tokio::join!(polling, saying) }).await;
    assert_eq!(polled.body["items"][0]["place"], place);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_left() {
    let hub = Hub::furnished().await;
    let session = hub.session("till").await;
    let before = say(&hub, &session, "x", "0").await;
    let mut following = Following::open(&hub, &hub.admin, "/api/events", None).await;
    let first = say(&hub, &session, "x", "[1,\r\n2]").await;
    let message = following.next().await.unwrap();
    assert_eq!(message["id"], first.to_string());
    let event: Value = serde_json::from_str(&message["data"]).unwrap();
    assert_eq!(
        (&event["place"], &event["payload"]),
        (&json!(first), &json!([1, 2]))
    );
    drop(following);
    let second = say(&hub, &session, "x", "2").await;
    let mut again = Following::open(&hub, &hub.admin, "/api/events", Some(first)).await;
    assert_eq!(again.next().await.unwrap()["id"], second.to_string());
    let path = format!("/api/events?after={}", before - 1);
    let mut whole = Following::open(&hub, &hub.admin, &path, None).await;
    assert_eq!(whole.next().await.unwrap()["id"], before.to_string());
}

#[tokio::test]
async fn a_revoked_token_ends_streams_and_polls_before_the_revocation_is_told() {
    let hub = Hub::furnished().await;
    let token = hub.operator("anna", "viewer", None).await;
    let mut following = Following::open(&hub, &token, "/api/events", None).await;
    let reading = async {
        let last = following.next().await;
        let over = following.next().await.is_none();
        drop(following);
        (last, over)
    };
    let polling = hub.ask(&token, Method::GET, "/api/events?wait=60", Value::Null);
    let revoking = async {
        // Until the poll has been let in beside the stream.
        while hub.core.sessions.count() < 2 {
            tokio::task::yield_now().await;
        }
        hub.post("/api/operators/anna/revoke", Value::Null).await
    };
    let ((last, over), polled, revoked) =
        soon(async { tokio::join!(reading, polling, revoking) }).await;
    let last = last.unwrap();
    assert_eq!(last["event"], "problem");
    assert!(last["data"].contains("the token no longer holds"));
    assert!(over);
    assert_eq!(polled.status, StatusCode::UNAUTHORIZED);
    assert_eq!(polled.body["detail"], "the token no longer holds");
    assert_eq!(revoked.body["lingering"], 0, "{revoked:?}");
    assert!(revoked.body["ended"].as_u64().unwrap() >= 1);
}

#[tokio::test]
async fn a_twin_is_watched() {
    let hub = Hub::furnished().await;
    let path = "/api/devices/till/twin";
    let mut following = Following::open(&hub, &hub.admin, path, None).await;
    let version = |message: &BTreeMap<String, String>| {
        let twin: Value = serde_json::from_str(&message["data"]).unwrap();
        twin["desired"]["version"].clone()
    };
    assert_eq!(version(&following.next().await.unwrap()), 0);
    let desired = format!("{path}/desired");
    hub.ask(&hub.admin, Method::PATCH, &desired, json!({"a": 1}))
        .await;
    assert_eq!(version(&following.next().await.unwrap()), 1);
}

#[tokio::test]
async fn streams_of_one_caller_have_a_limit() {
    let hub = Hub::furnished().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Following::open(&hub, &hub.admin, "/api/events", None).await);
    }
    let mut asked: Request<Body> = request(&hub.admin, Method::GET, "/api/events", &Value::Null);
    let kind = "text/event-stream".parse().unwrap();
    asked.headers_mut().insert("accept", kind);
    let refused = hub.tell(asked).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers.contains_key("retry-after"));
    open.pop();
    Following::open(&hub, &hub.admin, "/api/events", None).await;
}

#[tokio::test]
async fn a_consumer_gets_its_events_again_until_it_moves_on() {
    let hub = Hub::furnished().await;
    let session = hub.session("till").await;
    let put = Method::PUT;
    let path = "/api/consumers/billing";
    hub.ask(&hub.admin, put, path, json!({"after": 0})).await;
    let place = say(&hub, &session, "x", "1").await;
    for _ in 0..2 {
        let taken = hub.get(&format!("{path}/events?wait=60")).await;
        assert_eq!(taken.body["items"][0]["place"], place, "{taken:?}");
    }
    let advanced = hub
        .post(&format!("{path}/advance"), json!({"place": place}))
        .await;
    assert_eq!(advanced.status, StatusCode::NO_CONTENT);
    let taken = hub.get(&format!("{path}/events")).await;
    assert_eq!(taken.body["items"], json!([]));
    let beyond = hub
        .post(&format!("{path}/advance"), json!({"place": place + 1}))
        .await;
    assert_eq!(beyond.status, StatusCode::UNPROCESSABLE_ENTITY);
}
