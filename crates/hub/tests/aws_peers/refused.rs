//! Who does not come in, or not any more, and what a policy does not let a fort do.

use std::time::SystemTime;

use outgate_core::clock::Timestamp;
use outgate_core::identity::{Actor, Scope};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::told::Client;
use crate::ways::passing;
use crate::{at, connected, sdk, with_hub};

/// The status of a WebSocket that is opened, and that of one that is not.
const OPENED: u16 = 101;
const REFUSED: u16 = 403;

/// `order` with `more`.
fn with(order: &Value, more: Value) -> Value {
    let mut order = order.clone();
    let more = more.as_object().unwrap().clone();
    order.as_object_mut().unwrap().extend(more);
    order
}

/// A moment so many seconds from now.
fn at_moment(ago: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_millis()).unwrap();
    let moment = Timestamp::from_millis(now - ago * 1_000).date();
    moment.format(&Rfc3339).unwrap()
}

/// What an address gets that is signed as `order` says.
async fn opened(client: &mut Client, order: Value) -> Value {
    client.does(json!(["open", order])).await
}

#[test]
fn an_address_that_is_signed_otherwise_than_for_this_hub_and_now_is_refused() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "fort").await;
        let order = hub.signed("fort-1").await;
        let mut client = sdk();
        for right in [
            json!({}),
            json!({"at": at_moment(60)}),
            json!({"at": at_moment(-240)}),
            json!({"at": at_moment(600), "lasts": 3_600}),
        ] {
            let status = opened(&mut client, with(&order, right.clone())).await;
            assert_eq!(status, OPENED, "{right}");
        }
        for wrong in [
            json!({"secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}),
            json!({"id": "cr-00000000000000000000"}),
            json!({"region": "us-east-1"}),
            json!({"service": "iotdata"}),
            json!({"host": "other.example", "said_host": "other.example"}),
            json!({"said_host": "localhost"}),
            json!({"at": at_moment(400)}),
            json!({"at": at_moment(-3_600)}),
            json!({"at": at_moment(600), "lasts": 300}),
            json!({"changed": [["/mqtt?", "/mqtt?a=b&"]]}),
            json!({"changed": [["Signature=", "Signature=0"]]}),
            json!({"changed": [["SignedHeaders=connection%3Bhost", "SignedHeaders=host"]]}),
            json!({"session": "bm90aGluZw"}),
        ] {
            let status = opened(&mut client, with(&order, wrong.clone())).await;
            assert_eq!(status, REFUSED, "{wrong}");
        }
    });
}

#[test]
fn a_key_that_does_not_last_holds_with_its_own_token_alone() {
    with_hub(|hub| async move {
        let (one, two) = ("fort-1", "fort-2");
        hub.of_policy(one, "fort").await;
        hub.of_policy(two, "fort").await;
        let (order, other) = (passing(&hub, one).await, passing(&hub, two).await);
        let mut client = sdk();
        assert_eq!(opened(&mut client, order.clone()).await, OPENED);
        for wrong in [
            json!({"session": other["session"]}),
            json!({"session": Value::Null}),
            json!({"id": other["id"]}),
            json!({"secret": other["secret"]}),
        ] {
            let status = opened(&mut client, with(&order, wrong.clone())).await;
            assert_eq!(status, REFUSED, "{wrong}");
        }
    });
}

#[test]
fn keys_that_do_not_last_are_given_to_devices_under_their_own_policy_alone() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "fort").await;
        hub.of_policy("plain-1", "plain").await;
        let mut client = sdk();
        let ask = |alias: &str| json!({"method": "GET", "path": format!("/role-aliases/{alias}/credentials")});
        let (fort, plain) = (
            hub.certified("fort-1", 443).await,
            hub.certified("plain-1", 443).await,
        );
        for (order, alias, status) in [
            (&fort, "fort", 200),
            (&fort, "mute", REFUSED),
            (&plain, "plain", REFUSED),
            (&plain, "fort", REFUSED),
            (&at(&hub, json!({})), "fort", REFUSED),
        ] {
            let answer = client.does(json!(["ask", with(order, ask(alias))])).await;
            assert_eq!(answer[0], status, "{alias} {answer}");
        }
    });
}

#[test]
fn whoever_is_no_device_with_a_document_for_a_policy_does_not_come_in() {
    with_hub(|hub| async move {
        hub.of_policy("plain-1", "plain").await;
        let (actor, identity) = (Actor::hub(), &hub.core().identity);
        let name = "cloud".parse().unwrap();
        let service = identity.create_service(&actor, name, Scope::All);
        let id = service.await.unwrap().0.id;
        let issued = identity.add_access_key(&actor, &id).await.unwrap();
        let outgate_core::identity::Given::Key(key) = issued.given else {
            panic!("{:?}", issued.given);
        };
        let plain = hub.signed("plain-1").await;
        let secret = key.to_base64();
        let ids = json!({"id": issued.credential.id.as_str(), "secret": secret.as_str()});
        let mut client = sdk();
        assert_eq!(opened(&mut client, with(&plain, ids)).await, REFUSED);
        let certified = hub.certified("plain-1", 443).await;
        let token = hub.device("plain-2").await;
        let authorized = json!({
            "way": "direct", "name": "plain-2", "device": "plain-2", "token": token,
        });
        for order in [plain, certified, at(&hub, authorized)] {
            let refused = sdk().does(json!(["connect", order])).await;
            assert!(refused["error"].is_string(), "{refused}");
        }
    });
}

/// Whether the order does not connect.
async fn stays_out(order: &Value) {
    let refused = sdk().does(json!(["connect", order])).await;
    assert!(refused["error"].is_string(), "{refused}");
}

#[test]
fn a_connection_ends_with_the_key_that_opened_it() {
    with_hub(|hub| async move {
        let (actor, identity) = (Actor::hub(), hub.core().identity.clone());
        hub.of_policy("fort-1", "fort").await;
        let order = hub.signed("fort-1").await;
        let mut client = connected(&order).await;
        let (device, key) = ("fort-1".parse().unwrap(), order["id"].as_str().unwrap());
        let key = key.parse().unwrap();
        let revoked = identity.revoke_credential(&actor, &device, &key);
        assert_eq!(revoked.await.unwrap().connections.ended, 1);
        client.says("interrupted").await;
        stays_out(&order).await;
    });
}

#[test]
fn what_a_passing_key_has_opened_ends_with_the_certificate_that_it_was_fetched_by() {
    with_hub(|hub| async move {
        let (actor, identity) = (Actor::hub(), hub.core().identity.clone());
        hub.of_policy("fort-1", "fort").await;
        let order = passing(&hub, "fort-1").await;
        let mut client = connected(&order).await;
        let device = "fort-1".parse().unwrap();
        let all = identity.credentials(&actor, &device).await.unwrap();
        let revoked = identity.revoke_credential(&actor, &device, &all[0].id);
        assert_eq!(revoked.await.unwrap().connections.ended, 1);
        client.says("interrupted").await;
        stays_out(&order).await;
    });
}

#[test]
fn a_policy_decides_under_which_name_a_fort_connects_and_whom_it_tells() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "fort").await;
        hub.of_policy("fort-2", "fort").await;
        let order = hub.signed("fort-1").await;
        stays_out(&with(&order, json!({"name": "another"}))).await;
        let mut client = connected(&order).await;
        let mut other = connected(&hub.signed("fort-2").await).await;
        // Reason codes of MQTT 5: not authorized.
        for topic in [
            "tills/1",
            "devices/fort-2/events/a",
            "$aws/things/fort-1/jobs/get",
        ] {
            let done = client
                .does(json!(["publish", [topic, "x", 1, false]]))
                .await;
            assert_eq!(done, 135, "{topic}");
        }
        let retained = json!(["publish", ["forts/a", "x", 1, true]]);
        assert_eq!(client.does(retained).await, 135);
        for filter in ["#", "tills/#", "devices/fort-2/commands/#"] {
            let done = client.does(json!(["subscribe", [filter, 1]])).await;
            assert_eq!(done, 135, "{filter}");
        }
        assert_eq!(client.does(json!(["subscribe", ["forts/#", 1]])).await, 1);
        for (topic, payload) in [("forts/secret", "hidden"), ("forts/open", "seen")] {
            let told = json!(["publish", [topic, payload, 1, false]]);
            assert_eq!(other.does(told).await, 0);
        }
        // In the order in which they were told: what is not received does not come at all.
        assert_eq!(client.says("message").await, json!(["forts/open", "seen"]));
        let done = client.does(json!(["close", null])).await;
        assert_eq!(done, Value::Null);
    });
}

#[test]
fn a_fort_whose_document_is_of_connecting_alone_may_nothing_else() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "mute").await;
        let mut client = connected(&hub.certified("fort-1", 8883).await).await;
        let event = json!(["publish", ["devices/fort-1/events/a", "x", 1, false]]);
        assert_eq!(client.does(event).await, 135);
        let own = json!(["subscribe", ["devices/fort-1/commands/#", 1]]);
        assert_eq!(client.does(own).await, 135);
        assert!(hub.events_of("fort-1").await.is_empty());
    });
}
