//! Every way in which the SDK comes in.

use serde_json::{Value, json};

use crate::running::Running;
use crate::told::Client;
use crate::{at, connected, sdk, with_hub};

/// How a fort comes in.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By its certificate, at the port of MQTT.
    Certificate,
    /// By its certificate at the port of everything, by ALPN.
    CertificateAt443,
    /// Over WebSocket, with a signed address.
    Signed,
    /// The same by a key that does not last, which it has fetched by its certificate.
    Passing,
    /// In the form of custom authorizers.
    Authorizer,
    /// The same over WebSocket, the token for a password.
    AuthorizerOverWebSocket,
}

const WAYS: [Way; 6] = [
    Way::Certificate,
    Way::CertificateAt443,
    Way::Signed,
    Way::Passing,
    Way::Authorizer,
    Way::AuthorizerOverWebSocket,
];

/// What a new fort is told to connect with.
async fn order(hub: &Running, fort: &str, way: Way) -> Value {
    hub.of_policy(fort, "fort").await;
    match way {
        Way::Certificate => hub.certified(fort, 8883).await,
        Way::CertificateAt443 => hub.certified(fort, 443).await,
        Way::Signed => hub.signed(fort).await,
        Way::Passing => passing(hub, fort).await,
        Way::Authorizer | Way::AuthorizerOverWebSocket => {
            let over_websocket = matches!(way, Way::AuthorizerOverWebSocket);
            let kind = if over_websocket {
                "websockets"
            } else {
                "direct"
            };
            let token = hub.token_of(fort).await;
            let order = json!({
                "way": kind, "name": fort, "device": fort, "token": token,
                "as_password": over_websocket,
            });
            at(hub, order)
        }
    }
}

/// An order to come in by a key that the SDK has fetched by a certificate.
pub(crate) async fn passing(hub: &Running, fort: &str) -> Value {
    let mut order = hub.certified(fort, 443).await;
    order["device"] = json!(fort);
    order["alias"] = json!("fort");
    let key = sdk().does(json!(["provide", order])).await;
    assert!(key["session"].is_string(), "{key}");
    order["way"] = json!("signed");
    for part in ["id", "secret", "session"] {
        order[part] = key[part].clone();
    }
    order
}

/// Everything that a fort and the cloud do with each other.
async fn round(hub: &Running, fort: &str, client: &mut Client) {
    let event = json!([
        "publish",
        [format!("devices/{fort}/events/done"), "sales", 1, false]
    ]);
    let done = client.does(event).await;
    assert!(done == "done" || done == 0, "{done}");
    let [event] = <[_; 1]>::try_from(hub.events_of(fort).await).unwrap();
    assert_eq!(
        (event.name.as_str(), &event.payload[..]),
        ("done", &b"sales"[..])
    );

    let commands = format!("devices/{fort}/commands/#");
    assert_eq!(client.does(json!(["subscribe", [commands, 1]])).await, 1);
    let sent = hub.reload(fort).await;
    let topic = format!("devices/{fort}/commands/{sent}/reload");
    assert_eq!(client.says("message").await, json!([topic, "sales"]));
    hub.completed(fort, &sent).await;

    assert_eq!(client.does(json!(["subscribe", ["forts/+", 1]])).await, 1);
    let told = json!(["publish", [format!("forts/{fort}"), "hello", 1, false]]);
    let done = client.does(told).await;
    assert!(done == "done" || done == 0, "{done}");
    let heard = client.says("message").await;
    assert_eq!(heard, json!([format!("forts/{fort}"), "hello"]));
}

fn every_way(version: u8) {
    with_hub(|hub| async move {
        for way in WAYS {
            let fort = format!("fort-{way:?}").to_lowercase();
            println!("MQTT {version}, {way:?}");
            let mut order = order(&hub, &fort, way).await;
            order["version"] = json!(version);
            let mut client = connected(&order).await;
            round(&hub, &fort, &mut client).await;
            assert_eq!(client.does(json!(["close", null])).await, Value::Null);
        }
    });
}

#[test]
fn a_fort_that_speaks_mqtt_5_makes_its_round_by_every_way() {
    every_way(5);
}

#[test]
fn a_fort_that_speaks_mqtt_3_1_1_makes_its_round_by_every_way() {
    every_way(3);
}

#[test]
fn a_command_that_came_while_a_fort_was_away_is_told_when_it_is_back() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "fort").await;
        let mut order = hub.signed("fort-1").await;
        order["version"] = json!(3);
        order["clean"] = json!(false);
        let mut client = connected(&order).await;
        let commands = json!(["subscribe", ["devices/fort-1/commands/#", 1]]);
        assert_eq!(client.does(commands).await, 1);
        assert_eq!(client.does(json!(["close", null])).await, Value::Null);
        let sent = hub.reload("fort-1").await;
        let mut client = connected(&order).await;
        let topic = format!("devices/fort-1/commands/{sent}/reload");
        assert_eq!(client.says("message").await, json!([topic, "sales"]));
        hub.completed("fort-1", &sent).await;
    });
}
