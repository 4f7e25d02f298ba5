//! Devices: their events, calls, commands and twins over every transport, and the end of it all.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::{CommandState, NewCommand};
use outgate_core::events::EventFilter;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Page, Scope};
use outgate_testbed::PATIENCE;
use serde_json::{Value, json};

use crate::client::{Client, WAYS};
use crate::running::Running;

/// A device with its connection over one of the ways.
async fn device(running: &Running, at: usize) -> (DeviceId, String, Client) {
    let name = format!("till-{at}");
    let token = running.device(&name).await;
    // Both of the places where a hub is found.
    let path = ["/client/?hub=POS", "/devices"][at % 2];
    let node = Client::connected(running, path, &token, WAYS[at]).await;
    (name.parse().unwrap(), token, node)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_device_invokes_is_an_event_by_the_time_that_it_is_answered() {
    let running = Running::with_pos("methods = { Spy = 'refuse' }").await;
    for at in 0..WAYS.len() {
        let (id, _, mut node) = device(&running, at).await;
        let sold = json!(["invoke", "sale/closed", {"cents": 250}, "åäö", null]);
        assert_eq!(node.does(sold).await, Value::Null);
        assert_eq!(
            events(&running, &id).await,
            [(
                "sale/closed".to_owned(),
                json!([{"cents": 250}, "åäö", null])
            )]
        );
        assert_eq!(node.does(json!(["send", "opened"])).await, Value::Null);
        let refused = node.does(json!(["invoke", "spy", 1])).await;
        let refused = refused["error"].as_str().unwrap();
        assert!(refused.ends_with("Method does not exist."), "{refused}");
        let events = events(&running, &id).await;
        assert_eq!(events[1..], [("opened".to_owned(), json!([]))]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_a_device_is_answered_by_its_method() {
    let running = Running::with_pos("").await;
    for at in 0..WAYS.len() {
        let (id, _, mut node) = device(&running, at).await;
        let (price, asked) = tokio::join!(
            call(&running, &id, "price", "{\"sku\": 7}"),
            node.says("asked")
        );
        assert_eq!(asked, json!([{"sku": 7}]));
        let json = "application/json".to_owned();
        assert_eq!(price, (200, json, "{\"cents\":250}".to_owned()));
        let (status, kind, text) = call(&running, &id, "price", "wrong").await;
        assert_eq!((status, kind.as_str()), (500, "text/plain"));
        assert!(text.contains("no such article"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_come_in_order_and_once_also_those_of_while_it_was_away() {
    let running = Running::with_pos("").await;
    for (at, way) in WAYS.into_iter().enumerate() {
        let name = format!("till-{at}");
        let token = running.device(&name).await;
        let id: DeviceId = name.parse().unwrap();
        for payload in ["1", "two", "refuse", "{\"four\":4}"] {
            command(&running, &id, "print/receipt", payload).await;
        }
        let mut node = Client::connected(&running, "/devices", &token, way).await;
        command(&running, &id, "reboot", "").await;
        let mut told = Vec::new();
        for _ in 0..5 {
            told.push(node.says("command").await);
        }
        let receipt = |what| json!(["print/receipt", what]);
        let four = receipt(json!({"four": 4}));
        let expected = [
            receipt(json!(1)),
            receipt(json!("two")),
            receipt(json!("refuse")),
            four,
            json!(["reboot"]),
        ];
        assert_eq!(told, expected, "{way:?}");
        let states = settled(&running, &id).await;
        let completed = (CommandState::Completed, 1);
        let rejected = (CommandState::Rejected, 1);
        let expected = [completed, completed, rejected, completed, completed];
        assert_eq!(states, expected, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_learns_what_it_is_wanted_to_be_and_says_what_it_is() {
    let running = Running::with_pos("").await;
    let twins = &running.core().twins;
    for (at, way) in WAYS.into_iter().enumerate() {
        let id: DeviceId = format!("till-{at}").parse().unwrap();
        let token = running.device(id.as_str()).await;
        let desire = async |patch| {
            twins.desire(&Actor::hub(), &id, patch, None).await.unwrap();
        };
        desire(json!({"vat": 25})).await;
        let mut node = Client::connected(&running, "/devices", &token, way).await;
        let first = json!({"version": 1, "document": {"vat": 25}});
        assert_eq!(node.says("desired").await, first);
        desire(json!({"vat": 12})).await;
        let second = json!({"version": 2, "document": {"vat": 12}});
        assert_eq!(node.says("desired").await, second);
        let reported = json!(["invoke", "report", {"vat": 12}]);
        assert_eq!(node.does(reported).await, json!(1));
        let twin = node.does(json!(["invoke", "twin"])).await;
        let reported = json!({"version": 1, "document": {"vat": 12}});
        assert_eq!(twin, json!({"desired": second, "reported": reported}));
        let kept = twins.get(&Actor::hub(), &id).await.unwrap();
        assert_eq!(kept.reported.document, json!({"vat": 12}));
        let refused = node.does(json!(["invoke", "report", 7])).await;
        assert!(refused["error"].as_str().unwrap().contains("object"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_revocation_returns_every_transport_is_closed_and_lets_nobody_back_in() {
    let running = Running::with_pos("").await;
    for (at, way) in WAYS.into_iter().enumerate() {
        let (id, token, mut node) = device(&running, at).await;
        // It waits for this all the while, so that a poll hangs.
        assert_eq!(node.does(json!(["invoke", "here"])).await, Value::Null);
        let (hub, identity) = (Actor::hub(), &running.core().identity);
        let revoked = identity.revoke_device(&hub, &id).await.unwrap();
        let ended = revoked.connections;
        assert_eq!((ended.ended, ended.lingering), (1, 0), "{way:?}");
        let why = node.says("closed").await;
        let why = why.as_str().unwrap();
        assert!(why.contains("access has been revoked"), "{way:?} {why}");
        assert_eq!(events(&running, &id).await.len(), 1);
        let again = node.does(json!(["invoke", "again"])).await;
        assert!(again["error"].is_string());
        let url = format!("{}/devices", running.url());
        let back = node.does(json!(["start", url, token, way.0, way.1])).await;
        let back = back["error"].as_str().unwrap();
        assert!(back.contains("401"), "{back}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_goes_down_has_its_clients_come_back_and_its_figures_told_who_was_there() {
    let running = Running::with_pos("").await;
    let mut nodes = Vec::new();
    for (at, way) in WAYS.into_iter().enumerate() {
        let (_, _, mut node) = device(&running, at).await;
        assert_eq!(node.does(json!(["invoke", "here"])).await, Value::Null);
        nodes.push((way, node));
    }
    let metrics = &running.hub.state().metrics;
    let text = metrics.text();
    for line in [
        r#"outgate_signalr_connections{hub="pos",transport="WebSockets"} 2"#,
        r#"outgate_signalr_connections{hub="pos",transport="LongPolling"} 2"#,
        r#"outgate_signalr_invocations_total{hub="pos",direction="in"} 5"#,
        r#"outgate_sessions{dialect="signalr"} 5"#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    running.hub.drain();
    for (way, node) in &mut nodes {
        node.says("reconnecting").await;
        let why = node.says("closed").await;
        assert!(why.is_string() || why.is_null(), "{way:?} {why}");
    }
    let closed = r#"outgate_signalr_closed_total{hub="pos",reason="server"} 5"#;
    assert!(metrics.text().contains(closed), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_proves_nothing_is_refused_and_a_hub_that_is_not_there_is_not_found() {
    let running = Running::with_pos("").await;
    let token = running.device("till-1").await;
    for (path, token, status) in [
        ("/devices", "", "401"),
        ("/devices", "og_d_nonsense", "401"),
        ("/client/?hub=other", token.as_str(), "404"),
        ("/client/", token.as_str(), "404"),
    ] {
        let mut node = Client::microsoft(&running);
        let url = format!("{}{path}", running.url());
        let refused = node
            .does(json!(["start", url, token, "WebSockets", "json"]))
            .await;
        let refused = refused["error"].as_str().unwrap();
        assert!(refused.contains(status), "{path} {refused}");
    }
}

/// What a device answers to a call: its status, and its payload with what that is.
pub(crate) async fn call(
    running: &Running,
    device: &DeviceId,
    method: &str,
    payload: &'static str,
) -> (i32, String, String) {
    let (actor, method) = (Actor::hub(), method.to_owned());
    let (kind, payload) = (String::new(), Bytes::from_static(payload.as_bytes()));
    let calls = &running.core().calls;
    let answer = calls.call(&actor, device, method, kind, payload, PATIENCE);
    let answer = answer.await.unwrap();
    let text = String::from_utf8(answer.payload.to_vec()).unwrap();
    (answer.status, answer.content_type, text)
}

/// How the commands of a device were settled, and how often they were delivered.
pub(crate) async fn settled(running: &Running, device: &DeviceId) -> Vec<(CommandState, u32)> {
    let commands = &running.core().commands;
    let mut changes = commands.changes();
    let page = Page {
        limit: 10,
        after: None,
    };
    let settling = async {
        loop {
            let listed = commands.list(&Actor::hub(), device, &page).await.unwrap();
            let all = listed.items.iter().rev();
            if listed.items.iter().all(|one| one.ended.is_some()) {
                return all.map(|one| (one.state, one.deliveries)).collect();
            }
            changes.recv().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, settling).await.unwrap()
}

/// Has a command wait for a device, or go to it.
pub(crate) async fn command(
    running: &Running,
    device: &DeviceId,
    name: &str,
    payload: &'static str,
) {
    let command = NewCommand {
        name: name.to_owned(),
        content_type: String::new(),
        properties: BTreeMap::new(),
        payload: Bytes::from_static(payload.as_bytes()),
        lasts: Duration::from_secs(3_600),
    };
    let commands = &running.core().commands;
    commands.send(&Actor::hub(), device, command).await.unwrap();
}

/// The events of a device, with what they say in JSON.
pub(crate) async fn events(running: &Running, device: &DeviceId) -> Vec<(String, Value)> {
    let filter = EventFilter {
        scope: Scope::All,
        device: Some(device.clone()),
        prefix: None,
    };
    let taken = running
        .core()
        .events
        .after(&filter, 0, 1_000)
        .await
        .unwrap();
    let said = taken.events.into_iter().map(|event| {
        let payload = serde_json::from_slice(&event.payload).unwrap();
        (event.name, payload)
    });
    said.collect()
}
