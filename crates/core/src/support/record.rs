//! What is known of a support session, as it is written down.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::id::{DeviceId, OperatorId, SupportId};
use crate::identity::words;
use crate::refusal::Refusal;

/// For how long a session may be asked.
pub const LASTS: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(8 * 3_600);

/// The most characters of a reason, and of other texts of a session.
pub const MAX_REASON: usize = 500;

/// The most characters of a service's name.
const MAX_SERVICE: usize = 64;

/// The most rows or columns of a terminal.
const MAX_SCREEN: u16 = 1_000;

/// The most ports of which it is told why they did not lead to the hub.
const MAX_TRIED: usize = 32;

/// To what a session leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A service that the device's configuration names.
    Service(String),
    /// A shell, on a terminal of that size.
    Shell {
        /// How wide.
        columns: u16,
        /// How high.
        rows: u16,
    },
}

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct NewSupport {
    /// Why, for the one who allows it: 1 to [`MAX_REASON`] characters.
    pub reason: String,
    /// To what.
    pub what: What,
    /// For how long from now: [`LASTS`].
    pub lasts: Duration,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The device has been asked.
    Asked,
    /// It is allowed, and both can send.
    Open,
    /// The device did not allow it, or could not be asked.
    Refused,
    /// It is over.
    Ended,
}

words!(State { Asked => "asked", Open => "open", Refused => "refused", Ended => "ended" });

/// How the device has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// By which port of the hub.
    pub port: u16,
    /// What was tried before, and why it does not lead there: at most 32.
    pub tried: Vec<String>,
    /// Who has allowed it: whoever is at the device, or its policy.
    pub by: String,
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its bytes.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub digest: String,
}

/// A support session.
#[derive(Clone, Debug)]
pub struct SupportSession {
    /// Its name.
    pub id: SupportId,
    /// With which device.
    pub device: DeviceId,
    /// Who has asked.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// To what it leads.
    pub what: What,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When it ends at the latest.
    pub until: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// How the device has come, if it has.
    pub joined: Option<Joined>,
    /// By whom it has ended, if it has.
    pub by: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// Its recording, if there is a whole one.
    pub recorded: Option<Recorded>,
}

impl What {
    /// As it is written down: `shell 80x24`, `service NAME`.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Service(name) => format!("service {name}"),
            Self::Shell { columns, rows } => format!("shell {columns}x{rows}"),
        }
    }

    /// What was written down.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(' ')?;
        match kind {
            "service" => Some(Self::Service(rest.to_owned())),
            "shell" => {
                let (columns, rows) = rest.split_once('x')?;
                let (columns, rows) = (columns.parse().ok()?, rows.parse().ok()?);
                Some(Self::Shell { columns, rows })
            }
            _ => None,
        }
    }
}

impl NewSupport {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_text("reason", &self.reason)?;
        if !LASTS.contains(&self.lasts) {
            return Err(Refusal::invalid("lasts", "a minute to 8 hours"));
        }
        match &self.what {
            What::Service(name) => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                if (1..=MAX_SERVICE).contains(&name.len()) && name.bytes().all(fits) {
                    return Ok(());
                }
                Err(Refusal::invalid("service", "1 to 64 of A-Z a-z 0-9 - _ ."))
            }
            What::Shell { columns, rows } => {
                if (1..=MAX_SCREEN).contains(columns) && (1..=MAX_SCREEN).contains(rows) {
                    return Ok(());
                }
                Err(Refusal::invalid("shell", "1 to 1000 columns and rows"))
            }
        }
    }
}

impl Joined {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_text("by", &self.by)?;
        if self.tried.len() > MAX_TRIED {
            return Err(Refusal::invalid("tried", "at most 32 ports"));
        }
        self.tried
            .iter()
            .try_for_each(|one| check_text("tried", one))
    }
}

impl SupportSession {
    pub(super) fn asked(
        id: SupportId,
        device: &DeviceId,
        operator: &OperatorId,
        new: NewSupport,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            device: device.clone(),
            operator: operator.to_string(),
            reason: new.reason,
            what: new.what,
            asked: now,
            until: now.after(new.lasts),
            state: State::Asked,
            since: now,
            joined: None,
            by: None,
            why: None,
            recorded: None,
        }
    }

    /// For the audit log.
    pub(super) fn told(&self) -> Value {
        json!({
            "session": self.id.as_str(), "reason": self.reason, "what": self.what.told(),
            "until": self.until,
        })
    }
}

/// Whether it is a text that people write: not empty, not long, on one line.
pub(super) fn check_text(field: &'static str, text: &str) -> Result<(), Refusal> {
    let length = text.chars().take(MAX_REASON + 1).count();
    if (1..=MAX_REASON).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Refusal::invalid(
        field,
        "1 to 500 characters, no control characters",
    ))
}

/// A text as long as it may be.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_what_a_session_leads_is_read_as_it_was_written() {
        let shell = What::Shell {
            columns: 80,
            rows: 24,
        };
        for what in [What::Service("pos".to_owned()), shell] {
            assert_eq!(What::read(&what.told()), Some(what));
        }
        for none in ["", "shell", "shell 80", "shell x", "other 1"] {
            assert_eq!(What::read(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_asked_has_a_reason_an_end_and_a_plain_name() {
        let new = |reason: &str, seconds, name: &str| NewSupport {
            reason: reason.to_owned(),
            what: What::Service(name.to_owned()),
            lasts: Duration::from_secs(seconds),
        };
        new("the till is slow", 60, "pos").check().unwrap();
        let long = "a".repeat(MAX_REASON + 1);
        for wrong in [
            new("", 60, "pos"),
            new("two\nlines", 60, "pos"),
            new(&long, 60, "pos"),
            new("why", 59, "pos"),
            new("why", 8 * 3_600 + 1, "pos"),
            new("why", 60, ""),
            new("why", 60, "127.0.0.1:22"),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
