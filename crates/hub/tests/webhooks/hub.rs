//! A core with a device that says things, and its webhooks being sent to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use outgate_core::events::NewEvent;
use outgate_core::id::WebhookId;
use outgate_core::identity::{Actor, Claim, Given, Page};
use outgate_core::sessions::Session;
use outgate_core::webhooks::{Letter, NewWebhook, Webhook};
use outgate_core::{Clock, Core, Settings, Timestamp};
use outgate_hub::metrics::Metrics;
use outgate_hub::webhooks::{self, SenderError, Timer, Wait};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(crate) struct Hub {
    pub(crate) core: Core,
    pub(crate) metrics: Metrics,
    pub(crate) session: Session,
    pub(crate) waits: mpsc::UnboundedReceiver<Wait>,
    drain: watch::Sender<bool>,
    sending: JoinHandle<Result<(), SenderError>>,
    folder: TempDir,
}

pub(crate) fn admin() -> Actor {
    Actor::hub()
}

/// The settings under which receivers on this machine may be sent to.
pub(crate) fn trusting() -> webhooks::Settings {
    webhooks::Settings {
        trusted: vec!["127.0.0.0/8".parse().unwrap()],
        ..webhooks::Settings::default()
    }
}

/// A webhook at `path` of the receiver at `address`, one event a request.
pub(crate) fn at(address: SocketAddr, path: &str) -> NewWebhook {
    NewWebhook {
        title: "Test".to_owned(),
        url: format!("http://{address}{path}"),
        site: None,
        device: None,
        prefix: None,
        batch: 1,
        after: None,
    }
}

impl Hub {
    pub(crate) async fn new() -> Self {
        Self::with(
            trusting(),
            Clock::held(Timestamp::from_millis(1_790_000_000_000)),
        )
        .await
    }

    pub(crate) async fn with(settings: webhooks::Settings, clock: Clock) -> Self {
        let folder = TempDir::new().unwrap();
        let core = open(&folder, clock);
        let (shop, till) = ("shop".parse().unwrap(), "till-1".parse().unwrap());
        let identity = &core.identity;
        let admin = admin();
        let made = identity.create_site(&admin, shop, "Shop".to_owned());
        made.await.unwrap();
        let made = identity.create_device(&admin, till, "shop".parse().unwrap(), None);
        made.await.unwrap();
        Self::sending(core, folder, settings).await
    }

    /// Goes down, and starts again on the same folder.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_at(|now| now).await
    }

    /// The same, with the clock put to what `at` makes of its time.
    pub(crate) async fn restarted_at(self, at: impl FnOnce(Timestamp) -> Timestamp) -> Self {
        let Self {
            core,
            drain,
            sending,
            folder,
            session,
            ..
        } = self;
        drain.send_replace(true);
        sending.await.unwrap().unwrap();
        let clock = Clock::held(at(core.clock.now()));
        drop((core, session));
        let core = open(&folder, clock);
        Self::sending(core, folder, trusting()).await
    }

    async fn sending(core: Core, folder: TempDir, mut settings: webhooks::Settings) -> Self {
        let (held, waits) = mpsc::unbounded_channel();
        settings.timer = Timer::Held(held);
        let (drain, draining) = watch::channel(false);
        let metrics = Metrics::default();
        let sending = webhooks::run(core.clone(), metrics.clone(), settings, draining);
        Self {
            session: session(&core).await,
            sending: tokio::spawn(sending),
            core,
            metrics,
            waits,
            drain,
            folder,
        }
    }

    /// Makes a webhook; gives its name and its secret.
    pub(crate) async fn webhook(&self, webhook: NewWebhook) -> (WebhookId, String) {
        let made = self.core.webhooks.create(&admin(), webhook).await;
        let (webhook, secret) = made.unwrap();
        let secret = String::from_utf8(secret.expose().to_vec()).unwrap();
        (webhook.id, secret)
    }

    /// The webhook as an operator sees it.
    pub(crate) async fn seen(&self, id: &WebhookId) -> Webhook {
        self.core.webhooks.get(&admin(), id).await.unwrap()
    }

    /// What a webhook did not take.
    pub(crate) async fn letters(&self, id: &WebhookId) -> Vec<Letter> {
        let page = Page {
            after: None,
            limit: 100,
        };
        let letters = self.core.webhooks.letters(&admin(), id, &page).await;
        letters.unwrap().items
    }

    /// Has the device say something.
    pub(crate) async fn say(&self, name: &str) -> u64 {
        self.say_more(name, name.as_bytes().to_vec()).await
    }

    pub(crate) async fn say_more(&self, name: &str, payload: Vec<u8>) -> u64 {
        let event = NewEvent {
            name: name.to_owned(),
            content_type: "text/plain".to_owned(),
            properties: BTreeMap::new(),
            payload: payload.into(),
        };
        self.core.events.append(&self.session, event).await.unwrap()
    }

    /// Lets the next wait pass, on the clock too. Returns how long it was to be.
    pub(crate) async fn pass(&mut self) -> Duration {
        let wait = self.waits.recv().await.unwrap();
        self.core.clock.advance(wait.length);
        wait.over.send(()).unwrap();
        wait.length
    }
}

fn open(folder: &TempDir, clock: Clock) -> Core {
    let settings = Settings {
        clock,
        ..Settings::new(folder.path())
    };
    Core::open(&settings).unwrap()
}

async fn session(core: &Core) -> Session {
    let till = "till-1".parse().unwrap();
    let made = core
        .identity
        .add_token(&admin(), &till, "test".to_owned(), None)
        .await;
    let Given::Token(token) = made.unwrap().given else {
        panic!("a token was expected");
    };
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let who = core.identity.authenticate(claim).await.unwrap();
    let peer = ([127, 0, 0, 1], 1).into();
    core.open_session(&who, "test", peer).await.unwrap()
}
