//! Back ends to which events are pushed, and what they did not take.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::payload::Payload;
use crate::error::Error;
use crate::pages;
use crate::token::Token;
use crate::transport::{Ask, Client};

/// A back end to which events are pushed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Its name.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Where requests go.
    pub url: String,
    /// Only events of this site.
    pub site: Option<String>,
    /// Only events of this device.
    pub device: Option<String>,
    /// Only events whose name begins so.
    pub prefix: Option<String>,
    /// How many events a request may carry.
    pub batch: u32,
    /// `active`, `paused`, or `stopped` when the hub has given it up.
    pub state: String,
    /// Since when.
    pub created: String,
    /// Goes up by one with each change.
    pub version: u64,
    /// What is wrong now, if something is.
    pub failure: Option<WebhookFailure>,
    /// How many messages that it did not take are kept.
    pub letters: u64,
}

/// What is wrong with a webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookFailure {
    /// Since when nothing was taken.
    pub since: String,
    /// How often the message at hand was tried.
    pub attempts: u32,
    /// What came of the last attempt.
    pub why: String,
    /// When it is tried again.
    pub next_try: Option<String>,
}

/// A webhook to be made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewWebhook {
    /// What people call it.
    pub title: String,
    /// Where requests go.
    pub url: String,
    /// Only events of this site.
    pub site: Option<String>,
    /// Only events of this device.
    pub device: Option<String>,
    /// Only events whose name begins so.
    pub prefix: Option<String>,
    /// How many events a request may carry, 1 to 100; 1 when there is none.
    pub batch: Option<u32>,
    /// The place after which it begins; after the newest event when there is none.
    pub after: Option<u64>,
}

/// What is to change of a webhook; what is `None` stays.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WebhookChange {
    /// What people call it.
    pub title: Option<String>,
    /// Where requests go.
    pub url: Option<String>,
    /// How many events a request may carry, 1 to 100.
    pub batch: Option<u32>,
    /// Whether it is sent to.
    pub active: Option<bool>,
}

/// A webhook just made, with its secret, told only now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MadeWebhook {
    /// Which.
    pub webhook: Webhook,
    /// What requests are signed by, as Standard Webhooks writes it.
    pub secret: Token,
}

/// A new secret of a webhook, told only now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// What requests are signed by, as Standard Webhooks writes it.
    pub secret: Token,
}

/// A message that a webhook did not take.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Its place among the letters of all webhooks: goes up.
    pub seq: u64,
    /// The `webhook-id` under which it was sent.
    pub message: String,
    /// The place of its first event.
    pub first_place: u64,
    /// The place of its last event.
    pub last_place: u64,
    /// When it was set aside.
    pub at: String,
    /// How often it was tried.
    pub attempts: u32,
    /// What came of the last attempt.
    pub why: String,
    /// Whether it is to be sent again.
    pub again: bool,
    /// What was sent.
    #[serde(flatten)]
    pub body: Payload,
}

impl Client {
    /// All webhooks, without their secrets.
    pub fn webhooks(&self) -> impl Stream<Item = Result<Webhook, Error>> + use<> {
        pages::items(self, Ask::get(["api", "webhooks"]))
    }

    /// One webhook.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn webhook(&self, id: &str) -> Result<Webhook, Error> {
        self.send(&Ask::get(["api", "webhooks", id])).await?.json()
    }

    /// Makes a webhook.
    ///
    /// # Errors
    /// As any request.
    pub async fn create_webhook(&self, new: &NewWebhook) -> Result<MadeWebhook, Error> {
        let ask = Ask::create(["api", "webhooks"])?.json(&json!(new));
        self.send(&ask).await?.json()
    }

    /// Changes a webhook, if its version is still `if_version`.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 412 when it is not; as any request.
    pub async fn change_webhook(
        &self,
        id: &str,
        change: &WebhookChange,
        if_version: Option<u64>,
    ) -> Result<Webhook, Error> {
        let ask = Ask::patch(["api", "webhooks", id])
            .json(&json!(change))
            .if_version(if_version);
        self.send(&ask).await?.json()
    }

    /// Gives a webhook a new secret; the one before signs beside it for `overlap` seconds, or as
    /// long as the hub likes.
    ///
    /// # Errors
    /// As any request.
    pub async fn rotate_webhook(
        &self,
        id: &str,
        overlap: Option<u64>,
    ) -> Result<WebhookSecret, Error> {
        let ask =
            Ask::create(["api", "webhooks", id, "rotate"])?.json(&json!({ "overlap": overlap }));
        self.send(&ask).await?.json()
    }

    /// Removes a webhook, with its place and what it did not take.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn remove_webhook(&self, id: &str) -> Result<(), Error> {
        let ask = Ask::delete(["api", "webhooks", id]);
        self.send(&ask).await.map(drop)
    }

    /// What a webhook did not take, oldest first.
    pub fn letters(&self, id: &str) -> impl Stream<Item = Result<Letter, Error>> + use<> {
        pages::items(self, Ask::get(["api", "webhooks", id, "letters"]))
    }

    /// Has a message sent again, soon and out of its order.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn redeliver_letter(&self, id: &str, letter: u64) -> Result<(), Error> {
        let letter = letter.to_string();
        let path = ["api", "webhooks", id, "letters", &letter, "redeliver"];
        self.send(&Ask::post(path)).await.map(drop)
    }

    /// Forgets a message.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn discard_letter(&self, id: &str, letter: u64) -> Result<(), Error> {
        let letter = letter.to_string();
        let path = ["api", "webhooks", id, "letters", &letter];
        self.send(&Ask::delete(path)).await.map(drop)
    }
}
