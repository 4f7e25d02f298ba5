//! Webhooks, and what they did not take.

use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::secret::Secret;
use outgate_core::{Refusal, Timestamp, webhooks};

use crate::api::view::Payload;
use crate::api::view::identity::{Shown, text};

/// Whether a webhook is sent to.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WebhookState {
    /// It is.
    Active,
    /// An operator has stopped it. Its place stays, and so do the events after it.
    Paused,
    /// Its receiver said that it is gone for good, or could not be reached for too long. Made
    /// active it begins after the newest event.
    Stopped,
}

impl From<webhooks::WebhookState> for WebhookState {
    fn from(state: webhooks::WebhookState) -> Self {
        match state {
            webhooks::WebhookState::Active => Self::Active,
            webhooks::WebhookState::Paused => Self::Paused,
            webhooks::WebhookState::Stopped => Self::Stopped,
        }
    }
}

/// What is wrong with a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookFailure {
    /// Since when nothing was taken.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// How often the message at hand was tried.
    attempts: u32,
    /// What came of the last attempt.
    why: String,
    /// When it is tried again.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_try: Option<Timestamp>,
}

impl From<webhooks::Failure> for WebhookFailure {
    fn from(failure: webhooks::Failure) -> Self {
        Self {
            since: failure.since,
            attempts: failure.attempts,
            why: failure.why,
            next_try: failure.next_try,
        }
    }
}

/// A back end to which events are pushed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Webhook {
    /// Its name.
    #[schema(example = "wh-0123456789abcdefghjk")]
    id: String,
    /// What people call it.
    title: String,
    /// Where requests go.
    #[schema(example = "https://billing.example/outgate")]
    url: String,
    /// Only events of this site.
    site: Option<String>,
    /// Only events of this device.
    device: Option<String>,
    /// Only events whose name begins so.
    prefix: Option<String>,
    /// How many events a request may carry.
    batch: u32,
    /// Whether it is sent to.
    state: WebhookState,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Goes up by one with each change; also the entity tag.
    version: u64,
    /// What is wrong now, if something is.
    failure: Option<WebhookFailure>,
    /// How many messages that it did not take are kept.
    letters: u64,
}

impl From<webhooks::Webhook> for Webhook {
    fn from(webhook: webhooks::Webhook) -> Self {
        Self {
            id: webhook.id.into(),
            title: webhook.title,
            url: webhook.url,
            site: webhook.site.map(Into::into),
            device: webhook.device.map(Into::into),
            prefix: webhook.prefix,
            batch: webhook.batch,
            state: webhook.state.into(),
            created: webhook.created,
            version: webhook.version,
            failure: webhook.failure.map(Into::into),
            letters: webhook.letters,
        }
    }
}

/// A new webhook, with its secret, told only once.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookIssued {
    /// What is kept.
    webhook: Webhook,
    /// What requests are signed by, as Standard Webhooks writes it.
    #[schema(value_type = String)]
    secret: Shown,
}

impl WebhookIssued {
    /// A webhook and its secret, which is text.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn new(webhook: webhooks::Webhook, secret: &Secret) -> Result<Self, Refusal> {
        Ok(Self {
            webhook: webhook.into(),
            secret: Shown(text(secret)?),
        })
    }
}

/// A new secret of a webhook, told only once.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookSecret {
    /// What requests are signed by, as Standard Webhooks writes it.
    #[schema(value_type = String)]
    secret: Shown,
}

impl WebhookSecret {
    /// A secret that is text.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn new(secret: &Secret) -> Result<Self, Refusal> {
        let secret = Shown(text(secret)?);
        Ok(Self { secret })
    }
}

/// A message that a webhook did not take.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Letter {
    /// Its place among the letters of all webhooks: goes up.
    seq: u64,
    /// The `webhook-id` under which it was sent.
    message: String,
    /// The place of its first event.
    first_place: u64,
    /// The place of its last event.
    last_place: u64,
    #[serde(flatten)]
    body: Payload,
    /// When it was set aside.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// How often it was tried.
    attempts: u32,
    /// What came of the last attempt.
    why: String,
    /// Whether it is to be sent again.
    again: bool,
}

impl From<webhooks::Letter> for Letter {
    fn from(letter: webhooks::Letter) -> Self {
        Self {
            body: Payload::new("application/json", &letter.body),
            seq: letter.seq,
            message: letter.message,
            first_place: letter.first_place,
            last_place: letter.last_place,
            at: letter.at,
            attempts: letter.attempts,
            why: letter.why,
            again: letter.again,
        }
    }
}
