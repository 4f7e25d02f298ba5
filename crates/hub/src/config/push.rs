//! Whether and how devices are reached by push.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, value};

/// Where Firebase Cloud Messaging takes messages.
const FCM: &str = "https://fcm.googleapis.com";

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
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenFcm {
    account: PathBuf,
    endpoint: Option<String>,
    token_endpoint: Option<String>,
    authority: Option<PathBuf>,
}

impl Written {
    /// Fills in the defaults and checks the addresses.
    pub(super) fn checked(self) -> Result<Option<Fcm>, ConfigError> {
        let Some(fcm) = self.fcm else {
            return Ok(None);
        };
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
        Ok(Some(Fcm {
            account: fcm.account,
            endpoint,
            token_endpoint,
            authority: fcm.authority,
        }))
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

    fn read(text: &str) -> Result<Option<Fcm>, ConfigError> {
        Config::new(text, Overrides::default()).map(|config| config.push)
    }

    #[test]
    fn nobody_is_reached_by_push_unless_there_is_an_account() {
        assert!(read("").unwrap().is_none());
        assert!(read("[push.fcm]\n").is_err());
        let fcm = read("[push.fcm]\naccount = 'key.json'").unwrap().unwrap();
        assert_eq!(fcm.endpoint, FCM);
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
