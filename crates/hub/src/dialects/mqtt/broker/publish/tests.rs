//! What mailboxes learn of commits, whoever waits for those.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Waker};
use std::time::Instant;

use arc_swap::ArcSwap;
use outgate_core::identity::{Actor, Claim, Given};
use outgate_core::sessions::{Ending, Selector, Session};
use outgate_core::{Clock, Core, Settings, Timestamp};
use outgate_mqtt::packet::{Message, PublishProperties, QoS, RetainHandling, SubscribeFilter};
use outgate_mqtt::topics::{TopicFilter, TopicName};

use super::*;
use crate::dialects::mqtt::broker::client::Subscription;
use crate::dialects::mqtt::broker::mailbox::Next;
use crate::dialects::mqtt::broker::{Arriving, Attached};
use crate::dialects::mqtt::rules::Rules;
use crate::dialects::mqtt::{Settings as MqttSettings, VIA};
use crate::metrics::Metrics;

/// A broker, and a device in its seat that subscribes to everything and is kept for a minute.
struct Post {
    broker: Broker,
    session: Session,
    attached: Option<Attached>,
}

impl Post {
    async fn open(folder: &Path) -> Self {
        let mut settings = Settings::new(folder);
        settings.clock = Clock::held(Timestamp::from_millis(1_800_000_000_000));
        let core = Core::open(&settings).unwrap();
        let session = session(&core).await;
        let rules = Arc::new(ArcSwap::from_pointee(
            Rules::new(MqttSettings::default()).unwrap(),
        ));
        let broker = Broker::load(core, Metrics::default(), rules).await.unwrap();
        let mut post = Self {
            broker,
            session,
            attached: None,
        };
        post.attach(false).await;
        post
    }

    /// Takes the seat, also from itself.
    async fn attach(&mut self, clean_start: bool) {
        if let Some(attached) = self.attached.take() {
            self.broker.detach(attached, 60, None).await;
        }
        let arriving = Arriving {
            session: &self.session,
            key: "device/one/c".into(),
            owner: "device/one".into(),
            clean_start,
            lasts: 60,
            will: None,
        };
        let attached = self.broker.attach(arriving).await.unwrap();
        let filter = SubscribeFilter {
            filter: TopicFilter::new("#").unwrap(),
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        };
        let subscription = Subscription {
            filter,
            identifier: None,
        };
        self.broker
            .subscribe(&attached.client, &self.session.pass(), subscription)
            .unwrap();
        // It has read all that was there.
        assert!(matches!(attached.client.mailbox.take(true), Next::Nothing));
        self.attached = Some(attached);
    }

    fn client(&self) -> &Arc<Client> {
        &self.attached.as_ref().unwrap().client
    }

    /// What is to be committed of a message to the device.
    fn publish(&self) -> Commit {
        let topic = TopicName::new("a").unwrap();
        let properties = PublishProperties::default();
        let now = Instant::now();
        let message = Message::new(topic, b"x", QoS::AtLeastOnce, false, &properties, now).unwrap();
        let routed = Routed::new(message, now, self.broker.core.clock.now());
        let publisher = Publisher {
            number: 0,
            owner: "device/one".into(),
            pass: Some(self.session.pass()),
            inbound: None,
            will: None,
        };
        let published = self.broker.publish(&publisher, &Arc::new(routed));
        let (count, commit) = published.unwrap();
        assert_eq!(count, 1);
        commit.unwrap()
    }

    /// Whether the device gets a message now.
    fn gets_one(&self) -> bool {
        match self.client().mailbox.take(true) {
            Next::Delivery(_) => true,
            Next::OnDisk { .. } | Next::Nothing => false,
        }
    }

    async fn is_on_disk(&self) -> bool {
        let mailbox = self.client().mailbox.kept().unwrap();
        let messages = &self.broker.core.messages;
        let waiting = messages.waiting(mailbox, 0, u64::from(u32::MAX), 10).await;
        !waiting.unwrap().is_empty()
    }

    /// The disk, held up until this is dropped.
    async fn hold_up(&self) -> Sender<()> {
        let (release, held) = channel::<()>();
        let (tell, reached) = tokio::sync::oneshot::channel();
        let store = self.broker.core.store.clone();
        tokio::spawn(async move {
            store
                .write(move |_| {
                    let _ = tell.send(());
                    let _ = held.recv();
                    Ok(())
                })
                .await
        });
        reached.await.unwrap();
        release
    }

    async fn barrier(&self) {
        self.broker.core.store.barrier().await.unwrap();
    }
}

/// A new device's.
async fn session(core: &Core) -> Session {
    let (hub, identity) = (Actor::hub(), &core.identity);
    let site: outgate_core::id::SiteId = "s".parse().unwrap();
    let device: outgate_core::id::DeviceId = "one".parse().unwrap();
    let name = "S".to_owned();
    identity
        .create_site(&hub, site.clone(), name)
        .await
        .unwrap();
    let created = identity.create_device(&hub, device.clone(), site, None);
    created.await.unwrap();
    let issued = identity.add_token(&hub, &device, "t".to_owned(), None);
    let Given::Token(token) = issued.await.unwrap().given else {
        panic!("no token");
    };
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let identified = identity.authenticate(claim).await.unwrap();
    let peer = SocketAddr::from(([192, 0, 2, 1], 1));
    core.open_session(&identified, VIA, peer).await.unwrap()
}

/// Polls a commit once, which hands it in, and waits for it no more.
fn hand_in(post: &Post, commit: Commit) {
    let mut handed_in = Box::pin(post.broker.commit(commit));
    let polled = handed_in
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

#[tokio::test]
async fn what_was_never_handed_in_is_not_delivered_and_takes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let post = Post::open(folder.path()).await;
    let commit = post.publish();
    assert!(!post.gets_one(), "it is not on the disk");
    drop(commit);
    assert!(!post.gets_one());
    assert!(post.client().mailbox.is_empty());
    // Nor does it hold up what comes after it.
    post.broker.commit(post.publish()).await.unwrap();
    assert!(post.gets_one());
}

#[tokio::test]
async fn a_commit_that_is_only_begun_and_never_polled_was_not_handed_in() {
    let folder = tempfile::tempdir().unwrap();
    let post = Post::open(folder.path()).await;
    drop(post.broker.commit(post.publish()));
    post.barrier().await;
    assert!(!post.gets_one());
    assert!(post.client().mailbox.is_empty());
}

#[tokio::test]
async fn what_was_handed_in_is_delivered_once_it_is_on_the_disk_though_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let post = Post::open(folder.path()).await;
    let disk = post.hold_up().await;
    hand_in(&post, post.publish());
    assert!(!post.gets_one(), "it is not on the disk");
    assert!(!post.client().mailbox.is_empty());
    drop(disk);
    post.barrier().await;
    assert!(post.gets_one());
    assert!(post.is_on_disk().await);
}

#[tokio::test]
async fn what_was_handed_in_and_refused_is_not_delivered_though_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let post = Post::open(folder.path()).await;
    let disk = post.hold_up().await;
    hand_in(&post, post.publish());
    let who = Selector::Device("one".parse().unwrap());
    let sessions = &post.broker.core.sessions;
    let at_once = std::time::Duration::ZERO;
    sessions.end(&who, Ending::Revoked, at_once).await;
    drop(disk);
    post.barrier().await;
    assert!(!post.gets_one());
    assert!(post.client().mailbox.is_empty());
    assert!(!post.is_on_disk().await);
}

#[tokio::test]
async fn a_commit_of_a_session_that_is_over_says_nothing_of_the_one_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut post = Post::open(folder.path()).await;
    let old = post.publish();
    post.attach(true).await;
    let new = post.publish();
    // Both have the first place of their mailboxes.
    drop(old);
    assert!(!post.client().mailbox.is_empty());
    assert!(!post.gets_one(), "it is not on the disk");
    post.broker.commit(new).await.unwrap();
    assert!(post.gets_one());
}
