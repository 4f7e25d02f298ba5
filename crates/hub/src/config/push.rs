//! Whether and how devices are reached by push.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use outgate_core::reminders::{Names, Reminding};
use serde::Deserialize;

use super::{ConfigError, value, within};

/// Where Firebase Cloud Messaging takes messages.
const FCM: &str = "https://fcm.googleapis.com";

/// The most names of commands.
const MAX_NAMES: usize = 100;

/// The most bytes of a title or a text.
const MAX_SHOWN: usize = 1_024;

/// How many seconds commands are waited for that make one push together.
const AFTER: u32 = 10;

/// How many seconds lie between two pushes to a device: Google hands on one message under the same
/// name each three minutes, and holds back more.
const EVERY: u32 = 180;

/// How devices are reached by push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// By whom.
    pub fcm: Fcm,
    /// Whether and how they are told that commands wait.
    pub reminders: Option<Reminders>,
}

/// How devices that are away are told that commands wait for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminders {
    /// Of which commands, and when.
    pub of: Reminding,
    /// What is shown: a title.
    pub title: Option<String>,
    /// What is shown below it.
    pub body: Option<String>,
    /// Whether a sleeping device is woken.
    pub urgent: bool,
}

/// How messages go out by Firebase Cloud Messaging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fcm {
    /// The file with the key of a Google service account, in JSON.
    pub account: PathBuf,
    /// Where messages are sent: a scheme and a host, to which the path is added.
    pub endpoint: String,
    /// Where tokens are asked for, when not where the account's file says.
    pub token_endpoint: Option<String>,
    /// What both are trusted by, beside public authorities: a file in PEM.
    pub authority: Option<PathBuf>,
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    fcm: Option<WrittenFcm>,
    reminders: Option<WrittenReminders>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenFcm {
    account: PathBuf,
    endpoint: Option<String>,
    token_endpoint: Option<String>,
    authority: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenReminders {
    commands: Vec<String>,
    after_seconds: Option<u32>,
    every_seconds: Option<u32>,
    title: Option<String>,
    body: Option<String>,
    urgent: Option<bool>,
}

impl Written {
    /// Fills in the defaults and checks the values.
    pub(super) fn checked(self) -> Result<Option<Push>, ConfigError> {
        let Self { fcm, reminders } = self;
        let Some(fcm) = fcm else {
            return match reminders {
                Some(_) => value("push.reminders", "[push.fcm] as well, by which they go out"),
                None => Ok(None),
            };
        };
        let reminders = reminders.map(WrittenReminders::checked).transpose()?;
        let fcm = fcm.checked()?;
        Ok(Some(Push { fcm, reminders }))
    }
}

impl WrittenReminders {
    fn checked(self) -> Result<Reminders, ConfigError> {
        let names = self.commands.iter().map(|name| Names::read(name));
        let of = names.collect::<Option<Vec<_>>>();
        let Some(of) = of.filter(|of| (1..=MAX_NAMES).contains(&of.len())) else {
            let right = "1 to 100 names of commands, as `print`, `door/*` for all below it, or `*`";
            return value("push.reminders.commands", right);
        };
        let seconds = |key, written, usual, most| {
            let seconds = within(key, written, usual, 0..=most)?;
            Ok(Duration::from_secs(seconds.into()))
        };
        if self.every_seconds == Some(0) {
            return value("push.reminders.every-seconds", "1 to 86400");
        }
        let fits = |text: &String| (1..=MAX_SHOWN).contains(&text.len());
        if !self.title.iter().chain(&self.body).all(fits) {
            let right = format!("a title and a body of 1 to {MAX_SHOWN} bytes");
            return value("push.reminders", right);
        }
        Ok(Reminders {
            of: Reminding {
                of,
                after: seconds(
                    "push.reminders.after-seconds",
                    self.after_seconds,
                    AFTER,
                    3_600,
                )?,
                every: seconds(
                    "push.reminders.every-seconds",
                    self.every_seconds,
                    EVERY,
                    86_400,
                )?,
            },
            title: self.title,
            body: self.body,
            urgent: self.urgent.unwrap_or(true),
        })
    }
}

impl WrittenFcm {
    fn checked(self) -> Result<Fcm, ConfigError> {
        let fcm = self;
        let endpoint = fcm.endpoint.unwrap_or_else(|| FCM.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if !may_be_sent_to(&endpoint) {
            return value("push.fcm.endpoint", "an address like https://relay.example");
        }
        let token_endpoint = fcm.token_endpoint;
        if !token_endpoint.iter().all(|address| may_be_sent_to(address)) {
            let right = "an address like https://relay.example/token";
            return value("push.fcm.token-endpoint", right);
        }
        Ok(Fcm {
            account: fcm.account,
            endpoint,
            token_endpoint,
            authority: fcm.authority,
        })
    }
}

/// Whether a token may go to an address: over TLS, or to this machine.
pub(crate) fn may_be_sent_to(address: &str) -> bool {
    address.parse::<http::Uri>().is_ok_and(|uri| {
        let host = uri.host().unwrap_or_default();
        let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
        let here = address.is_ok_and(|address| address.is_loopback());
        let carried = match uri.scheme_str() {
            Some("https") => !host.is_empty(),
            Some("http") => here,
            _ => false,
        };
        carried && uri.query().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};

    fn read(text: &str) -> Result<Option<Push>, ConfigError> {
        Config::new(text, Overrides::default()).map(|config| config.push)
    }

    fn reminders(text: &str) -> Result<Option<Reminders>, ConfigError> {
        let text = format!("[push.fcm]\naccount = 'a'\n[push.reminders]\n{text}");
        read(&text).map(|push| push.unwrap().reminders)
    }

    #[test]
    fn nobody_is_reached_by_push_unless_there_is_an_account() {
        assert!(read("").unwrap().is_none());
        assert!(read("[push.fcm]\n").is_err());
        let push = read("[push.fcm]\naccount = 'key.json'").unwrap().unwrap();
        assert_eq!(push.fcm.endpoint, FCM);
        assert_eq!(push.reminders, None);
    }

    #[test]
    fn reminders_name_commands_and_need_somebody_by_whom_they_go_out() {
        assert!(read("[push.reminders]\ncommands = ['*']").is_err());
        let found = reminders("commands = ['door/*', 'print']")
            .unwrap()
            .unwrap();
        let of = ["door/*", "print"].map(|name| Names::read(name).unwrap());
        assert_eq!(found.of.of, of);
        assert_eq!(
            (found.of.after.as_secs(), found.of.every.as_secs()),
            (10, 180)
        );
        assert!(found.urgent && found.title.is_none());
        let long = "a".repeat(MAX_SHOWN + 1);
        for wrong in [
            "",
            "commands = []",
            "commands = ['a*']",
            "commands = ['*']\nafter-seconds = 3601",
            "commands = ['*']\nevery-seconds = 86401",
            "commands = ['*']\nevery-seconds = 0",
            "commands = ['*']\ntitle = ''",
            &format!("commands = ['*']\nbody = '{long}'"),
        ] {
            assert!(reminders(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        for (address, may) in [
            ("https://relay.example", true),
            ("https://relay.example/fcm/", true),
            ("http://127.0.0.1:9", true),
            ("http://[::1]:9", true),
            ("http://relay.example", false),
            ("http://localhost", false),
            ("relay.example", false),
            ("https://relay.example/?key=1", false),
        ] {
            let fcm = read(&format!(
                "[push.fcm]\naccount = 'a'\nendpoint = '{address}'"
            ));
            assert_eq!(fcm.is_ok(), may, "{address}");
            let fcm = read(&format!(
                "[push.fcm]\naccount = 'a'\ntoken-endpoint = '{address}'"
            ));
            assert_eq!(fcm.is_ok(), may, "{address}");
        }
    }
}
