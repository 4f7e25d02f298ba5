//! Shadows, as AWS's SDK has them: both versions of its clients.

use outgate_core::Timestamp;
use outgate_core::identity::Actor;
use outgate_core::twin::Twin;
use serde_json::{Value, json};

use crate::running::Running;
use crate::told::Client;
use crate::{connected, with_hub};

/// Reason codes of MQTT 5.
const DONE: u16 = 0;
const NOT_AUTHORIZED: u16 = 135;

impl Running {
    async fn twin_of(&self, device: &str, name: Option<&str>) -> Twin {
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let twins = &self.core().twins;
        let Some(name) = name else {
            return twins.get(&actor, &id).await.unwrap();
        };
        let mut all = twins.named(&actor, &id).await.unwrap().into_iter();
        all.find(|one| one.name.as_str() == name).unwrap().twin
    }

    /// The cloud wants something of a device.
    async fn wants(&self, device: &str, name: Option<&str>, patch: Value) {
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let twins = &self.core().twins;
        let done = match name {
            None => twins.desire(&actor, &id, patch, None).await,
            Some(name) => {
                let name = name.parse().unwrap();
                twins.desire_of(&actor, &id, &name, patch, None).await
            }
        };
        done.unwrap();
    }
}

/// Calls of the SDK about one shadow.
struct Shadow<'a> {
    client: &'a mut Client,
    thing: &'a str,
    name: Option<&'a str>,
}

impl Shadow<'_> {
    fn order(&self, call: &str, request: Value) -> Value {
        let (mut call, mut request) = (call.to_owned(), request);
        request["thing_name"] = json!(self.thing);
        if let Some(name) = self.name {
            request["shadow_name"] = json!(name);
            call = call.replace("shadow", "named_shadow");
        }
        json!({"of": "iotshadow", "call": call, "request": request})
    }

    /// Asks, by the second version of the SDK's client.
    async fn does(&mut self, call: &str, request: Value) -> Value {
        let order = self.order(call, request);
        self.client.does(json!(["serve", order])).await
    }

    /// Listens, by the second version of the SDK's client.
    async fn hears(&mut self, call: &str, request_of: &str) {
        let mut order = self.order(call, json!({}));
        let named = if self.name.is_some() { "Named" } else { "" };
        order["request_of"] = json!(format!("{named}{request_of}"));
        let done = self.client.does(json!(["stream", order])).await;
        // The subscription is established.
        assert_eq!(done, 0);
    }

    async fn says(&mut self, call: &str) -> Value {
        let order = self.order(call, json!({}));
        self.client.says(order["call"].as_str().unwrap()).await
    }
}

async fn thing(hub: &Running, name: &str, version: u8) -> Client {
    hub.of_policy(name, "thing").await;
    let mut order = hub.signed(name).await;
    order["version"] = json!(version);
    connected(&order).await
}

/// Everything that a fort and the cloud do with a shadow.
async fn round(hub: &Running, thing: &str, name: Option<&str>, client: &mut Client) {
    let mut shadow = Shadow {
        client,
        thing,
        name,
    };
    let missing = shadow.does("get_shadow", json!({})).await;
    let called = name.unwrap_or(thing);
    assert_eq!(missing["rejected"]["code"], 404, "{missing}");
    let message = format!("No shadow exists with name: '{called}'");
    assert_eq!(missing["rejected"]["message"], message);

    shadow
        .hears(
            "shadow_delta_updated",
            "ShadowDeltaUpdatedSubscriptionRequest",
        )
        .await;
    shadow
        .hears("shadow_updated", "ShadowUpdatedSubscriptionRequest")
        .await;
    let state = json!({"reported": {"lamp": "off", "heat": {"room": 20}}});
    let done = shadow.does("update_shadow", json!({"state": state})).await;
    assert_eq!((&done["state"], &done["version"]), (&state, &json!(1)));
    let told = shadow.says("shadow_updated").await;
    assert_eq!(told["previous"]["version"], 0);
    assert_eq!(told["current"]["state"], state);

    hub.wants(thing, name, json!({"lamp": "on"})).await;
    let told = shadow.says("shadow_delta_updated").await;
    assert_eq!(told["state"], json!({"lamp": "on"}));
    assert_eq!(told["version"], 2);
    let twin = hub.twin_of(thing, name).await;
    let changed = twin.desired.changed.map(Timestamp::as_millis).unwrap();
    assert_eq!(told["metadata"]["lamp"]["timestamp"], changed / 1_000);
    let whole = shadow.does("get_shadow", json!({})).await;
    assert_eq!(whole["state"]["delta"], json!({"lamp": "on"}));
    assert_eq!(whole["version"], 2);

    let state = json!({"desired": null, "reported": {"lamp": "on", "heat": null}});
    let order = json!({"state": state, "version": 1});
    let stale = shadow.does("update_shadow", order).await;
    assert_eq!(stale["rejected"]["code"], 409, "{stale}");
    let order = json!({"state": state, "version": 2});
    let done = shadow.does("update_shadow", order).await;
    assert_eq!(done["version"], 4);
    let whole = shadow.does("get_shadow", json!({})).await;
    assert_eq!(whole["state"], json!({"reported": {"lamp": "on"}}));
    let twin = hub.twin_of(thing, name).await;
    assert_eq!(twin.reported.document, json!({"lamp": "on"}));
    assert_eq!(twin.desired.document, json!({}));

    let done = shadow.does("delete_shadow", json!({})).await;
    assert_eq!(done["version"], 4, "{done}");
    let missing = shadow.does("delete_shadow", json!({})).await;
    assert_eq!(missing["rejected"]["code"], 404);
}

fn both_kinds(version: u8) {
    with_hub(|hub| async move {
        let mut client = thing(&hub, "fort-1", version).await;
        for name in [None, Some("lamps")] {
            println!("MQTT {version}, {name:?}");
            round(&hub, "fort-1", name, &mut client).await;
        }
    });
}

#[test]
fn the_newer_client_over_mqtt_5_makes_its_round_with_both_kinds_of_shadows() {
    both_kinds(5);
}

#[test]
fn the_newer_client_over_mqtt_3_1_1_makes_its_round_with_both_kinds_of_shadows() {
    both_kinds(3);
}

#[test]
fn the_older_client_is_told_what_is_accepted_rejected_and_different() {
    with_hub(|hub| async move {
        let mut client = thing(&hub, "fort-1", 3).await;
        let listens = async |client: &mut Client, call: &str, request_of: &str| {
            let order = json!({
                "of": "iotshadow", "call": call, "request_of": request_of,
                "request": {"thing_name": "fort-1"},
            });
            assert_eq!(client.does(json!(["listen", order])).await, 1);
        };
        for (call, request_of) in [
            ("update_shadow_accepted", "UpdateShadowSubscriptionRequest"),
            ("update_shadow_rejected", "UpdateShadowSubscriptionRequest"),
            ("get_shadow_accepted", "GetShadowSubscriptionRequest"),
            (
                "shadow_delta_updated_events",
                "ShadowDeltaUpdatedSubscriptionRequest",
            ),
        ] {
            listens(&mut client, call, request_of).await;
        }
        let asks = async |client: &mut Client, call: &str, members: Value| {
            let mut request = members;
            request["thing_name"] = json!("fort-1");
            let order = json!({"of": "iotshadow", "call": call, "request": request});
            assert_eq!(client.does(json!(["request", order])).await, "published");
        };
        // As AWS's own sample does it: what is reported and what is desired at once.
        let state = json!({"desired": {"lamp": "on"}, "reported": {"lamp": "off"}});
        let order = json!({"state": state, "client_token": "t-1"});
        asks(&mut client, "update_shadow", order).await;
        let told = client.says("update_shadow_accepted").await;
        assert_eq!(
            (&told["state"], &told["client_token"]),
            (&state, &json!("t-1"))
        );
        let told = client.says("shadow_delta_updated_events").await;
        assert_eq!(told["state"], json!({"lamp": "on"}));
        let order = json!({"state": {"reported": {}}, "version": 9, "client_token": "t-2"});
        asks(&mut client, "update_shadow", order).await;
        let told = client.says("update_shadow_rejected").await;
        assert_eq!(
            (&told["code"], &told["client_token"]),
            (&json!(409), &json!("t-2"))
        );
        asks(&mut client, "get_shadow", json!({})).await;
        let told = client.says("get_shadow_accepted").await;
        assert_eq!(told["state"]["delta"], json!({"lamp": "on"}));
    });
}

#[test]
fn what_is_no_request_is_rejected_with_aws_s_codes_and_changes_nothing() {
    with_hub(|hub| async move {
        let mut client = thing(&hub, "fort-1", 5).await;
        let topic = "$aws/things/fort-1/shadow/update";
        let rejected = format!("{topic}/rejected");
        assert_eq!(client.does(json!(["subscribe", [rejected, 1]])).await, 1);
        let large = json!({"state": {"reported": {"a": "x".repeat(9_000)}}}).to_string();
        let deep = (0..9).fold(json!({}), |inner, _| json!({ "a": inner }));
        let deep = json!({"state": {"reported": deep}}).to_string();
        for (payload, code) in [
            ("{".to_owned(), 400),
            ("{}".to_owned(), 400),
            (r#"{"state": {"reported": 1}}"#.to_owned(), 400),
            (deep, 400),
            (large, 413),
        ] {
            let told = json!(["publish", [topic, payload, 1, false]]);
            assert_eq!(client.does(told).await, DONE);
            let said = client.says("message").await;
            assert_eq!(said[0], rejected);
            let said: Value = serde_json::from_str(said[1].as_str().unwrap()).unwrap();
            assert_eq!(said["code"], code, "{said}");
        }
        assert_eq!(hub.twin_of("fort-1", None).await.version(), 0);
    });
}

#[test]
fn nobody_asks_of_or_hears_another_s_shadows_whatever_a_document_says() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "wide").await;
        hub.of_policy("fort-2", "wide").await;
        let mut client = connected(&hub.signed("fort-1").await).await;
        let state = r#"{"state": {"reported": {"a": 1}}}"#;
        for topic in [
            "$aws/things/fort-2/shadow/update",
            "$aws/things/fort-2/shadow/name/lamps/update",
            "$aws/things/fort-1/shadow/update/accepted",
            "$aws/things/fort-1/shadow/name/a/b/update",
        ] {
            let told = json!(["publish", [topic, state, 1, false]]);
            assert_eq!(client.does(told).await, NOT_AUTHORIZED, "{topic}");
        }
        for filter in [
            "$aws/things/fort-2/shadow/update/delta",
            "$aws/things/+/shadow/update/delta",
            "$aws/#",
            "$SYS/#",
        ] {
            let done = client.does(json!(["subscribe", [filter, 1]])).await;
            assert_eq!(done, NOT_AUTHORIZED, "{filter}");
        }
        let own = json!(["subscribe", ["$aws/things/fort-1/shadow/#", 1]]);
        assert_eq!(client.does(own).await, 1);
        assert_eq!(hub.twin_of("fort-2", None).await.version(), 0);
        // A document that says nothing of shadows allows none.
        hub.of_policy("fort-3", "fort").await;
        let mut other = connected(&hub.signed("fort-3").await).await;
        let told = json!([
            "publish",
            ["$aws/things/fort-3/shadow/update", state, 1, false]
        ]);
        assert_eq!(other.does(told).await, NOT_AUTHORIZED);
        assert_eq!(hub.twin_of("fort-3", None).await.version(), 0);
    });
}

#[test]
fn what_is_wanted_while_a_fort_is_away_is_told_when_it_is_back() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "thing").await;
        let mut order = hub.signed("fort-1").await;
        order["version"] = json!(3);
        order["clean"] = json!(false);
        let mut client = connected(&order).await;
        for filter in [
            "$aws/things/fort-1/shadow/update/delta",
            "$aws/things/fort-1/shadow/name/+/update/delta",
        ] {
            assert_eq!(client.does(json!(["subscribe", [filter, 1]])).await, 1);
        }
        assert_eq!(client.does(json!(["close", null])).await, Value::Null);
        hub.wants("fort-1", None, json!({"lamp": "on"})).await;
        hub.wants("fort-1", Some("lamps"), json!({"all": "on"}))
            .await;
        let mut client = connected(&order).await;
        for (topic, state) in [
            ("update/delta", json!({"lamp": "on"})),
            ("name/lamps/update/delta", json!({"all": "on"})),
        ] {
            let said = client.says("message").await;
            assert_eq!(said[0], format!("$aws/things/fort-1/shadow/{topic}"));
            let said: Value = serde_json::from_str(said[1].as_str().unwrap()).unwrap();
            assert_eq!(said["state"], state);
        }
    });
}

#[test]
fn a_fort_that_is_revoked_changes_no_shadow_any_more() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "thing").await;
        let order = hub.signed("fort-1").await;
        let mut client = connected(&order).await;
        let (actor, id) = (Actor::hub(), "fort-1".parse().unwrap());
        let revoked = hub.core().identity.revoke_device(&actor, &id);
        assert_eq!(revoked.await.unwrap().connections.ended, 1);
        client.says("interrupted").await;
        let refused = crate::sdk().does(json!(["connect", order])).await;
        assert!(refused["error"].is_string(), "{refused}");
    });
}
