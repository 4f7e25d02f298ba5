//! What devices log: sent by OTLP over HTTP, read and followed through the API.

use std::io::Write as _;

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use outgate_core::identity::Actor;
use outgate_wire::otlp::{Batch, Encoding, Record, Resource, Scope, Value as Held, read_reply};
use serde_json::{Value, json};

use crate::hub::{Answer, Hub, soon};

/// A device with a token, and its hub.
pub(crate) struct Logging {
    pub(crate) hub: Hub,
    token: String,
}

impl Logging {
    async fn new() -> Self {
        Self::on(Hub::furnished().await).await
    }

    pub(crate) async fn on(hub: Hub) -> Self {
        let token = hub.token("till").await;
        Self { hub, token }
    }

    /// Sends a body with these headers, and the device's token unless they say otherwise.
    async fn send(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::post("/v1/logs");
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.hub.tell(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn send_json(&self, records: Value) -> Answer {
        let body = logs_of(records).to_string();
        let of_type = ("content-type", "application/json");
        self.send(&[of_type], body).await
    }

    /// The items of the list that is asked for, and `next`.
    pub(crate) async fn listed(&self, query: &str) -> (Vec<Value>, u64) {
        let path = format!("/api/devices/till/logs{query}");
        let answer = self.hub.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let items = answer.body["items"].as_array().unwrap().clone();
        (items, answer.body["next"].as_u64().unwrap())
    }

    async fn bodies(&self, query: &str) -> Vec<String> {
        let (items, _) = self.listed(query).await;
        let text = |item: &Value| item["body"].as_str().unwrap_or_default().to_owned();
        items.iter().map(text).collect()
    }
}

/// A request with these records, of one resource and one scope.
fn logs_of(records: Value) -> Value {
    let service = json!({"key": "service.name", "value": {"stringValue": "till"}});
    let lie = json!({"key": "outgate.device", "value": {"stringValue": "another"}});
    json!({"resourceLogs": [{
        "resource": {"attributes": [service, lie]},
        "scopeLogs": [{"scope": {"name": "printing"}, "logRecords": records}],
    }]})
}

pub(crate) fn said(text: &str, severity: u8) -> Value {
    json!({"severityNumber": severity, "body": {"stringValue": text}})
}

#[tokio::test]
async fn what_a_device_logs_in_json_is_told_as_it_was_said() {
    let device = Logging::new().await;
    let answer = device
        .send_json(json!([{
            "timeUnixNano": "1790000000123456789", "severityNumber": 17, "severityText": "ERROR",
            "body": {"stringValue": "no paper"}, "traceId": "5b8efff798038103d269b633813fc60c",
            "attributes": [{"key": "tries", "value": {"intValue": "3"}}],
        }]))
        .await;
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &json!({})));
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    let (items, next) = device.listed("").await;
    let [item] = &items[..] else {
        panic!("{items:?}");
    };
    assert_eq!(item["place"], next);
    assert!(item["received"].is_string(), "{item}");
    let mut told = item.as_object().unwrap().clone();
    told.retain(|name, _| !["place", "received"].contains(&name.as_str()));
    assert_eq!(
        Value::Object(told),
        json!({
            "device": "till", "site": "a", "time": "2026-09-21T14:13:20.123456789Z",
            "severity": 17, "severity_text": "ERROR", "body": "no paper",
            "attributes": {"tries": 3}, "scope": "printing",
            // What is the hub's to say is not taken from a device.
            "resource": {"service.name": "till"},
            "trace_id": "5b8efff798038103d269b633813fc60c",
        })
    );
}

#[tokio::test]
async fn protobuf_and_gzip_come_to_the_same_and_are_answered_in_kind() {
    let device = Logging::new().await;
    let record = Record {
        severity: 9,
        body: Held::Text("open".to_owned()),
        ..Record::default()
    };
    let mut batch = Batch::default();
    let bytes = record.to_bytes();
    batch.add(&Resource::default(), &Scope::default(), [&bytes[..]]);
    let plain = batch.into_bytes();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&plain).unwrap();
    let packed = packed.finish().unwrap();
    let of_type = ("content-type", "application/x-protobuf");
    for (headers, body) in [
        (&[of_type][..], plain),
        (&[of_type, ("content-encoding", "gzip")], packed),
    ] {
        let answer = device.send(headers, body).await;
        assert_eq!((answer.status, answer.body), (StatusCode::OK, json!("")));
        assert_eq!(answer.headers[CONTENT_TYPE], "application/x-protobuf");
    }
    assert_eq!(device.bodies("").await, ["open", "open"]);
}

#[tokio::test]
async fn records_that_are_too_large_are_rejected_and_the_others_kept() {
    let device = Logging::new().await;
    let records = json!([said("a", 9), said(&"x".repeat(70_000), 9), said("b", 9)]);
    let answer = device.send_json(records.clone()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let partial = &answer.body["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "1");
    let why = partial["errorMessage"].as_str().unwrap();
    assert!(why.contains("65,536 bytes"), "{why}");
    assert_eq!(device.bodies("").await, ["a", "b"]);
    // The same in protobuf, read by the reader for whoever logs are sent on to.
    let large = Record {
        body: Held::Text("x".repeat(70_000)),
        ..Record::default()
    };
    let mut batch = Batch::default();
    let bytes = large.to_bytes();
    batch.add(&Resource::default(), &Scope::default(), [&bytes[..]]);
    let request = Request::post("/v1/logs")
        .header("authorization", format!("Bearer {}", device.token))
        .header("content-type", "application/x-protobuf")
        .body(Body::from(batch.into_bytes()))
        .unwrap();
    let answer = device.hub.send(request).await;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(read_reply(&body).unwrap().rejected, 1);
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_a_status_and_a_reason() {
    let device = Logging::new().await;
    let json = ("content-type", "application/json");
    let large = vec![b' '; 4 * 1_024 * 1_024 + 1];
    for (headers, body, status, code, why) in [
        (&[json][..], &b"{"[..], 400, 3, "not JSON"),
        (&[json], &[0xff], 400, 3, "UTF-8"),
        (
            &[json, ("content-encoding", "gzip")],
            b"{}",
            400,
            3,
            "not gzip",
        ),
        (
            &[json, ("content-encoding", "br")],
            b"{}",
            415,
            3,
            "gzip, or none",
        ),
        (
            &[("content-type", "text/plain")],
            b"{}",
            415,
            3,
            "x-protobuf",
        ),
        (&[], b"{}", 415, 3, "x-protobuf"),
        (&[json], &large, 413, 3, "at most 4194304 bytes"),
        (
            &[json, ("authorization", "Bearer og_no")],
            b"{}",
            401,
            16,
            "not accepted",
        ),
        (
            &[json, ("authorization", "Basic x")],
            b"{}",
            401,
            16,
            "not accepted",
        ),
    ] {
        let answer = device.send(headers, body.to_vec()).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert_eq!(answer.body["code"], code, "{answer:?}");
        let said = answer.body["message"].as_str().unwrap();
        assert!(said.contains(why), "{said}");
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    }
    assert_eq!(device.listed("").await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn an_operator_logs_nothing_and_nonsense_in_protobuf_is_answered_in_protobuf() {
    let device = Logging::new().await;
    let json = ("content-type", "application/json");
    let operator = format!("Bearer {}", device.hub.admin);
    let answer = device
        .send(&[json, ("authorization", &operator)], "{}")
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (403, &json!(7))
    );
    assert_eq!(device.listed("").await.0, Vec::<Value>::new());
    // In protobuf: code 3 and a message.
    let protobuf = ("content-type", "application/x-protobuf");
    let answer = device.send(&[protobuf], vec![0x0a]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.headers[CONTENT_TYPE],
        Encoding::Protobuf.media_type()
    );
    let body = answer.body.as_str().unwrap();
    assert!(
        body.starts_with("\u{8}\u{3}\u{12}") && body.contains("it breaks off"),
        "{body:?}"
    );
}

#[tokio::test]
async fn without_a_login_nothing_is_read() {
    let device = Logging::new().await;
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::post("/v1/logs")
        .header("content-type", "application/json")
        .body(never)
        .unwrap();
    let answer = soon(device.hub.tell(request)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn other_signals_and_methods_are_not_taken_and_that_is_said() {
    let device = Logging::new().await;
    for path in ["/v1/traces", "/v1/metrics"] {
        let answer = device.hub.post(path, json!({})).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let said = answer.body["message"].as_str().unwrap();
        assert!(said.contains("only logs"), "{said}");
    }
    let answer = device.hub.get("/v1/logs").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers[ALLOW], "POST");
}

#[tokio::test]
async fn a_device_is_not_present_because_it_logs() {
    let device = Logging::new().await;
    device.send_json(json!([said("a", 9)])).await;
    let told = device.hub.get("/api/devices/till").await.body;
    assert!(told["seen"].is_string(), "{told}");
    let sessions = device.hub.get("/api/devices/till/sessions").await.body;
    assert_eq!(sessions["items"], json!([]));
}

#[tokio::test]
async fn who_asks_for_a_device_is_told_how_much_of_its_logs_is_kept() {
    let device = Logging::new().await;
    let kept = async || device.hub.get("/api/devices/till").await.body["logs"].clone();
    let none = json!({"records": 0, "bytes": 0, "latest": null});
    assert_eq!(kept().await, none);
    device.send_json(json!([said("a", 9), said("b", 9)])).await;
    device.send_json(json!([said("c", 9)])).await;
    let (items, _) = device.listed("").await;
    let (kept, all) = (kept().await, device.hub.get("/api/devices").await.body);
    assert_eq!(kept["records"], 3, "{kept}");
    assert_eq!(kept["latest"], items[2]["received"]);
    assert!(kept["bytes"].as_u64().unwrap() > 3 * 128, "{kept}");
    assert_eq!(all["items"][0].get("logs"), None, "lists do without");
}

#[tokio::test]
async fn records_are_found_by_severity_words_and_time_and_a_part_at_a_time() {
    let device = Logging::new().await;
    let all = json!([
        said("one", 5),
        said("two", 9),
        json!({"severityNumber": 17, "body": {"stringValue": "three"},
            "attributes": [{"key": "error", "value": {"stringValue": "timed out"}}]}),
        json!({"body": {"kvlistValue": {"values": [{"key": "n", "value": {"intValue": 4}}]}}}),
    ]);
    device.send_json(all).await;
    assert_eq!(device.bodies("?severity=9").await, ["two", "three"]);
    assert_eq!(device.bodies("?grep=t[wh]").await, ["two", "three"]);
    assert_eq!(device.bodies("?grep=error%3Dtimed").await, ["three"]);
    let (items, _) = device.listed("?grep=%22n%22:4").await;
    assert_eq!(items[0]["body"], json!({"n": 4}));
    let (items, _) = device.listed("?limit=1").await;
    let first = items[0]["received"].as_str().unwrap();
    assert_eq!(device.bodies(&format!("?since={first}")).await.len(), 4);
    assert_eq!(device.bodies(&format!("?until={first}")).await.len(), 0);
    assert_eq!(device.bodies("?since=2100-01-01T00:00:00Z").await.len(), 0);
    let (mut place, mut found) = (0, Vec::new());
    loop {
        let (items, next) = device.listed(&format!("?limit=3&after={place}")).await;
        if items.is_empty() {
            break;
        }
        found.extend(items);
        place = next;
    }
    assert_eq!(found.len(), 4);
    for wrong in [
        "?severity=0",
        "?severity=25",
        "?grep=(",
        "?grep=",
        "?since=yesterday",
        "?limit=0",
    ] {
        let path = format!("/api/devices/till/logs{wrong}");
        let answer = device.hub.get(&path).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{wrong}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn an_operator_of_another_site_and_a_service_read_no_logs() {
    let device = Logging::new().await;
    device.send_json(json!([said("a", 9)])).await;
    let ann = device.hub.operator("ann", "viewer", Some("a")).await;
    let bob = device.hub.operator("bob", "admin", Some("b")).await;
    let path = "/api/devices/till/logs";
    let seen = device.hub.ask(&ann, Method::GET, path, Value::Null).await;
    assert_eq!(seen.body["items"].as_array().unwrap().len(), 1, "{seen:?}");
    let unseen = device.hub.ask(&bob, Method::GET, path, Value::Null).await;
    assert_eq!(unseen.status, StatusCode::NOT_FOUND);
    let nobody = device.hub.get("/api/devices/nobody/logs").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn logs_are_followed_as_they_come_and_taken_up_again() {
    let device = Logging::new().await;
    device.send_json(json!([said("before", 9)])).await;
    let follow = |last: Option<u64>| {
        let request = Request::get("/api/devices/till/logs?grep=e")
            .header("authorization", format!("Bearer {}", device.hub.admin))
            .header("accept", "text/event-stream");
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        device.hub.send(request.body(Body::empty()).unwrap())
    };
    let mut coming = follow(None).await.into_body().into_data_stream();
    device
        .send_json(json!([said("no", 9), said("here", 9)]))
        .await;
    let part = soon(coming.next()).await.unwrap().unwrap();
    let text = String::from_utf8(part.to_vec()).unwrap();
    assert!(
        text.contains("id: 3") && text.contains(r#""body":"here""#),
        "{text}"
    );
    let mut again = follow(Some(0)).await.into_body().into_data_stream();
    let part = soon(again.next()).await.unwrap().unwrap();
    assert!(String::from_utf8(part.to_vec()).unwrap().contains("before"));
}

#[tokio::test]
async fn who_logs_too_much_is_told_when_to_come_again() {
    let device = {
        let hub = Hub::held().await;
        hub.furnish().await;
        Logging::on(hub).await
    };
    let batch = || {
        let records = (0..9_000).map(|number| json!({"flags": number}));
        device.send_json(records.collect())
    };
    // The second is begun within the burst of 10,000 and taken whole.
    for _ in 0..2 {
        assert_eq!(batch().await.status, StatusCode::OK);
    }
    let refused = device.send_json(json!([said("late", 9)])).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.body["code"], 8);
    // 8,000 more than the burst and one more, at 200 a second.
    assert_eq!(refused.headers[RETRY_AFTER], "41");
    device
        .hub
        .core
        .clock
        .advance(std::time::Duration::from_secs(41));
    let taken = device.send_json(json!([said("late", 9)])).await;
    assert_eq!(taken.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_device_logs_nothing() {
    let device = Logging::new().await;
    let till = "till".parse().unwrap();
    let identity = &device.hub.core.identity;
    identity.revoke_device(&Actor::hub(), &till).await.unwrap();
    let refused = device.send_json(json!([said("late", 9)])).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(device.listed("").await.0, Vec::<Value>::new());
}
