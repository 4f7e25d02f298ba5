//! The SignalR hubs that are served, none by default.

use std::collections::{BTreeMap, BTreeSet};

use outgate_core::id::ServiceId;
use serde::Deserialize;

use super::{ConfigError, value, within};

/// The most hubs.
pub const MAX_SIGNALR_HUBS: usize = 64;

/// The most methods that a hub has something said about.
const MAX_METHODS: usize = 1_024;

/// The most characters of a hub's name, and of the path of one.
const MAX_NAME: usize = 128;

/// The first steps of paths where the hub serves something else.
const TAKEN: [&str; 19] = [
    "$iothub",
    "agent",
    "api",
    "assets",
    "client",
    "console",
    "database",
    "device",
    "healthz",
    "live",
    "livez",
    "metrics",
    "mqtt",
    "problems",
    "push",
    "readyz",
    "remote-config",
    "v1",
    "whoami",
];

/// What stands for all methods that are not named.
const OTHERS: &str = "*";

/// A hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalRHub {
    /// Its name in small letters: letters, digits and underscores, a letter first.
    pub name: String,
    /// Where it is found beside `/client/?hub=NAME`, if anywhere.
    pub path: Option<String>,
    /// What becomes of invocations, by their targets in small letters.
    pub methods: BTreeMap<String, Method>,
    /// What becomes of all others.
    pub others: Method,
    /// What becomes of clients that do not take what they are sent.
    pub slow_clients: SlowClients,
    /// The most connections at a time, 1 to 1,000,000.
    pub connections: u32,
    /// The most bytes of a client's message, 1 KiB to 1 MiB. An event stays at most 256 KiB.
    pub message_bytes: u32,
    /// The most messages that wait for a client, 16 to 100,000.
    pub waiting: u32,
    /// The most KiB of those, 16 to 65,536.
    pub waiting_kibibytes: u32,
    /// How long a poll is held, 5 to 90 seconds.
    pub poll_seconds: u32,
    /// The back end that is told of clients and what they invoke, if any.
    pub upstream: Option<Upstream>,
}

/// A back end that is told by requests of the hub's own.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Upstream {
    /// Where, with `{hub}`, `{category}` and `{event}` for what it is about.
    pub url: String,
    /// The service whose access keys sign the requests.
    pub service: ServiceId,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A query is where back ends of Azure's have a key.
        let url = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("Upstream")
            .field("url", &url)
            .field("service", &self.service)
            .finish()
    }
}

/// What becomes of an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// It is kept as an event of the device, and answered once that is on the disk.
    #[default]
    Event,
    /// The back end is asked, and its answer is the result.
    Upstream,
    /// It is refused.
    Refuse,
}

/// What becomes of a client that does not take what it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlowClients {
    /// It is disconnected, and finds out what it has missed when it comes back.
    #[default]
    Disconnect,
    /// It misses the oldest of the messages that nobody waits for an answer to.
    DropOldest,
}

/// Everything about SignalR as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    hubs: Vec<WrittenHub>,
}

/// A hub as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenHub {
    name: String,
    path: Option<String>,
    #[serde(default)]
    methods: BTreeMap<String, Method>,
    #[serde(default)]
    slow_clients: SlowClients,
    connections: Option<u32>,
    message_bytes: Option<u32>,
    waiting: Option<u32>,
    waiting_kibibytes: Option<u32>,
    poll_seconds: Option<u32>,
    upstream: Option<Upstream>,
}

impl Written {
    /// Fills in the defaults and checks the ranges.
    pub(super) fn checked(self) -> Result<Vec<SignalRHub>, ConfigError> {
        if self.hubs.len() > MAX_SIGNALR_HUBS {
            return value("signalr.hubs", format!("at most {MAX_SIGNALR_HUBS}"));
        }
        let hubs: Vec<_> = self.hubs.into_iter().map(WrittenHub::checked).collect();
        let hubs = hubs.into_iter().collect::<Result<Vec<_>, _>>()?;
        let names: BTreeSet<_> = hubs.iter().map(|hub| &hub.name).collect();
        if names.len() < hubs.len() {
            return value("signalr.hubs.name", "another for each, in whatever letters");
        }
        let paths: Vec<_> = hubs.iter().filter_map(|hub| hub.path.as_ref()).collect();
        let clash = paths.iter().enumerate().any(|(at, one)| {
            let others = paths.iter().enumerate().filter(|(other, _)| *other != at);
            others.into_iter().any(|(_, other)| is_below(one, other))
        });
        if clash {
            return value("signalr.hubs.path", "one that no other's begins with");
        }
        Ok(hubs)
    }
}

impl WrittenHub {
    fn checked(self) -> Result<SignalRHub, ConfigError> {
        let name = self.name.to_lowercase();
        let good = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.len() <= MAX_NAME
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !good {
            let right = format!("at most {MAX_NAME} letters, digits and _, a letter first");
            return value("signalr.hubs.name", right);
        }
        if self.methods.len() > MAX_METHODS {
            return value("signalr.hubs.methods", format!("at most {MAX_METHODS}"));
        }
        let methods = self.methods.into_iter();
        let mut methods: BTreeMap<_, _> = methods
            .map(|(target, method)| (target.to_lowercase(), method))
            .collect();
        let others = methods.remove(OTHERS).unwrap_or_default();
        let is_asked = |method: &Method| *method == Method::Upstream;
        let asked = is_asked(&others) || methods.values().any(is_asked);
        match &self.upstream {
            None if asked => return value("signalr.hubs.upstream", "who is asked, or no method"),
            Some(upstream) if !is_address(&upstream.url) => {
                let right = "one like https://back.example/{hub}/{category}/{event}";
                return value("signalr.hubs.upstream.url", right);
            }
            Some(_) | None => {}
        }
        let number = |key, given, default, least, most| within(key, given, default, least..=most);
        Ok(SignalRHub {
            name,
            path: self.path.map(hub_path).transpose()?,
            others,
            upstream: self.upstream,
            methods,
            slow_clients: self.slow_clients,
            connections: number(
                "signalr.hubs.connections",
                self.connections,
                20_000,
                1,
                1_000_000,
            )?,
            message_bytes: number(
                "signalr.hubs.message-bytes",
                self.message_bytes,
                32 * 1024,
                1_024,
                1_024 * 1_024,
            )?,
            waiting: number("signalr.hubs.waiting", self.waiting, 1_000, 16, 100_000)?,
            waiting_kibibytes: number(
                "signalr.hubs.waiting-kibibytes",
                self.waiting_kibibytes,
                1_024,
                16,
                65_536,
            )?,
            poll_seconds: number("signalr.hubs.poll-seconds", self.poll_seconds, 90, 5, 90)?,
        })
    }
}

/// Whether a template is the address of a host: what is filled in may only follow it.
fn is_address(template: &str) -> bool {
    let filled = ["{hub}", "{category}", "{event}"];
    let plain = filled
        .iter()
        .fold(template.to_owned(), |text, name| text.replace(name, "x"));
    let uri: Result<http::Uri, _> = plain.parse();
    let scheme = template.starts_with("https://") || template.starts_with("http://");
    let host = template.split('/').nth(2).unwrap_or_default();
    scheme && !host.is_empty() && !host.contains(['{', '@']) && uri.is_ok()
}

/// Whether a path is another or below it.
pub(super) fn is_below(other: &str, path: &str) -> bool {
    let rest = path.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn hub_path(text: String) -> Result<String, ConfigError> {
    path("signalr.hubs.path", text)
}

/// A path at which nothing else is served, for that key.
pub(super) fn path(key: &'static str, path: String) -> Result<String, ConfigError> {
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let plain = |step: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        !step.is_empty() && step.bytes().all(allowed)
    };
    let first = steps.first().copied().unwrap_or_default();
    if !path.starts_with('/') || path.len() > MAX_NAME || !steps.iter().all(plain) {
        let right = "one like /devices, of letters, digits, _ and - between slashes";
        return value(key, right);
    }
    if TAKEN.contains(&first) || steps.last().is_some_and(|last| *last == "negotiate") {
        let right = format!("one that ends otherwise than in /negotiate, not below {TAKEN:?}");
        return value(key, right);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};

    fn read(text: &str) -> Result<Vec<SignalRHub>, ConfigError> {
        Config::new(text, Overrides::default()).map(|config| config.signalr)
    }

    #[test]
    fn no_hub_is_served_unless_it_is_named_and_names_and_targets_know_no_capitals() {
        assert!(read("").unwrap().is_empty());
        let text = "
            [[signalr.hubs]]
            name = 'Pos'
            path = '/devices'
            methods = { Spy = 'refuse' }
            [[signalr.hubs]]
            name = 'other'
            methods = { '*' = 'refuse', 'sale/closed' = 'event' }
        ";
        let hubs = read(text).unwrap();
        assert_eq!(hubs[0].name, "pos");
        assert_eq!(hubs[0].methods["spy"], Method::Refuse);
        assert_eq!(hubs[0].others, Method::Event);
        assert_eq!(hubs[1].others, Method::Refuse);
        assert_eq!(hubs[1].methods.len(), 1);
    }

    #[test]
    fn names_and_paths_that_cannot_be_told_apart_are_refused_as_are_those_of_others() {
        let hub = |name: &str, path: &str| {
            format!("[[signalr.hubs]]\nname = '{name}'\npath = '{path}'\n")
        };
        for text in [
            hub("1pos", "/a"),
            hub("", "/a"),
            hub("a b", "/a"),
            hub("a", "a"),
            hub("a", "/"),
            hub("a", "/api/hubs"),
            hub("a", "/mqtt"),
            hub("a", "/device/hub"),
            hub("a", "/{x}"),
            hub("a", "/a/negotiate"),
            hub("a", "/a/"),
            hub("a", "/a") + &hub("A", "/b"),
            hub("a", "/a") + &hub("b", "/a"),
            hub("a", "/a/b") + &hub("b", "/a"),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
        assert!(read(&(hub("a", "/a") + &hub("b", "/ab"))).is_ok());
    }

    #[test]
    fn an_upstream_is_an_address_that_begins_with_its_host() {
        let hub = |url: &str| {
            format!(
                "[[signalr.hubs]]\nname = 'a'\nmethods = {{ '*' = 'upstream' }}\n\
                 upstream = {{ url = '{url}', service = 'vendor' }}\n"
            )
        };
        assert!(read(&hub("https://back.example:1/{hub}?code=1")).is_ok());
        for url in [
            "",
            "back.example",
            "ftp://a/",
            "https://",
            "https://{hub}/",
            "https://a@b/",
        ] {
            assert!(read(&hub(url)).is_err(), "{url}");
        }
        let nobody = "[[signalr.hubs]]\nname = 'a'\nmethods = { '*' = 'upstream' }\n";
        assert!(read(nobody).is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        let text = "[[signalr.hubs]]\nname = 'a'\npoll-seconds = 1\n";
        let refused = read(text).unwrap_err().to_string();
        assert_eq!(refused, "signalr.hubs.poll-seconds: 5 to 90");
    }
}
