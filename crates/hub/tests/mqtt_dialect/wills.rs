//! What clients leave behind: their last words, and sessions that end without them.

use std::time::Duration;

use bytes::Bytes;
use outgate_core::id::DeviceId;
use outgate_core::identity::Actor;
use outgate_core::messages::Kept;
use outgate_core::sessions::{Ending, Selector};
use outgate_mqtt::packet::{Connect, Packet, PublishProperties, QoS, ReasonCode, Version, Will};
use outgate_mqtt::topics::TopicName;

use crate::client::publish;

use crate::site::{Site, hold_up};

/// The longest that something may take: far more than anything needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A CONNECT of the device `one` with a will that is retained.
fn leaving(site: &Site, payload: &'static str, delay: u32, lasts: u32) -> Connect {
    let mut connect = site.connect(Version::V5, "one");
    connect.session_expiry = lasts;
    connect.will = Some(Will {
        topic: TopicName::new("talk/will").unwrap(),
        payload: Bytes::from_static(payload.as_bytes()),
        qos: QoS::AtLeastOnce,
        retain: true,
        delay,
        properties: PublishProperties::default(),
    });
    connect
}

/// A CONNECT of the device `two`, whose session is kept for a minute.
fn staying(site: &Site, clean: bool) -> Connect {
    let mut connect = site.connect(Version::V5, "two");
    connect.clean_start = clean;
    connect.session_expiry = 60;
    connect
}

async fn kept(site: &Site) -> Kept {
    site.core.messages.load().await.unwrap()
}

/// Waits until what is kept is as it has to become.
async fn until(site: &Site, as_it_should_be: impl Fn(&Kept) -> bool) {
    let becoming = async {
        while !as_it_should_be(&kept(site).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, becoming).await.unwrap();
}

/// Lets the device `one` break off, and its will be due in a minute.
async fn leave_a_will(site: &Site) {
    let mut one = site.dial(Version::V5);
    let answer = one.connect(leaving(site, "gone", 60, 600)).await;
    assert_eq!(answer.reason, ReasonCode::Success);
    drop(one);
    until(site, |kept| kept.wills[0].due.is_some()).await;
}

async fn after_a_minute(site: &Site) {
    site.core.clock.advance(Duration::from_secs(61));
    site.mqtt.sweep().await;
}

/// Gives whatever the hub is about to do the time to come to where it waits for the disk.
async fn settle_down(site: &Site) {
    for _ in 0..50 {
        site.core.store.read(|_| Ok(())).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_delayed_will_is_published_in_its_time_also_over_a_restart() {
    for restart in [false, true] {
        let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut site = Site::new(folder.path()).await;
        leave_a_will(&site).await;
        if restart {
            site = site.killed(copy.path()).await;
        }
        let mut two = site.device(Version::V5, "two").await;
        two.subscribe("talk/#", 1).await;
        site.core.clock.advance(Duration::from_secs(59));
        site.mqtt.sweep().await;
        two.ping().await;
        after_a_minute(&site).await;
        assert_eq!(two.take().await.1, "gone");
        let kept = kept(&site).await;
        assert_eq!((kept.wills.len(), kept.retained.len()), (0, 1));
    }
}

/// What takes the right to leave a will away.
#[derive(Clone, Copy, Debug)]
enum Revoking {
    Device,
    Credential,
    Site,
}

async fn revoke(site: &Site, what: Revoking) {
    let (hub, identity) = (Actor::hub(), &site.core.identity);
    let one: DeviceId = "one".parse().unwrap();
    match what {
        Revoking::Device => identity.revoke_device(&hub, &one).await,
        Revoking::Credential => {
            let credential = kept(site).await.wills[0].credential.clone();
            identity.revoke_credential(&hub, &one, &credential).await
        }
        Revoking::Site => identity.revoke_site(&hub, &"s".parse().unwrap()).await,
    }
    .unwrap();
}

#[tokio::test]
async fn the_will_of_who_was_revoked_is_not_published_whenever_it_is_due() {
    for what in [Revoking::Device, Revoking::Credential, Revoking::Site] {
        for (restart_before, restart_after) in [(false, false), (true, false), (false, true)] {
            let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
            let mut site = Site::new(folders[0].path()).await;
            leave_a_will(&site).await;
            if restart_before {
                site = site.killed(folders[1].path()).await;
            }
            revoke(&site, what).await;
            if restart_after {
                site = site.killed(folders[2].path()).await;
            }
            after_a_minute(&site).await;
            let kept = kept(&site).await;
            let left = (kept.wills.len(), kept.retained.len());
            assert_eq!(left, (0, 0), "{what:?} {restart_before} {restart_after}");
        }
    }
}

#[tokio::test]
async fn a_will_is_published_only_if_its_device_may_say_it_still() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    leave_a_will(&site).await;
    let (hub, one) = (Actor::hub(), "one".parse().unwrap());
    let policy = "own-subtree".to_owned();
    let identity = &site.core.identity;
    identity.set_policy(&hub, &one, policy, None).await.unwrap();
    after_a_minute(&site).await;
    let kept = kept(&site).await;
    assert_eq!((kept.wills.len(), kept.retained.len()), (0, 0));
}

#[tokio::test]
async fn who_comes_back_while_its_old_will_is_published_keeps_its_new_one() {
    for (delay, lasts) in [(0, 0), (60, 600)] {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).await;
        let mut one = site.dial(Version::V5);
        one.connect(leaving(&site, "old", delay, lasts)).await;
        let disk = if delay == 0 {
            let disk = hold_up(&site.core).await;
            drop(one);
            disk
        } else {
            drop(one);
            until(&site, |kept| kept.wills[0].due.is_some()).await;
            hold_up(&site.core).await
        };
        site.core.clock.advance(Duration::from_secs(61));
        let mqtt = site.mqtt.clone();
        let sweeping = tokio::spawn(async move { mqtt.sweep().await });
        settle_down(&site).await;
        let mut again = site.dial(Version::V5);
        let mut connect = leaving(&site, "new", delay, lasts);
        connect.clean_start = false;
        again.say(Packet::Connect(Box::new(connect))).await;
        settle_down(&site).await;
        drop(disk);
        assert!(matches!(again.hear().await, Some(Packet::ConnAck(_))));
        sweeping.await.unwrap();
        again.ping().await;
        // Whatever the old connection has left to do is done when nothing else has its place.
        settle_down(&site).await;
        let wills = kept(&site).await.wills;
        assert_eq!(wills.len(), 1, "{delay}");
        assert_eq!(wills[0].message.payload, "new");
    }
}

/// Lets the device `two` ask to be connected anew, and be put out before the disk knows of it.
async fn come_back_in_vain(site: &Site, clean: bool) {
    let disk = hold_up(&site.core).await;
    let mut two = site.dial(Version::V5);
    let connect = staying(site, clean);
    two.say(Packet::Connect(Box::new(connect))).await;
    settle_down(site).await;
    let mqtt = site.mqtt.clone();
    let sweeping = tokio::spawn(async move { mqtt.sweep().await });
    settle_down(site).await;
    let who = Selector::Device("two".parse().unwrap());
    let sessions = &site.core.sessions;
    sessions.end(&who, Ending::Dismissed, Duration::ZERO).await;
    drop(disk);
    match two.hear().await {
        Some(Packet::ConnAck(answer)) => assert!(answer.reason.is_failure()),
        other => panic!("{other:?}"),
    }
    sweeping.await.unwrap();
}

#[tokio::test]
async fn a_session_whose_client_comes_back_in_vain_ends_in_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut two = site.dial(Version::V5);
    two.connect(staying(&site, true)).await;
    drop(two);
    until(&site, |kept| kept.mailboxes[0].ends.is_some()).await;
    site.core.clock.advance(Duration::from_secs(61));
    come_back_in_vain(&site, false).await;
    site.mqtt.sweep().await;
    assert_eq!(kept(&site).await.mailboxes.len(), 0);
}

#[tokio::test]
async fn a_session_that_was_to_begin_anew_in_vain_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut two = site.dial(Version::V5);
    two.connect(staying(&site, true)).await;
    two.subscribe("talk/#", 1).await;
    drop(two);
    until(&site, |kept| kept.mailboxes[0].ends.is_some()).await;
    come_back_in_vain(&site, true).await;
    let mut one = site.device(Version::V5, "one").await;
    let reason = one.publish(publish("talk/a", "for two", 1, 1)).await;
    assert_eq!(reason, ReasonCode::Success);
    let mut two = site.dial(Version::V5);
    assert!(two.connect(staying(&site, false)).await.session_present);
    assert_eq!(two.take().await.1, "for two");
}
