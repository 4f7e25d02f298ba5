//! Which pages in browsers may ask what devices ask, none by default.

use std::collections::BTreeSet;

use http::uri::Authority;
use serde::Deserialize;

use super::{ConfigError, value};

/// The most origins.
const MAX_ORIGINS: usize = 256;

/// The most bytes of an origin: a host name has at most 253.
const MAX_ORIGIN: usize = 300;

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    origins: Vec<String>,
}

impl Written {
    /// The origins, as browsers write them (RFC 6454, section 6.2).
    pub(super) fn checked(self) -> Result<BTreeSet<String>, ConfigError> {
        if self.origins.len() > MAX_ORIGINS {
            return value("browsers.origins", format!("at most {MAX_ORIGINS}"));
        }
        let origins = self.origins.iter().map(|text| origin(text));
        let origins: Option<BTreeSet<String>> = origins.collect();
        match origins {
            Some(origins) => Ok(origins),
            None => {
                let right = "each whole, like https://shop.example or http://localhost:3000: \
                    no path, no *, and no port that is the scheme's own";
                value("browsers.origins", right)
            }
        }
    }
}

fn origin(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, at) = text.split_once("://")?;
    let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(of_scheme);
    let authority: Authority = at.parse().ok()?;
    let host = authority.host();
    let own = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let is_port = match at.strip_prefix(host)? {
        "" => true,
        port => {
            let port = port.strip_prefix(':')?.parse::<u16>().ok()?;
            Some(port) != own
        }
    };
    let is_host = !host.is_empty() && !host.contains(['*', '%']);
    (is_scheme && text.len() <= MAX_ORIGIN && is_host && is_port).then_some(text)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Overrides};

    fn read(origin: &str) -> Option<Vec<String>> {
        let text = format!("[browsers]\norigins = ['{origin}']\n");
        let config = Config::new(&text, Overrides::default()).ok()?;
        Some(config.origins.into_iter().collect())
    }

    #[test]
    fn no_page_of_another_origin_may_ask_unless_it_is_named() {
        let config = Config::new("", Overrides::default()).unwrap();
        assert!(config.origins.is_empty());
        for (written, origin) in [
            ("https://Shop.Example", "https://shop.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(read(written).unwrap(), [origin], "{written}");
        }
    }

    #[test]
    fn what_is_not_exactly_one_origin_is_refused() {
        for text in [
            "",
            "*",
            "null",
            "shop.example",
            "://shop.example",
            "https://",
            "https://*.example",
            "https://shop.example/",
            "https://shop.example/till",
            "https://shop.example?",
            "https://me@shop.example",
            "https://shop.example:",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://shop.example:70000",
            "https://a b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
