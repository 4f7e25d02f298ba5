//! Why an operation did not succeed, and what to do next.

use std::time::Duration;

use serde::Deserialize;

use crate::sse::SseError;
use crate::trust::TrustError;

/// The most characters of a problem's own text that are told on.
const MAX_TOLD: usize = 1_000;

/// Why an operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub's address cannot be used.
    #[error("{hub} is no address of a hub: {why}")]
    Address {
        /// As it was given.
        hub: String,
        /// What would be right.
        why: &'static str,
    },
    /// Whom to trust cannot be made out.
    #[error("failed to set up TLS")]
    Trust(#[from] TrustError),
    /// The system gave no random bytes.
    #[error("the system has no randomness")]
    Randomness,
    /// What should be a fleet key is none.
    #[error("a fleet key is base 64, as `outgate fleet-key add` gives it")]
    FleetKey,
    /// The clock shows no time that can be written.
    #[error("this machine's clock shows no time that can be written")]
    Clock,
    /// The hub could not be asked, or did not answer in time.
    #[error("failed to reach the hub at {hub}{hint}")]
    Unreachable {
        /// Where it should be.
        hub: String,
        /// What may be done, if that is known.
        hint: &'static str,
        /// Why.
        source: reqwest::Error,
    },
    /// The hub was silent for too long.
    #[error("the hub at {hub} has been silent for {} s", .patience.as_secs())]
    Silent {
        /// Where it is.
        hub: String,
        /// For how long.
        patience: Duration,
    },
    /// The hub ended a stream that should go on.
    #[error("the hub at {hub} has ended the stream")]
    Ended {
        /// Where it is.
        hub: String,
    },
    /// The hub refused or failed, and said why.
    #[error("{0}")]
    Refused(Problem),
    /// What came back is not what the API answers with.
    #[error("the answer of {hub} is not a hub's: {why}")]
    Answer {
        /// Who answered.
        hub: String,
        /// What is wrong with it.
        why: String,
    },
    /// A stream of events is not what it must be.
    #[error("the hub's stream of events cannot be read")]
    Stream(#[from] SseError),
}

/// Why the hub refused or failed: problem details (RFC 9457), and what the status means here.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Problem {
    /// The HTTP status, 400 to 599.
    #[serde(default)]
    pub status: u16,
    /// The kind of problem: a path that stays the same, as `/problems/not-found`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The kind of problem for people.
    #[serde(default)]
    pub title: String,
    /// This problem for people.
    #[serde(default)]
    pub detail: String,
    /// The oldest place that is still kept, when older ones were asked for.
    #[serde(default)]
    pub oldest: Option<u64>,
    /// When to try again, if the hub said so.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// What the hub meant by `status` and `body`, which may be anything.
    pub(crate) fn read(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let told: Self = serde_json::from_slice(body).unwrap_or_default();
        Self {
            status,
            kind: shortened(&told.kind),
            title: shortened(&told.title),
            detail: shortened(&told.detail),
            oldest: told.oldest,
            retry_after,
        }
    }

    /// What the hub told in the middle of a stream, its status included.
    pub(crate) fn told(body: &[u8]) -> Self {
        let told: Self = serde_json::from_slice(body).unwrap_or_default();
        Self::read(told.status, body, None)
    }

    /// What the caller can do about it, in a sentence; `None` when the detail says it all.
    #[must_use]
    pub fn next_step(&self) -> Option<String> {
        let step = match self.status {
            401 => {
                "the token is unknown or has been revoked: ask for a new one, then `outgate login`"
            }
            403 => "your role or scope does not allow it: ask an administrator of the hub",
            409 | 412 if self.kind == "/problems/exists" => return None,
            409 if self.kind == "/problems/offline" => {
                "`outgate command send` reaches it when it comes back"
            }
            409 if self.kind == "/problems/takes-no-calls" => {
                "over MQTT it takes calls once it subscribes to devices/NAME/calls/#"
            }
            409 | 412 => "read it again, then decide anew",
            410 => "what was asked for is no longer kept",
            429 | 503 => {
                return Some(match self.retry_after {
                    Some(wait) => format!("try again in {} s", wait.as_secs().max(1)),
                    None => "try again in a while".to_owned(),
                });
            }
            504 => "is the device connected? `outgate session list` tells",
            507 => "the hub's disk is full: its operator has to make room",
            500..=599 => "the hub's own log says more",
            _ => return None,
        };
        Some(step.to_owned())
    }

    /// Whether asking again later may help without anything else being changed.
    pub(crate) fn passes(&self) -> bool {
        matches!(self.status, 429 | 502 | 503)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = [&self.detail, &self.title]
            .into_iter()
            .find(|text| !text.is_empty());
        match said {
            Some(text) => f.write_str(text)?,
            None => write!(
                f,
                "what is there answered with status {}, and not as a hub does: is the address \
                 right, with https:// and the port?",
                self.status
            )?,
        }
        if let Some(step) = self.next_step() {
            write!(f, "; {step}")?;
        }
        Ok(())
    }
}

/// At most [`MAX_TOLD`] characters of `text`.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_happened_and_what_to_do() {
        let body = br#"{"type":"/problems/limited","title":"Limited","status":429,"detail":"too many calls"}"#;
        let problem = Problem::read(429, body, Some(Duration::from_secs(7)));
        assert_eq!(problem.to_string(), "too many calls; try again in 7 s");
    }

    #[test]
    fn a_body_that_is_no_problem_leaves_the_status() {
        let problem = Problem::read(418, b"<html>", None);
        let said = problem.to_string();
        assert!(said.contains("418") && said.contains("https://"), "{said}");
    }

    #[test]
    fn an_endless_detail_is_cut() {
        let body = format!(r#"{{"detail":"{}"}}"#, "a".repeat(100_000));
        let problem = Problem::read(400, body.as_bytes(), None);
        assert_eq!(problem.detail.len(), MAX_TOLD);
    }
}
