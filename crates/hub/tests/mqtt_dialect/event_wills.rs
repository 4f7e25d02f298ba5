//! Last words that are events: kept like any other event of the device, once.

use std::time::Duration;

use bytes::Bytes;
use outgate_core::Limits;
use outgate_core::events::{Event, EventFilter};
use outgate_core::identity::{Actor, Scope};
use outgate_mqtt::packet::{
    Connect, Disconnect, Packet, PublishProperties, QoS, ReasonCode, Version, Will,
};
use outgate_mqtt::topics::TopicName;

use crate::client::{Client, publish, text};
use crate::site::Site;

/// The longest that something may take: far more than anything needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the device `one` says that it is gone.
const TOPIC: &str = "devices/one/events/offline/badly";

fn will(topic: &str, delay: u32) -> Will {
    Will {
        topic: TopicName::new(topic).unwrap(),
        payload: Bytes::from_static(b"gone"),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay,
        properties: PublishProperties {
            content_type: Some(text("text/plain")),
            user_properties: vec![(text("why"), text("unknown"))],
            ..PublishProperties::default()
        },
    }
}

/// A CONNECT of the device `one`, whose session lasts for so many seconds.
fn leaving(site: &Site, version: Version, delay: u32, lasts: u32) -> Connect {
    let mut connect = site.connect(version, "one");
    connect.session_expiry = lasts;
    connect.will = Some(will(TOPIC, delay));
    connect
}

async fn connected(site: &Site, connect: Connect) -> Client {
    let mut one = site.dial(connect.version);
    let answer = one.connect(connect).await;
    assert_eq!(answer.reason, ReasonCode::Success);
    one
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

async fn wills(site: &Site) -> usize {
    site.core.messages.load().await.unwrap().wills.len()
}

/// Waits until there are so many wills that are not due yet, and so many that are.
async fn until(site: &Site, waiting: usize, due: usize) {
    let becoming = async {
        loop {
            let wills = site.core.messages.load().await.unwrap().wills;
            let count = wills.iter().filter(|will| will.due.is_some()).count();
            if (wills.len() - count, count) == (waiting, due) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, becoming).await.unwrap();
}

async fn after(site: &Site, seconds: u64) {
    site.core.clock.advance(Duration::from_secs(seconds));
    site.mqtt.sweep().await;
}

/// The one event that there is, as it was left.
async fn assert_one_event(site: &Site, version: Version) {
    let events = events(site).await;
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(event.device.as_str(), "one");
    assert_eq!(event.name, "offline/badly");
    assert_eq!(event.payload, "gone");
    if version == Version::V5 {
        assert_eq!(event.content_type, "text/plain");
        assert_eq!(event.properties["why"], "unknown");
    }
}

#[tokio::test]
async fn a_device_that_breaks_off_leaves_an_event_that_services_hear() {
    for version in [Version::V3_1_1, Version::V5] {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).await;
        let mut back = site.dial(Version::V5);
        back.connect(site.connect_service(true)).await;
        back.subscribe("events/#", 1).await;
        drop(connected(&site, leaving(&site, version, 0, 0)).await);
        let (topic, payload) = back.take().await;
        assert_eq!(topic, "events/s/one/offline/badly");
        assert_eq!(payload, "gone");
        until(&site, 0, 0).await;
        assert_one_event(&site, version).await;
    }
}

#[tokio::test]
async fn who_left_no_will_says_nothing_when_it_goes() {
    for version in [Version::V3_1_1, Version::V5] {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).await;
        let mut two = site.device(Version::V5, "two").await;
        two.subscribe("talk/#", 1).await;
        drop(site.device(version, "one").await);
        let going = async {
            while site.core.sessions.count() > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, going).await.unwrap();
        // Whoever takes its seat waits until all is done that it has left to do.
        let _again = site.device(version, "one").await;
        two.ping().await;
        assert!(events(&site).await.is_empty());
    }
}

#[tokio::test]
async fn it_waits_for_its_delay_and_not_beyond_its_session() {
    for (delay, lasts) in [(60, 600), (600, 60)] {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).await;
        drop(connected(&site, leaving(&site, Version::V5, delay, lasts)).await);
        until(&site, 0, 1).await;
        after(&site, 59).await;
        assert!(events(&site).await.is_empty());
        after(&site, 2).await;
        assert_one_event(&site, Version::V5).await;
        after(&site, 1_000).await;
        assert_eq!((events(&site).await.len(), wills(&site).await), (1, 0));
    }
}

#[tokio::test]
async fn who_says_goodbye_leaves_it_only_when_asked_to() {
    for (reason, count) in [
        (ReasonCode::Success, 0),
        (ReasonCode::DisconnectWithWill, 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).await;
        let mut one = connected(&site, leaving(&site, Version::V5, 0, 0)).await;
        one.say(Packet::Disconnect(Disconnect::new(reason))).await;
        assert_eq!(one.hear().await, None);
        until(&site, 0, 0).await;
        assert_eq!(events(&site).await.len(), count, "{reason:?}");
    }
}

#[tokio::test]
async fn who_is_back_in_time_leaves_none_and_who_begins_anew_leaves_it_at_once() {
    for (clean, count) in [(false, 0), (true, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).await;
        drop(connected(&site, leaving(&site, Version::V5, 60, 600)).await);
        until(&site, 0, 1).await;
        let mut again = leaving(&site, Version::V5, 60, 600);
        again.clean_start = clean;
        let _one = connected(&site, again).await;
        assert_eq!(events(&site).await.len(), count);
        until(&site, 1, 0).await;
        after(&site, 61).await;
        assert_eq!(events(&site).await.len(), count);
    }
}

#[tokio::test]
async fn the_hub_that_comes_back_keeps_it_once() {
    for (delay, lasts) in [(0, 0), (0, 600), (60, 600)] {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let before = Site::new(folders[0].path()).await;
        let _one = connected(&before, leaving(&before, Version::V5, delay, lasts)).await;
        let site = before.killed(folders[1].path()).await;
        if delay > 0 {
            after(&site, 59).await;
            assert!(events(&site).await.is_empty());
            site.core.clock.advance(Duration::from_secs(2));
        }
        site.mqtt.sweep().await;
        assert_one_event(&site, Version::V5).await;
        let again = site.killed(folders[2].path()).await;
        after(&again, 1_000).await;
        assert_one_event(&again, Version::V5).await;
    }
}

#[tokio::test]
async fn who_was_revoked_leaves_none_whenever_it_is_due() {
    for what in ["device", "credential", "site"] {
        for (connected_still, restart) in [(true, false), (false, false), (false, true)] {
            let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
            let mut site = Site::new(folders[0].path()).await;
            let one = connected(&site, leaving(&site, Version::V5, 60, 600)).await;
            if !connected_still {
                drop(one);
                until(&site, 0, 1).await;
            }
            let (hub, identity) = (Actor::hub(), &site.core.identity);
            let device = "one".parse().unwrap();
            let revoked = match what {
                "device" => identity.revoke_device(&hub, &device).await,
                "credential" => {
                    let wills = site.core.messages.load().await.unwrap().wills;
                    let credential = wills[0].credential.clone();
                    identity.revoke_credential(&hub, &device, &credential).await
                }
                _ => identity.revoke_site(&hub, &"s".parse().unwrap()).await,
            };
            revoked.unwrap();
            if restart {
                site = site.killed(folders[1].path()).await;
            }
            after(&site, 61).await;
            until(&site, 0, 0).await;
            let events = events(&site).await;
            assert!(events.is_empty(), "{what} {connected_still} {restart}");
        }
    }
}

#[tokio::test]
async fn one_that_could_never_be_an_event_of_its_device_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let long = format!("devices/one/events/{}", "x".repeat(257));
    let mut of_a_service = site.connect_service(true);
    of_a_service.will = Some(will("devices/one/events/x", 0));
    let of_one = |will: Will| {
        let mut connect = site.connect(Version::V5, "one");
        connect.will = Some(will);
        connect
    };
    let mut unnamed = will(TOPIC, 0);
    unnamed.properties.content_type = Some(text("\u{e4}"));
    for (connect, reason) in [
        (
            of_one(will("devices/two/events/x", 0)),
            ReasonCode::NotAuthorized,
        ),
        (of_one(will("events/s/one/x", 0)), ReasonCode::NotAuthorized),
        (
            of_one(will("devices/one/twin/reported", 0)),
            ReasonCode::NotAuthorized,
        ),
        (of_one(will(&long, 0)), ReasonCode::QuotaExceeded),
        (of_one(unnamed), ReasonCode::PayloadFormatInvalid),
        (of_a_service, ReasonCode::NotAuthorized),
    ] {
        let what = format!("{:?}", connect.will);
        let mut client = site.dial(Version::V5);
        assert_eq!(client.connect(connect).await.reason, reason, "{what}");
    }
    assert_eq!((events(&site).await.len(), wills(&site).await), (0, 0));
}

#[tokio::test]
async fn it_does_not_wait_for_the_devices_rate_and_counts_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    site.core.events.limit(&Limits {
        events_a_second: 1,
        event_burst: 1,
        ..Limits::default()
    });
    let mut one = connected(&site, leaving(&site, Version::V5, 0, 0)).await;
    let event = publish("devices/one/events/last", "x", 1, 1);
    assert_eq!(one.publish(event).await, ReasonCode::Success);
    drop(one);
    until(&site, 0, 0).await;
    assert_eq!(events(&site).await.len(), 2);
    // Two in the first second: the next one is for the third.
    let token = site.token("one").as_bytes().to_vec();
    let token = outgate_core::secret::Secret::new(token);
    let claim = outgate_core::identity::Claim::Token {
        token: &token,
        device: None,
    };
    let identified = site.core.identity.authenticate(claim).await.unwrap();
    let peer = "192.0.2.1:1".parse().unwrap();
    let session = site.core.open_session(&identified, "test", peer).await;
    let session = session.unwrap();
    let event = || outgate_core::events::NewEvent {
        name: "next".to_owned(),
        content_type: String::new(),
        properties: [].into(),
        payload: Bytes::new(),
    };
    site.core.clock.advance(Duration::from_millis(1_500));
    assert!(site.core.events.append(&session, event()).await.is_err());
    site.core.clock.advance(Duration::from_millis(1_000));
    assert!(site.core.events.append(&session, event()).await.is_ok());
}

#[tokio::test]
async fn one_that_finds_no_room_is_kept_once_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let with_room_for = |store_bytes| Limits {
        store_bytes,
        ..Limits::default()
    };
    site.core.events.limit(&with_room_for(1));
    drop(connected(&site, leaving(&site, Version::V5, 60, 600)).await);
    until(&site, 0, 1).await;
    after(&site, 61).await;
    assert_eq!((events(&site).await.len(), wills(&site).await), (0, 1));
    // Its device coming back does not take back what was due.
    let mut again = leaving(&site, Version::V5, 60, 600);
    again.clean_start = false;
    again.will = None;
    let _one = connected(&site, again).await;
    site.core.events.limit(&with_room_for(1 << 30));
    after(&site, 9).await;
    assert!(
        events(&site).await.is_empty(),
        "it is tried every ten seconds"
    );
    after(&site, 1).await;
    assert_one_event(&site, Version::V5).await;
    after(&site, 1_000).await;
    assert_eq!((events(&site).await.len(), wills(&site).await), (1, 0));
}
