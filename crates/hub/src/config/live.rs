//! What devices may look up: at which APIs, and within which bounds.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Method};
use ipnet::IpNet;
use outgate_core::tables::TableName;
use reqwest::Url;
use serde::Deserialize;

use super::{ConfigError, value, within};
use crate::dialects::live::{Reach, Steps};

/// The most upstreams.
const MAX_UPSTREAMS: usize = 64;

/// The most methods, paths or networks of one.
const MAX_EACH: usize = 256;

/// The methods that may be allowed.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// What devices may look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// How long a token lasts, a minute to an hour.
    pub token: Duration,
    /// The APIs that are asked, by their names.
    pub upstreams: Vec<LiveUpstream>,
}

/// An API that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveUpstream {
    /// The first step below `/live/`: a name as tables have them, whose place it takes.
    pub name: String,
    /// Where it is; what devices ask for is added to its path.
    pub url: Url,
    /// The methods that devices may use.
    pub methods: Vec<Method>,
    /// What devices may ask for: these paths, and all that is below them.
    pub paths: Vec<Steps>,
    /// Where its addresses may be; anywhere public when none is given.
    pub networks: Vec<IpNet>,
    /// What it is trusted by, beside public authorities: a file in PEM.
    pub authority: Option<PathBuf>,
    /// The file with what the hub shows it, if it shows anything, and in which header.
    pub key: Option<(HeaderName, PathBuf)>,
    /// How long an answer may take in all, 1 to 60 seconds.
    pub answer: Duration,
    /// The most bytes of a request's body, 1 KiB to 16 MiB.
    pub request_bytes: usize,
    /// The most bytes of an answer, 1 KiB to 16 MiB.
    pub answer_bytes: usize,
    /// The most look-ups at a time, 1 to 10,000.
    pub at_once: usize,
    /// After how many failures in a row it is left alone, 1 to 1,000.
    pub break_after: u32,
    /// For how long it is then left alone, 1 to 600 seconds.
    pub rest: Duration,
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    token_minutes: Option<u32>,
    upstreams: Vec<WrittenUpstream>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenUpstream {
    name: String,
    url: String,
    #[serde(default)]
    methods: Vec<String>,
    paths: Vec<String>,
    #[serde(default)]
    networks: Vec<IpNet>,
    authority: Option<PathBuf>,
    key_file: Option<PathBuf>,
    key_header: Option<String>,
    answer_seconds: Option<u32>,
    request_kibibytes: Option<u32>,
    answer_kibibytes: Option<u32>,
    at_once: Option<u32>,
    break_after: Option<u32>,
    break_seconds: Option<u32>,
}

impl Written {
    /// Fills in the defaults and checks the values.
    pub(super) fn checked(self) -> Result<Live, ConfigError> {
        let minutes = within("live.token-minutes", self.token_minutes, 10, 1..=60)?;
        if self.upstreams.len() > MAX_UPSTREAMS {
            return value("live.upstreams", format!("at most {MAX_UPSTREAMS}"));
        }
        let upstreams = self.upstreams.into_iter().map(WrittenUpstream::checked);
        let upstreams = upstreams.collect::<Result<Vec<_>, _>>()?;
        let names: BTreeSet<_> = upstreams.iter().map(|one| &one.name).collect();
        if names.len() < upstreams.len() {
            return value("live.upstreams.name", "another for each");
        }
        Ok(Live {
            token: Duration::from_secs(u64::from(minutes) * 60),
            upstreams,
        })
    }
}

impl WrittenUpstream {
    fn checked(self) -> Result<LiveUpstream, ConfigError> {
        if let Err(error) = self.name.parse::<TableName>() {
            return value("live.upstreams.name", error.to_string());
        }
        if self.paths.is_empty() || self.paths.len() > MAX_EACH || self.networks.len() > MAX_EACH {
            let right = format!("1 to {MAX_EACH} paths, at most as many networks");
            return value("live.upstreams.paths", right);
        }
        let url = base(&self.url, &self.networks)?;
        let number = |key, given, default, least, most| within(key, given, default, least..=most);
        let kibibytes = |key, given, default| {
            let number = number(key, given, default, 1, 16_384)?;
            Ok::<_, ConfigError>(usize::try_from(number).unwrap_or(usize::MAX) * 1_024)
        };
        let seconds = |key, given, default, most| {
            let number = number(key, given, default, 1, most)?;
            Ok::<_, ConfigError>(Duration::from_secs(number.into()))
        };
        let at_once = number("live.upstreams.at-once", self.at_once, 64, 1, 10_000)?;
        Ok(LiveUpstream {
            name: self.name,
            url,
            methods: methods(&self.methods)?,
            paths: self
                .paths
                .iter()
                .map(|path| allowed(path))
                .collect::<Result<_, _>>()?,
            networks: self.networks,
            authority: self.authority,
            key: key(self.key_file, self.key_header)?,
            answer: seconds("live.upstreams.answer-seconds", self.answer_seconds, 10, 60)?,
            request_bytes: kibibytes(
                "live.upstreams.request-kibibytes",
                self.request_kibibytes,
                64,
            )?,
            answer_bytes: kibibytes(
                "live.upstreams.answer-kibibytes",
                self.answer_kibibytes,
                1_024,
            )?,
            at_once: usize::try_from(at_once).unwrap_or(usize::MAX),
            break_after: number("live.upstreams.break-after", self.break_after, 5, 1, 1_000)?,
            rest: seconds("live.upstreams.break-seconds", self.break_seconds, 30, 600)?,
        })
    }
}

/// The address that paths are added to.
fn base(text: &str, networks: &[IpNet]) -> Result<Url, ConfigError> {
    const KEY: &str = "live.upstreams.url";
    let plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let Some(url) = Url::parse(text).ok().filter(plain) else {
        return value(
            KEY,
            "one like https://api.example/v1, without login or query",
        );
    };
    if Steps::read(url.path()).is_none() {
        return value(KEY, "one whose path has no empty steps and no dots");
    }
    if url.scheme() == "http" && networks.is_empty() {
        return value(KEY, "https, or `networks` that are trusted without TLS");
    }
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    if address.is_some_and(|address| !Reach::new(networks).permits(address)) {
        return value(KEY, "an address that is public, or in one of `networks`");
    }
    Ok(url)
}

fn methods(written: &[String]) -> Result<Vec<Method>, ConfigError> {
    if written.is_empty() {
        return Ok(vec![Method::GET]);
    }
    let known = |text: &String| METHODS.into_iter().find(|known| known.as_str() == text);
    let methods: Option<Vec<_>> = written.iter().map(known).collect();
    match methods.filter(|methods| methods.len() <= METHODS.len()) {
        Some(methods) => Ok(methods),
        None => value(
            "live.upstreams.methods",
            "of GET, HEAD, POST, PUT, PATCH and DELETE",
        ),
    }
}

fn allowed(path: &str) -> Result<Steps, ConfigError> {
    match Steps::read(path) {
        Some(steps) => Ok(steps),
        None => value(
            "live.upstreams.paths",
            "like employees/active, without empty steps and dots; / for all",
        ),
    }
}

fn key(
    file: Option<PathBuf>,
    header: Option<String>,
) -> Result<Option<(HeaderName, PathBuf)>, ConfigError> {
    const HEADER: &str = "live.upstreams.key-header";
    match (file, header) {
        (None, None) => Ok(None),
        (None, Some(_)) => value(HEADER, "key-file as well, with what is sent in it"),
        (Some(file), header) => {
            let header = header.unwrap_or_else(|| "authorization".to_owned());
            match HeaderName::from_bytes(header.as_bytes()) {
                Ok(name) if crate::dialects::live::may_hold_key(&name) => Ok(Some((name, file))),
                Ok(_) | Err(_) => value(HEADER, "a header like authorization or x-api-key"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Overrides};

    fn read(upstream: &str) -> Result<Config, String> {
        let text = format!("[[live.upstreams]]\n{upstream}\n");
        Config::new(&text, Overrides::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_upstream_is_told_in_three_lines_and_reads_only() {
        let config = read("name = 'flow'\nurl = 'https://flow.example/api'\npaths = ['balances']");
        let config = config.unwrap();
        let [flow] = &config.live.upstreams[..] else {
            panic!("one was expected");
        };
        assert_eq!(flow.methods, ["GET"]);
        assert_eq!(config.live.token.as_secs(), 600);
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for (upstream, key) in [
            (
                "name = 'fleet'\nurl = 'https://a.example'\npaths = ['/']",
                "name",
            ),
            (
                "name = 'A'\nurl = 'https://a.example'\npaths = ['/']",
                "name",
            ),
            ("name = 'a'\nurl = 'ftp://a.example'\npaths = ['/']", "url"),
            ("name = 'a'\nurl = 'http://a.example'\npaths = ['/']", "url"),
            (
                "name = 'a'\nurl = 'https://u:p@a.example'\npaths = ['/']",
                "url",
            ),
            (
                "name = 'a'\nurl = 'https://a.example/?a=b'\npaths = ['/']",
                "url",
            ),
            (
                "name = 'a'\nurl = 'https://a.example//b'\npaths = ['/']",
                "url",
            ),
            ("name = 'a'\nurl = 'https://10.0.0.1'\npaths = ['/']", "url"),
            ("name = 'a'\nurl = 'https://[::1]/'\npaths = ['/']", "url"),
            ("name = 'a'\nurl = 'https://0x7f.1/'\npaths = ['/']", "url"),
            ("name = 'a'\nurl = 'https://a.example'\npaths = []", "paths"),
            (
                "name = 'a'\nurl = 'https://a.example'\npaths = ['a/../b']",
                "paths",
            ),
            (
                "name = 'a'\nurl = 'https://a.example'\npaths = ['/']\nmethods = ['CONNECT']",
                "methods",
            ),
            (
                "name = 'a'\nurl = 'https://a.example'\npaths = ['/']\nkey-header = 'a'",
                "key-header",
            ),
            (
                "name = 'a'\nurl = 'https://a.example'\npaths = ['/']\nkey-file = 'a'\nkey-header = 'host'",
                "key-header",
            ),
        ] {
            let error = read(upstream).unwrap_err();
            let named = format!("live.upstreams.{key}: ");
            assert!(error.starts_with(&named), "{upstream}: {error}");
        }
    }
}
