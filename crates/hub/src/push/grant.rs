//! The token that proves to Google who the hub is: kept until shortly before its end, and asked for
//! by one at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outgate_core::secret::Secret;
use outgate_core::{Clock, Timestamp};
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::account::Account;
use super::{Trouble, whole};
use crate::webhooks::{Ways, retry_after};

/// What asks for a token by an assertion (RFC 7523, section 2.1).
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long before its end a token is no longer used: it has to last for the request.
const BEFORE_ITS_END: Duration = Duration::from_secs(60);

/// The longest that a token is kept, whatever is said: those of Google last an hour.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// The most bytes of a token.
const MAX_TOKEN: usize = 8 * 1024;

/// The token, and how it is had.
#[derive(Debug)]
pub(super) struct Grants {
    account: Account,
    /// Where it is asked for.
    address: String,
    ways: Ways,
    clock: Clock,
    kept: Mutex<Kept>,
    /// How often it has been asked for: who waited while somebody else asked in vain hears of that.
    asked: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    grant: Option<Grant>,
    failed: Option<Trouble>,
}

#[derive(Clone, Debug)]
struct Grant {
    token: Secret,
    until: Timestamp,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

/// Why no token was given (RFC 6749, section 5.2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    error: String,
}

impl Grants {
    pub(super) fn new(account: Account, address: Option<String>, ways: Ways, clock: Clock) -> Self {
        Self {
            address: address.unwrap_or_else(|| account.token_uri.clone()),
            account,
            ways,
            clock,
            kept: Mutex::default(),
            asked: AtomicU64::new(0),
        }
    }

    /// A token that holds, and is not the one that was `refused` just now.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(super) async fn token(&self, refused: Option<&Secret>) -> Result<Secret, Trouble> {
        let asked = self.asked.load(Ordering::Acquire);
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        let holds = |grant: &&Grant| {
            let refused = refused.is_some_and(|refused| grant.token.matches(refused.expose()));
            now < grant.until && !refused
        };
        if let Some(grant) = kept.grant.as_ref().filter(holds) {
            return Ok(grant.token.clone());
        }
        if asked != self.asked.load(Ordering::Acquire)
            && let Some(trouble) = &kept.failed
        {
            return Err(trouble.clone());
        }
        let asked = self.ask(now).await;
        self.asked.fetch_add(1, Ordering::Release);
        *kept = Kept {
            grant: asked.as_ref().ok().cloned(),
            failed: asked.as_ref().err().cloned(),
        };
        asked.map(|grant| grant.token)
    }

    async fn ask(&self, now: Timestamp) -> Result<Grant, Trouble> {
        let assertion = self.account.assertion(now);
        let assertion = assertion.map_err(|refusal| Trouble::passing(refusal.to_string(), None))?;
        // Neither has anything that needs to be escaped but the colons, which forms allow.
        let form = format!("grant_type={GRANT_TYPE}&assertion={}", &*assertion);
        let post = self.ways.post(&self.address);
        let post = post.map_err(|why| Trouble::lasting(why.to_string()))?;
        let sent = post
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await;
        let mut answer = sent.map_err(Trouble::unreachable)?;
        let status = answer.status();
        let wait = retry_after(answer.headers(), now);
        let body = whole(&mut answer).await?;
        if !status.is_success() {
            let failure: Failure = serde_json::from_slice(&body).unwrap_or_default();
            let error: String = failure.error.chars().take(64).collect();
            let why = format!("no token: HTTP {} {error}", status.as_u16());
            let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
            return Err(Trouble { why, passes, wait });
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| Trouble::passing("no token in the answer".to_owned(), None))?;
        let token = Secret::new(answer.access_token.into_bytes());
        let fits = (1..=MAX_TOKEN).contains(&token.expose().len())
            && token.expose().iter().all(u8::is_ascii_graphic);
        if !fits {
            return Err(Trouble::passing("a token that is none".to_owned(), None));
        }
        let lasts = Duration::from_secs(answer.expires_in).min(LONGEST);
        let until = now.after(lasts.saturating_sub(BEFORE_ITS_END));
        Ok(Grant { token, until })
    }
}
