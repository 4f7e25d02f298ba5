//! Devices that were written for Azure IoT Hub.

use std::time::Duration;

use bytes::Bytes;
use outgate_azure::sas;
use outgate_core::commands::{Command, CommandState, NewCommand};
use outgate_core::events::{Event, EventFilter};
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Given, Page, Scope};
use outgate_core::secret::Secret;
use outgate_mqtt::packet::{
    Connect, Packet, Password, PublishProperties, QoS, ReasonCode, Version, Will,
};
use outgate_mqtt::topics::TopicName;
use serde_json::{Value, json};

use crate::client::{Client, publish, text};
use crate::site::{HOUR, HUB, Site};

/// The longest that something may take: far more than anything needs.
const PATIENCE: Duration = Duration::from_secs(30);

const QUERY: &str = "?api-version=2021-04-12&DeviceClientType=test";
const COMMANDS: &str = "devices/one/messages/devicebound/#";
const METHODS: &str = "$iothub/methods/POST/#";
const RESULTS: &str = "$iothub/twin/res/#";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
const EVENTS: &str = "devices/one/messages/events/";
const REPORTED: &str = "$iothub/twin/PATCH/properties/reported/";

/// Keys of the device `one`.
async fn keys(site: &Site) -> Vec<Secret> {
    keys_of(site, &id()).await
}

async fn keys_of(site: &Site, device: &DeviceId) -> Vec<Secret> {
    let added = site.core.identity.add_keys(&Actor::hub(), device).await;
    let added = added.unwrap();
    let keys = added.into_iter().map(|issued| match issued.given {
        Given::Key(key) => key,
        other @ (Given::Token(_) | Given::Certificate(_) | Given::Nothing) => panic!("{other:?}"),
    });
    keys.collect()
}

fn id() -> DeviceId {
    "one".parse().unwrap()
}

/// In an hour, in seconds since 1970.
fn soon(site: &Site) -> u64 {
    let end = site.core.clock.now().after(HOUR).as_millis() / 1_000;
    end.cast_unsigned()
}

fn token(site: &Site, key: &Secret) -> String {
    let resource = format!("{HUB}/devices/one");
    sas::sign(&resource, soon(site), key.expose(), None)
}

/// A CONNECT of the device `one` as Azure's SDKs make it.
fn connect(user: &str, token: &str) -> Connect {
    let mut connect = Connect::new(Version::V3_1_1, text("one"));
    connect.clean_start = false;
    connect.user_name = Some(text(user));
    connect.password = Some(Password::new(token.as_bytes()));
    connect
}

fn user() -> String {
    format!("{HUB}/one/{QUERY}")
}

async fn answer(site: &Site, connect: Connect) -> ReasonCode {
    let mut client = site.dial(connect.version);
    client.connect(connect).await.reason
}

/// The device `one`, connected and subscribed to `filters`.
async fn connected(site: &Site, filters: &[&str]) -> Client {
    let key = keys(site).await.remove(0);
    let mut client = site.dial(Version::V3_1_1);
    let answer = client.connect(connect(&user(), &token(site, &key))).await;
    assert_eq!(answer.reason, ReasonCode::Success);
    for filter in filters {
        assert_eq!(client.subscribe(filter, 1).await, ReasonCode::GrantedQos1);
    }
    client
}

async fn events(site: &Site) -> Vec<Event> {
    let filter = EventFilter {
        scope: Scope::All,
        device: None,
        prefix: None,
    };
    let taken = site.core.events.after(&filter, 0, 100).await;
    taken.unwrap().events
}

async fn commands(site: &Site) -> Vec<Command> {
    let page = Page {
        after: None,
        limit: 10,
    };
    let listed = site.core.commands.list(&Actor::hub(), &id(), &page).await;
    listed.unwrap().items
}

async fn desire(site: &Site, patch: Value) {
    let (actor, one) = (Actor::hub(), id());
    let desired = site.core.twins.desire(&actor, &one, patch, None).await;
    desired.unwrap();
}

/// The next message's topic, and its payload as JSON.
async fn told(client: &mut Client) -> (String, Value) {
    let (topic, payload) = client.take().await;
    (topic, serde_json::from_slice(&payload).unwrap())
}

#[tokio::test]
async fn a_device_comes_in_by_either_key_with_each_form_of_user_name() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    for key in keys(&site).await {
        let token = token(&site, &key);
        for user in [
            user(),
            format!("{HUB}/one/api-version=2016-11-14"),
            format!("{HUB}/one"),
            format!("{}/one/{QUERY}", HUB.to_uppercase()),
        ] {
            let reason = answer(&site, connect(&user, &token)).await;
            assert_eq!(reason, ReasonCode::Success, "{user}");
        }
    }
}

#[tokio::test]
async fn what_proves_nothing_is_refused_as_by_azure() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let key = keys(&site).await.remove(0);
    let good = token(&site, &key);
    let sign = |resource: &str, end| sas::sign(resource, end, key.expose(), None);
    let (own, now) = (format!("{HUB}/devices/one"), soon(&site) - 3_600);
    let other = sas::sign(&own, soon(&site), b"another key", None);
    for (user, token) in [
        (user(), sign(&format!("{HUB}/devices/two"), soon(&site))),
        (user(), sign(&format!("{HUB}/devices/on"), soon(&site))),
        (user(), sign("elsewhere.example/devices/one", soon(&site))),
        (user(), sign(&own, now)),
        (user(), other),
        (user(), good.replace("se=", "se=9")),
        (user(), String::new()),
        (user(), site.token("one").to_owned()),
        (format!("elsewhere.example/one/{QUERY}"), good.clone()),
    ] {
        let reason = answer(&site, connect(&user, &token)).await;
        assert_eq!(reason, ReasonCode::NotAuthorized, "{user} {token}");
    }
    let mut renamed = connect(&user(), &good);
    renamed.client_id = text("another");
    let reason = answer(&site, renamed).await;
    assert_eq!(reason, ReasonCode::ClientIdentifierNotValid);
    let mut five = connect(&user(), &good);
    five.version = Version::V5;
    let reason = answer(&site, five).await;
    assert_eq!(reason, ReasonCode::UnsupportedProtocolVersion);
    assert_eq!(
        answer(&site, connect(&user(), &good)).await,
        ReasonCode::Success
    );
}

#[tokio::test]
async fn a_connection_ends_with_the_next_of_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut first = connected(&site, &[]).await;
    let mut second = connected(&site, &[]).await;
    assert_eq!(first.hear().await, None);
    second.ping().await;
}

#[tokio::test]
async fn what_a_device_says_to_the_cloud_is_an_event_with_its_properties() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = connected(&site, &[]).await;
    let bag = "%24.mid=m1&%24.ct=application%2Fjson&%24.ce=utf-8&door=front%20%26%20back";
    let mut said = publish(&format!("{EVENTS}{bag}"), "{}", 1, 1);
    said.retain = true;
    assert_eq!(one.publish(said).await, ReasonCode::Success);
    let bare = publish(EVENTS.trim_end_matches('/'), "bare", 1, 2);
    assert_eq!(one.publish(bare).await, ReasonCode::Success);
    let [first, second] = <[Event; 2]>::try_from(events(&site).await).unwrap();
    assert_eq!((first.device, first.name.as_str()), (id(), ""));
    assert_eq!(first.content_type, "application/json");
    assert_eq!(first.payload, "{}");
    let expected = [
        ("$.ce", "utf-8"),
        ("$.mid", "m1"),
        ("door", "front & back"),
        ("mqtt-retain", "true"),
    ];
    let properties = first.properties.iter();
    let properties: Vec<_> = properties.map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(properties, expected);
    assert_eq!(
        (second.payload, second.properties.len()),
        (Bytes::from("bare"), 0)
    );
}

#[tokio::test]
async fn who_says_what_azure_does_not_take_is_put_out() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let large: &'static str = "a".repeat(262_145).leak();
    for said in [
        publish("devices/one/events/door", "", 0, 1),
        publish("devices/two/messages/events/", "", 1, 1),
        publish("talk/all", "", 1, 1),
        publish("$iothub/twin/res/200/?$rid=1", "", 0, 1),
        publish(EVENTS, "", 2, 1),
        publish(EVENTS, large, 1, 1),
    ] {
        let mut one = connected(&site, &[]).await;
        let topic = said.topic.clone();
        one.say(Packet::Publish(Box::new(said))).await;
        assert_eq!(one.hear().await, None, "{topic:?}");
    }
    assert_eq!(events(&site).await.len(), 0);
    let mut one = connected(&site, &[]).await;
    for filter in [
        "#",
        "talk/#",
        "devices/two/messages/devicebound/#",
        "devices/one/commands/#",
    ] {
        assert!(one.subscribe(filter, 1).await.is_failure(), "{filter}");
    }
    let mut one = connected(&site, &[]).await;
    assert_eq!(one.subscribe(COMMANDS, 2).await, ReasonCode::GrantedQos1);
}

#[tokio::test]
async fn a_command_is_a_message_from_the_cloud_and_its_acknowledgement_completes_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = connected(&site, &[COMMANDS]).await;
    let command = NewCommand {
        name: "display/show".to_owned(),
        content_type: "text/plain".to_owned(),
        properties: [("iothub-ack", "full"), ("$.cid", "c 1"), ("a/b", "c+d")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        payload: Bytes::from_static(b"hello"),
        lasts: HOUR,
    };
    let (actor, till) = (Actor::hub(), id());
    let sent = site
        .core
        .commands
        .send(&actor, &till, command)
        .await
        .unwrap();
    let message = one.message().await;
    assert_eq!(message.payload, "hello");
    let expires = sent.expires.to_string().replace(':', "%3A");
    let expected = format!(
        "devices/one/messages/devicebound/%24.to=%2Fdevices%2Fone%2Fmessages%2Fdevicebound\
         &%24.mid={}&%24.exp={expires}&%24.ct=text%2Fplain&outgate-command=display%2Fshow\
         &%24.cid=c%201&a%2Fb=c%2Bd&iothub-ack=full",
        sent.id
    );
    assert_eq!(message.topic.as_deref(), Some(expected.as_str()));
    assert_eq!(commands(&site).await[0].state, CommandState::Delivered);
    let packet_id = message.delivery.packet_id().unwrap();
    one.acknowledge(packet_id, ReasonCode::Success).await;
    let settled = async {
        while commands(&site).await[0].state != CommandState::Completed {
            one.ping().await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
}

#[tokio::test]
async fn a_call_is_a_direct_method_with_the_device_s_own_status() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = connected(&site, &[METHODS]).await;
    for (payload, asked, status) in [
        ("{\"a\":1}", "{\"a\":1}", 404),
        ("", "null", 0),
        ("hi \"you\"", "\"hi \\\"you\\\"\"", -70_000),
    ] {
        let calls = site.core.calls.clone();
        let call = tokio::spawn(async move {
            let (method, kind) = ("reboot".to_owned(), String::new());
            let payload = Bytes::copy_from_slice(payload.as_bytes());
            calls
                .call(&Actor::hub(), &id(), method, kind, payload, PATIENCE)
                .await
        });
        let (topic, payload) = one.take().await;
        assert_eq!(payload, asked);
        let request = topic
            .strip_prefix("$iothub/methods/POST/reboot/?$rid=")
            .unwrap();
        let answered = publish(
            &format!("$iothub/methods/res/{status}/?$rid={request}"),
            "[1]",
            1,
            1,
        );
        assert_eq!(one.publish(answered).await, ReasonCode::Success);
        let answer = call.await.unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.payload),
            (status, Bytes::from("[1]"))
        );
    }
}

#[tokio::test]
async fn a_device_reads_its_twin_and_reports_with_versions() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    desire(&site, json!({"light": "on"})).await;
    let mut one = connected(&site, &[RESULTS]).await;
    for (patch, version) in [("{\"lamp\":1}", 1), ("{\"lamp\":2}", 2)] {
        let said = publish(&format!("{REPORTED}?$rid=r-{version}"), patch, 1, 1);
        one.say(Packet::Publish(Box::new(said))).await;
        assert!(matches!(one.hear().await, Some(Packet::PubAck(_))));
        let (topic, payload) = one.take().await;
        assert_eq!(
            topic,
            format!("$iothub/twin/res/204/?$rid=r-{version}&$version={version}")
        );
        assert!(payload.is_empty());
    }
    one.say(Packet::Publish(Box::new(publish(
        "$iothub/twin/GET/?$rid=g",
        " ",
        0,
        1,
    ))))
    .await;
    let (topic, twin) = told(&mut one).await;
    assert_eq!(topic, "$iothub/twin/res/200/?$rid=g");
    let expected = json!({
        "desired": {"light": "on", "$version": 1},
        "reported": {"lamp": 2, "$version": 2},
    });
    assert_eq!(twin, expected);
    one.say(Packet::Publish(Box::new(publish(
        &format!("{REPORTED}?$rid=b"),
        "no",
        0,
        1,
    ))))
    .await;
    let (topic, why) = told(&mut one).await;
    assert_eq!(topic, "$iothub/twin/res/400/?$rid=b");
    assert!(why["message"].is_string(), "{why}");
}

#[tokio::test]
async fn a_device_is_told_what_changes_of_what_is_wanted_also_what_goes() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    desire(&site, json!({"light": "on", "deep": {"a": 1, "b": 2}})).await;
    let mut one = connected(&site, &[DESIRED]).await;
    // It has subscribed to changes, and what there is it asks for.
    one.ping().await;
    desire(&site, json!({"light": null, "deep": {"b": 3}})).await;
    let (topic, change) = told(&mut one).await;
    assert_eq!(topic, "$iothub/twin/PATCH/properties/desired/?$version=2");
    assert_eq!(
        change,
        json!({"light": null, "deep": {"b": 3}, "$version": 2})
    );
    // A session that goes on is told what changes from then on.
    let mut again = connected(&site, &[]).await;
    again.ping().await;
    desire(&site, json!({"light": "off"})).await;
    let (topic, change) = told(&mut again).await;
    assert_eq!(topic, "$iothub/twin/PATCH/properties/desired/?$version=3");
    assert_eq!(change, json!({"light": "off", "$version": 3}));
}

#[tokio::test]
async fn a_module_is_a_device_of_its_own_that_goes_with_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let (actor, identity) = (Actor::hub(), &site.core.identity);
    let (module, shop) = (
        "one~scanner".parse::<DeviceId>().unwrap(),
        "s".parse().unwrap(),
    );
    let made = identity.create_device(&actor, module.clone(), shop, None);
    made.await.unwrap();
    let own = keys_of(&site, &module).await.remove(0);
    let device = keys(&site).await.remove(0);
    let connect = |key: &Secret| {
        let resource = format!("{HUB}/devices/one/modules/scanner");
        let token = sas::sign(&resource, soon(&site), key.expose(), None);
        let mut connect = connect(&format!("{HUB}/one/scanner/{QUERY}"), &token);
        connect.client_id = text("one/scanner");
        connect
    };
    assert_eq!(
        answer(&site, connect(&device)).await,
        ReasonCode::NotAuthorized
    );
    let mut scanner = site.dial(Version::V3_1_1);
    let reason = scanner.connect(connect(&own)).await.reason;
    assert_eq!(reason, ReasonCode::Success);
    let said = publish(
        "devices/one/modules/scanner/messages/events/a=b",
        "seen",
        1,
        1,
    );
    assert_eq!(scanner.publish(said).await, ReasonCode::Success);
    assert_eq!(events(&site).await[0].device, module);
    let revoked = identity.revoke_device(&actor, &id()).await.unwrap();
    assert_eq!(revoked.connections.ended, 1);
    assert_eq!(scanner.hear().await, None);
    let reason = answer(&site, connect(&own)).await;
    assert_eq!(reason, ReasonCode::NotAuthorized);
}

#[tokio::test]
async fn a_will_is_a_message_to_the_cloud_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let key = keys(&site).await.remove(0);
    let mut leaving = connect(&user(), &token(&site, &key));
    leaving.will = Some(Will {
        topic: TopicName::new(&format!("{EVENTS}why=unknown&%24.ct=text%2Fplain")).unwrap(),
        payload: Bytes::from_static(b"gone"),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay: 0,
        properties: PublishProperties::default(),
    });
    let mut elsewhere = leaving.clone();
    elsewhere.will.as_mut().unwrap().topic = TopicName::new("talk/all").unwrap();
    assert_eq!(answer(&site, elsewhere).await, ReasonCode::NotAuthorized);
    let mut one = site.dial(Version::V3_1_1);
    assert_eq!(one.connect(leaving).await.reason, ReasonCode::Success);
    drop(one);
    let kept = async {
        loop {
            let found = events(&site).await;
            if !found.is_empty() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let [gone] =
        <[Event; 1]>::try_from(tokio::time::timeout(PATIENCE, kept).await.unwrap()).unwrap();
    assert_eq!(
        (gone.payload, gone.content_type.as_str()),
        (Bytes::from("gone"), "text/plain")
    );
    assert_eq!(gone.properties["iothub-MessageType"], "Will");
    assert_eq!(gone.properties["why"], "unknown");
}
