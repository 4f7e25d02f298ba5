//! Devices whose clients are in Python: what each of them can do itself.

use outgate_core::commands::CommandState;
use outgate_core::identity::Actor;
use serde_json::{Value, json};

use crate::client::Client;
use crate::devices::{call, command, events, settled};
use crate::running::Running;

/// What comes of a token once it is revoked.
async fn is_kept_out(client: &mut Client, url: &str, token: &str, way: (&str, &str)) {
    let back = client.starts(url, token, way).await;
    let back = back["error"].as_str().unwrap();
    // They have no word in common: `AuthorizationError`, `HTTP Error 401: Unauthorized`.
    assert!(back.to_lowercase().contains("authoriz"), "{way:?} {back}");
}

/// It knows WebSockets only, and answers calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pysignalr_says_events_answers_calls_obeys_commands_and_is_thrown_out() {
    let running = Running::with_pos("methods = { Spy = 'refuse' }").await;
    let url = format!("{}/devices", running.url());
    for way in [("WebSockets", "json"), ("WebSockets", "messagepack")] {
        let name = format!("till-{}", way.1);
        let (id, token) = (name.parse().unwrap(), running.device(&name).await);
        for payload in ["1", "refuse"] {
            command(&running, &id, "print/receipt", payload).await;
        }
        let mut client = Client::python(&running, include_str!("pysignalr.py"));
        assert_eq!(client.starts(&url, &token, way).await, json!("started"));
        let receipt = |what| json!(["print/receipt", what]);
        for told in [receipt(json!(1)), receipt(json!("refuse"))] {
            assert_eq!(client.says("command").await, told, "{way:?}");
        }
        let states = [(CommandState::Completed, 1), (CommandState::Rejected, 1)];
        assert_eq!(settled(&running, &id).await, states, "{way:?}");
        let sold = json!(["invoke", "sale/closed", {"cents": 250}, "åäö"]);
        assert_eq!(client.does(sold).await, Value::Null);
        let said = events(&running, &id).await;
        let sale = json!([{"cents": 250}, "åäö"]);
        assert_eq!(said, [("sale/closed".to_owned(), sale)], "{way:?}");
        let refused = client.does(json!(["invoke", "spy"])).await;
        let refused = refused["error"].as_str().unwrap();
        assert!(refused.ends_with("Method does not exist."), "{refused}");
        let (status, kind, text) = call(&running, &id, "price", "{\"sku\": 7}").await;
        assert_eq!(client.says("asked").await, json!([{"sku": 7}]), "{way:?}");
        assert_eq!((status, &*kind), (200, "application/json"), "{text}");
        let price: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(price, json!({"cents": 250}));
        let (status, _, text) = call(&running, &id, "price", "wrong").await;
        assert!(status == 500 && text.contains("no such article"), "{text}");
        let identity = &running.core().identity;
        let revoked = identity.revoke_device(&Actor::hub(), &id).await.unwrap();
        let ended = revoked.connections;
        assert_eq!((ended.ended, ended.lingering), (1, 0), "{way:?}");
        let why = client.says("closed").await;
        let why = why.as_str().unwrap();
        assert!(why.contains("access has been revoked"), "{way:?} {why}");
        is_kept_out(&mut client, &url, &token, way).await;
    }
}

/// It answers no calls, so that no command is for it, and shows no token in its polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signalrcore_says_events_learns_its_twin_and_is_thrown_out() {
    let running = Running::with_pos("methods = { Spy = 'refuse' }").await;
    let url = format!("{}/devices", running.url());
    for way in [
        ("WebSockets", "json"),
        ("WebSockets", "messagepack"),
        ("ServerSentEvents", "json"),
    ] {
        let name = format!("till-{}-{}", way.0, way.1).to_lowercase();
        let (id, token) = (name.parse().unwrap(), running.device(&name).await);
        let (hub, vat) = (Actor::hub(), json!({"vat": 25}));
        let desired = running.core().twins.desire(&hub, &id, vat.clone(), None);
        desired.await.unwrap();
        let mut client = Client::python(&running, include_str!("signalrcore.py"));
        assert_eq!(client.starts(&url, &token, way).await, json!("started"));
        let sold = json!(["invoke", "sale/closed", {"cents": 250}, "åäö"]);
        assert_eq!(client.does(sold).await, Value::Null, "{way:?}");
        let said = events(&running, &id).await;
        let sale = json!([{"cents": 250}, "åäö"]);
        assert_eq!(said, [("sale/closed".to_owned(), sale)], "{way:?}");
        assert_eq!(client.says("desired").await, json!([1, vat]), "{way:?}");
        let refused = client.does(json!(["refused", "spy"])).await;
        let refused = refused.as_str().unwrap();
        assert!(refused.ends_with("Method does not exist."), "{refused}");
        let revoked = running.core().identity.revoke_device(&hub, &id);
        let ended = revoked.await.unwrap().connections;
        assert_eq!((ended.ended, ended.lingering), (1, 0), "{way:?}");
        client.says("closed").await;
        is_kept_out(&mut client, &url, &token, way).await;
    }
}
