//! Webhooks: back ends to whom events are pushed. What is known of them, how far each is, and what
//! they did not take; whoever sends to them asks here and notes here what came of it.
//!
//! Each is a consumer of events, so nothing that one has not taken is cleared away.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::announcement::Announcement;
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::events::EventFilter;
use crate::id::{DeviceId, SiteId, WebhookId};
use crate::identity::{Actor, Identity, Listed, MAX_PAGE, Page, Role};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::store::Store;

mod address;
mod delivery;
mod letters;
mod table;

pub use delivery::{Due, Failure};
pub use letters::{Letter, MAX_LETTER_BYTES, MAX_LETTERS};
pub(crate) use table::SCHEMA;

/// The most webhooks of a hub.
pub const MAX_WEBHOOKS: u64 = 100;

/// How many events one request may carry.
pub const BATCH: RangeInclusive<u32> = 1..=100;

/// For how long the secret before may go on signing beside a new one.
pub const MAX_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);

/// Bytes of a secret (Standard Webhooks asks for 24 to 64).
const SECRET_BYTES: usize = 32;

/// What a webhook is to be.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// What people call it: at most 128 bytes.
    pub title: String,
    /// Where requests go: `https`, or `http` where the hub's configuration trusts the network. At
    /// most 2,048 bytes, without a user, a password or a fragment.
    pub url: String,
    /// Only events of this site.
    pub site: Option<SiteId>,
    /// Only events of this device.
    pub device: Option<DeviceId>,
    /// Only events whose name begins so: at most 256 bytes.
    pub prefix: Option<String>,
    /// How many events a request may carry ([`BATCH`]). With 1 the body is an object, with more it
    /// is an array.
    pub batch: u32,
    /// The place after which it begins; after the newest event when there is none.
    pub after: Option<u64>,
}

/// Whether a webhook is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookState {
    /// It is.
    Active,
    /// An operator has stopped it. Its place stays, and so do the events after it.
    Paused,
    /// Its receiver said that it is gone for good (HTTP 410), or could not be reached for too
    /// long. It has no place any more; made active it begins after the newest event.
    Stopped,
}

/// A webhook, as it may be told: never its secret.
#[derive(Clone, Debug, Serialize)]
pub struct Webhook {
    /// Its name, which is also that of its consumer.
    pub id: WebhookId,
    /// What people call it.
    pub title: String,
    /// Where requests go.
    pub url: String,
    /// Only events of this site.
    pub site: Option<SiteId>,
    /// Only events of this device.
    pub device: Option<DeviceId>,
    /// Only events whose name begins so.
    pub prefix: Option<String>,
    /// How many events a request may carry.
    pub batch: u32,
    /// Whether it is sent to.
    pub state: WebhookState,
    /// Since when.
    pub created: Timestamp,
    /// Goes up by one with each change by an operator, and when it is stopped.
    pub version: u64,
    /// What is wrong now, if something is.
    pub failure: Option<Failure>,
    /// How many messages it did not take are kept.
    pub letters: u64,
}

/// What is to be different about a webhook; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// What people call it.
    pub title: Option<String>,
    /// Where requests go.
    pub url: Option<String>,
    /// How many events a request may carry.
    pub batch: Option<u32>,
    /// Whether it is sent to.
    pub active: Option<bool>,
}

/// All webhooks. They are the business of those who see all sites; those who change them are
/// administrators, because the hub itself sends to wherever they say.
#[derive(Clone, Debug)]
pub struct Webhooks {
    store: Store,
    clock: Clock,
    identity: Identity,
    changed: Arc<watch::Sender<u64>>,
}

impl Webhooks {
    pub(crate) fn new(store: Store, clock: Clock, identity: Identity) -> Self {
        Self {
            store,
            clock,
            identity,
            changed: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Makes a webhook. Its secret is told only now.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for all but administrators of all sites; [`Refusal::Invalid`],
    /// [`Refusal::TooLarge`], also when there are [`MAX_WEBHOOKS`]; [`Refusal::Expired`] when
    /// events after the place where it is to begin are no longer kept; as the store.
    pub async fn create(
        &self,
        actor: &Actor,
        webhook: NewWebhook,
    ) -> Result<(Webhook, Secret), Refusal> {
        administer(actor)?;
        webhook.check()?;
        let id = WebhookId::made_up()?;
        let secret = Secret::random(SECRET_BYTES)?;
        let sealed = self.identity.vault().seal(&context(&id), &secret)?;
        let act = ("webhook.create", json!({"url": webhook.url}));
        let made = self.act(actor, &id, act, move |connection, id, now| {
            table::insert(connection, id, &webhook, &sealed, now)?;
            table::one(connection, id)
        });
        Ok((made.await?, shown(&secret)))
    }

    /// Lists webhooks by their names.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who does not see all sites; [`Refusal::Invalid`]; as the store.
    pub async fn list(&self, actor: &Actor, page: &Page) -> Result<Listed<Webhook>, Refusal> {
        actor.require_all_sites("seeing webhooks")?;
        let after = page.after.clone().unwrap_or_default();
        let limit = page.limit.clamp(1, MAX_PAGE);
        self.store
            .read(move |connection| table::after(connection, &after, limit))
            .await
    }

    /// Gives one webhook.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who does not see all sites; [`Refusal::NotFound`]; as the store.
    pub async fn get(&self, actor: &Actor, id: &WebhookId) -> Result<Webhook, Refusal> {
        actor.require_all_sites("seeing webhooks")?;
        let id = id.clone();
        self.store
            .read(move |connection| table::one(connection, &id))
            .await
    }

    /// Changes a webhook, if its version is still `if_version`.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when it has another version; as [`Webhooks::create`];
    /// [`Refusal::NotFound`].
    pub async fn update(
        &self,
        actor: &Actor,
        id: &WebhookId,
        change: WebhookChange,
        if_version: Option<u64>,
    ) -> Result<Webhook, Refusal> {
        administer(actor)?;
        change.check()?;
        let detail = json!({"url": change.url, "active": change.active});
        let act = ("webhook.update", detail);
        self.act(actor, id, act, move |connection, id, now| {
            let before = table::one(connection, id)?;
            if if_version.is_some_and(|version| version != before.version) {
                return Err(Refusal::Conflict {
                    what: "the webhook",
                });
            }
            table::change(connection, &before, &change, now)?;
            table::one(connection, id)
        })
        .await
    }

    /// Gives a webhook a new secret, told only now. The one before goes on signing beside it for
    /// `overlap`, at most [`MAX_OVERLAP`], so that the receiver can change over without a gap.
    ///
    /// # Errors
    /// As [`Webhooks::update`].
    pub async fn rotate(
        &self,
        actor: &Actor,
        id: &WebhookId,
        overlap: Duration,
    ) -> Result<Secret, Refusal> {
        administer(actor)?;
        if overlap > MAX_OVERLAP {
            return Err(Refusal::invalid("overlap", "at most 7 days"));
        }
        let secret = Secret::random(SECRET_BYTES)?;
        let sealed = self.identity.vault().seal(&context(id), &secret)?;
        let detail = json!({"overlap-seconds": overlap.as_secs()});
        let act = ("webhook.rotate", detail);
        self.act(actor, id, act, move |connection, id, now| {
            table::one(connection, id)?;
            table::rotate(connection, id, &sealed, now.after(overlap))
        })
        .await?;
        Ok(shown(&secret))
    }

    /// Removes a webhook, its place, and what it did not take.
    ///
    /// # Errors
    /// As [`Webhooks::update`].
    pub async fn remove(&self, actor: &Actor, id: &WebhookId) -> Result<(), Refusal> {
        administer(actor)?;
        let act = ("webhook.remove", json!({}));
        self.act(actor, id, act, |connection, id, _| {
            table::one(connection, id)?;
            table::remove(connection, id)
        })
        .await
    }

    /// News of any change that those who send must heed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Does `work` on the writer's thread with its entry in the audit log, unless the actor has
    /// been revoked while this waited; and tells of it once it is on the disk.
    async fn act<T, F>(
        &self,
        actor: &Actor,
        id: &WebhookId,
        (act, detail): (&'static str, Value),
        work: F,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &WebhookId, Timestamp) -> Result<T, Refusal> + Send + 'static,
    {
        let (webhooks, actor, id) = (self.clone(), actor.clone(), id.clone());
        let (done, told) = self
            .store
            .write(move |connection| {
                let now = webhooks.clock.now();
                audit::append(connection, now, &actor, act, &on(&id), &detail)?;
                Ok((work(connection, &id, now)?, webhooks.news()))
            })
            .await?;
        drop(told);
        Ok(done)
    }

    /// Tells of a change, once it is dropped.
    fn news(&self) -> Announcement<impl FnMut() + Send + use<>> {
        let changed = Arc::clone(&self.changed);
        Announcement::new(move || changed.send_modify(|count| *count = count.wrapping_add(1)))
    }
}

impl NewWebhook {
    fn check(&self) -> Result<(), Refusal> {
        check_title(&self.title)?;
        address::check(&self.url)?;
        check_batch(self.batch)?;
        if let Some(prefix) = &self.prefix {
            if prefix.is_empty() {
                return Err(Refusal::invalid("prefix", "none in place of an empty one"));
            }
            crate::limits::check_path("prefix", prefix, crate::limits::MAX_PATH)?;
        }
        Ok(())
    }
}

impl WebhookChange {
    fn check(&self) -> Result<(), Refusal> {
        self.title.as_deref().map_or(Ok(()), check_title)?;
        self.url.as_deref().map_or(Ok(()), address::check)?;
        self.batch.map_or(Ok(()), check_batch)
    }
}

impl Webhook {
    /// Which events it wants.
    #[must_use]
    pub fn filter(&self) -> EventFilter {
        EventFilter {
            scope: self
                .site
                .clone()
                .map_or(crate::identity::Scope::All, crate::identity::Scope::Site),
            device: self.device.clone(),
            prefix: self.prefix.clone(),
        }
    }
}

fn administer(actor: &Actor) -> Result<(), Refusal> {
    actor.require(Role::Admin, "changing webhooks")?;
    actor.require_all_sites("changing webhooks")
}

fn check_title(title: &str) -> Result<(), Refusal> {
    crate::limits::check_path("title", title, crate::id::MAX_NAME)
}

fn check_batch(batch: u32) -> Result<(), Refusal> {
    if BATCH.contains(&batch) {
        Ok(())
    } else {
        Err(Refusal::invalid("batch", "1 to 100"))
    }
}

/// How a webhook is called in the audit log.
fn on(id: &WebhookId) -> String {
    format!("webhook/{id}")
}

/// For what its secrets are sealed.
fn context(id: &WebhookId) -> String {
    format!("webhook/{id}")
}

/// A secret as its receiver is given it (Standard Webhooks, "Secret serialization").
fn shown(secret: &Secret) -> Secret {
    Secret::new(format!("whsec_{}", &*secret.to_base64()).into_bytes())
}
