//! Publishing over HTTPS, signed by boto3 or with a certificate.

use serde_json::{Value, json};

use crate::running::Running;
use crate::told::Client;
use crate::ways::passing;
use crate::{at, connected, sdk, with_hub};

/// `order` to publish to a topic.
fn to(order: &Value, topic: &str, more: Value) -> Value {
    let mut order = order.clone();
    order["topic"] = json!(topic);
    order["payload"] = json!("hello");
    let more = more.as_object().unwrap().clone();
    order.as_object_mut().unwrap().extend(more);
    order
}

async fn listening(hub: &Running, fort: &str) -> Client {
    let mut client = connected(&hub.signed(fort).await).await;
    let done = client.does(json!(["subscribe", ["forts/#", 1]])).await;
    assert_eq!(done, 1);
    client
}

#[test]
fn what_boto3_publishes_is_heard_by_others_and_kept_as_an_event() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "fort").await;
        hub.of_policy("fort-2", "fort").await;
        let mut listener = listening(&hub, "fort-2").await;
        let mut client = sdk();
        for order in [hub.signed("fort-1").await, passing(&hub, "fort-1").await] {
            let told = client
                .does(json!(["post", to(&order, "forts/a b/å", json!({}))]))
                .await;
            assert_eq!(told, 200);
            let heard = listener.says("message").await;
            assert_eq!(heard, json!(["forts/a b/å", "hello"]));
        }
        let order = hub.signed("fort-1").await;
        let event = to(&order, "devices/fort-1/events/done", json!({"qos": 0}));
        assert_eq!(client.does(json!(["post", event])).await, 200);
        let events = hub.events_of("fort-1").await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].name, "done");
        assert_eq!(events[0].content_type, "text/plain");
        assert_eq!(&events[0].payload[..], b"hello");
    });
}

#[test]
fn who_may_not_publish_is_told_so() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "fort").await;
        hub.of_policy("fort-2", "fort").await;
        hub.of_policy("plain-1", "plain").await;
        let order = hub.signed("fort-1").await;
        let plain = hub.signed("plain-1").await;
        let mut client = sdk();
        for (order, topic, wrong) in [
            (&order, "tills/1", json!({})),
            (&order, "devices/fort-2/events/a", json!({})),
            (&order, "devices/fort-1/twin/reported", json!({})),
            (&order, "forts/a", json!({"retain": true})),
            (&order, "forts/a", json!({"secret": plain["secret"]})),
            (&order, "forts/a", json!({"region": "us-east-1"})),
            (&order, "forts/a", json!({"session": "bm90aGluZw"})),
            (&plain, "forts/a", json!({})),
        ] {
            let told = client
                .does(json!(["post", to(order, topic, wrong.clone())]))
                .await;
            assert_eq!(told, 403, "{topic} {wrong}");
        }
        assert!(hub.events_of("fort-2").await.is_empty());
    });
}

#[test]
fn a_certificate_publishes_under_aws_s_name_of_https() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "fort").await;
        hub.of_policy("fort-2", "fort").await;
        let mut listener = listening(&hub, "fort-2").await;
        let certified = hub.certified("fort-1", 443).await;
        let path = "/topics/forts/fort-1/done?qos=1";
        let post = json!({
            "method": "POST", "path": path, "body": "sales", "alpn": ["x-amzn-http-ca"],
        });
        let mut client = sdk();
        let ask = |order: &Value, more: &Value| {
            let mut order = order.clone();
            let more = more.as_object().unwrap().clone();
            order.as_object_mut().unwrap().extend(more);
            json!(["ask", order])
        };
        let told = client.does(ask(&certified, &post)).await;
        assert_eq!(told, json!([200, {"message": "OK"}]));
        let heard = listener.says("message").await;
        assert_eq!(heard, json!(["forts/fort-1/done", "sales"]));
        let told = client.does(ask(&at(&hub, json!({})), &post)).await;
        assert_eq!(told[0], 403, "{told}");
        let twice = json!({"method": "POST", "path": "/topics/forts/a?qos=2", "body": ""});
        let told = client.does(ask(&certified, &twice)).await;
        assert_eq!(told[0], 400, "{told}");
    });
}
