//! The hub's configuration: a TOML file, its defaults, and what the command line overrides.

mod aws;
mod azure;
mod browsers;
pub(crate) mod changed;
mod depot;
mod device_logs;
mod echo;
mod file;
mod files;
mod firebase;
pub(crate) mod live;
mod mqtt;
mod push;
mod rates;
mod signalr;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use aws::Aws;
pub use azure::{Azure, Provisioning};
pub use depot::{Elsewhere, Speaks};
pub use device_logs::{DeviceLogs, Forward};
pub use echo::{Echo, MAX_RTP_PORTS, SignalRChecks};
pub use file::{Acme, Carries, LogFormat, Policy};
pub use files::Files;
pub use firebase::Firebase;
pub use live::{Live, LiveUpstream};
pub use mqtt::MqttLimits;
pub(crate) use push::may_be_sent_to as token_may_be_sent_to;
pub use push::{Fcm, Push, Reminders};
pub use rates::DeviceRates;
pub use signalr::{MAX_SIGNALR_HUBS, Method, SignalRHub, SlowClients, Upstream};

/// The port that is listened on when nothing else is said.
pub const DEFAULT_PORT: u16 = 8443;

/// The most bytes of a configuration file.
pub const MAX_FILE: usize = 256 * 1024;

/// The most listeners.
pub const MAX_LISTENERS: usize = 32;

/// The most topic policies.
pub const MAX_POLICIES: usize = 256;

/// A configuration, complete and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything lies.
    pub data: PathBuf,
    /// Where clients are sent when this hub goes down: `host:port` (MQTT 5, section 4.11).
    pub server_reference: Option<String>,
    /// Where it listens, at least one.
    pub listen: Vec<Listen>,
    /// Where its own certificate comes from.
    pub certificate: CertificateFrom,
    /// The names its certificate is for, beside those of this machine.
    pub names: Vec<String>,
    /// The most connections at a time, 1 to 1,000,000.
    pub connections: u32,
    /// The most connections at a time from one source (an IPv4 address, or an IPv6 /64).
    pub connections_a_source: u32,
    /// How often one device may do what.
    pub rates: DeviceRates,
    /// How long events are kept.
    pub keep_events: Duration,
    /// How many bytes of events are kept.
    pub keep_event_bytes: u64,
    /// What becomes of what devices log.
    pub device_logs: DeviceLogs,
    /// What becomes of the files of devices.
    pub files: Files,
    /// Which pages in browsers may ask what devices ask: their origins, as browsers write them.
    pub origins: BTreeSet<String>,
    /// Topic policies by name, beside the built-in `own-subtree`.
    pub policies: BTreeMap<String, Policy>,
    /// What MQTT clients may do, in numbers.
    pub mqtt: MqttLimits,
    /// How the log looks.
    pub log_format: LogFormat,
    /// What is logged, as `info,outgate_hub=debug`.
    pub log_filter: String,
    /// Who may read the metrics without a token.
    pub metrics_open_to: Vec<IpNet>,
    /// Where traces go, if anywhere.
    pub traces: Option<Traces>,
    /// Where webhooks may go without TLS.
    pub plain_webhooks_to: Vec<IpNet>,
    /// What receivers of webhooks are trusted by, beside public authorities: a file in PEM.
    pub webhook_authority: Option<PathBuf>,
    /// Where SIP, RTP and SignalR are answered to whoever checks the way, if anywhere.
    pub echo: Echo,
    /// The SignalR hubs that are served.
    pub signalr: Vec<SignalRHub>,
    /// Whether and how Firebase's Realtime Database is served.
    pub firebase: Firebase,
    /// What devices may look up.
    pub live: Live,
    /// How devices are reached by push, if at all.
    pub push: Option<Push>,
    /// How programs are served that were written for Azure IoT Hub.
    pub azure: Azure,
    /// How programs are served that were written for AWS IoT Core.
    pub aws: Aws,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// What is spoken there.
    pub carries: Carries,
    /// Whether over TLS. Without only by configuration, for a network that is trusted.
    pub tls: bool,
    /// Which networks' PROXY protocol headers (version 2) are believed, and demanded.
    pub proxy_protocol_from: Vec<IpNet>,
}

/// Where the server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFrom {
    /// An authority of the hub's own, made on the spot.
    OwnAuthority,
    /// Files in PEM.
    Files {
        /// The chain, the server's first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// An authority that speaks ACME.
    Acme(Acme),
}

/// Where traces go, by OTLP over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// The collector's address, to which `/v1/traces` is added.
    pub endpoint: String,
    /// How many of them, 0 to 1.
    pub share: f64,
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen`; takes the place of all listeners of the file.
    pub listen: Vec<SocketAddr>,
}

/// Why a configuration is none.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not TOML, or has a key or value that it may not have.
    #[error("the configuration is not understood")]
    Syntax(#[source] Box<toml::de::Error>),
    /// A value that is not what it must be.
    #[error("{key}: {why}")]
    Value {
        /// Which.
        key: &'static str,
        /// What would be right.
        why: String,
    },
}

/// Where realtime hubs are served, by the keys that say so.
fn realtime<'a>(
    hubs: &'a [SignalRHub],
    echo: &'a Echo,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let hubs = hubs.iter().filter_map(|hub| hub.path.as_deref());
    let checks = echo.signalr.iter().map(|checks| checks.path.as_str());
    let hubs = hubs.map(|path| ("signalr.hubs.path", path));
    hubs.chain(checks.map(|path| ("echo.signalr", path)))
}

impl Config {
    /// Puts together what the file says (empty for none), what the command line overrides, and
    /// defaults.
    ///
    /// # Errors
    /// [`ConfigError`], which says what would be right.
    pub fn new(text: &str, overrides: Overrides) -> Result<Self, ConfigError> {
        let file: file::File =
            toml::from_str(text).map_err(|error| ConfigError::Syntax(Box::new(error)))?;
        let certificate = certificate(&file.tls)?;
        let listen = listeners(file.listen, overrides.listen)?;
        if file.mqtt.policies.len() > MAX_POLICIES {
            return value("mqtt.policies", format!("at most {MAX_POLICIES}"));
        }
        let days = within("events.keep-days", file.events.keep_days, 30, 1..=36_500)?;
        let mebibytes = file.events.keep_mebibytes.unwrap_or(10 * 1024);
        if !(16..=1_048_576).contains(&mebibytes) {
            return value("events.keep-mebibytes", "16 to 1,048,576");
        }
        let log_filter = file.logs.filter.unwrap_or_else(|| "info".to_owned());
        crate::logs::filter(&log_filter)?;
        let signalr = file.signalr.checked()?;
        let echo = file.echo.checked(&signalr)?;
        let aws = file.aws.checked(&file.mqtt.policies)?;
        let azure = file.azure.checked()?;
        azure.check_paths(realtime(&signalr, &echo))?;
        Ok(Self {
            data: overrides.data.or(file.data).unwrap_or_else(default_data),
            server_reference: file.server_reference,
            listen,
            certificate,
            names: file.tls.names,
            connections: within(
                "limits.connections",
                file.limits.connections,
                20_000,
                1..=1_000_000,
            )?,
            connections_a_source: within(
                "limits.connections-a-source",
                file.limits.connections_a_source,
                // A whole site comes from one address.
                2_000,
                1..=1_000_000,
            )?,
            rates: DeviceRates::new(&file.limits)?,
            keep_events: Duration::from_secs(u64::from(days) * 86_400),
            keep_event_bytes: mebibytes * 1024 * 1024,
            device_logs: file.device_logs.checked()?,
            files: file.files.checked()?,
            origins: file.browsers.checked()?,
            mqtt: file.mqtt.limits.checked()?,
            policies: file.mqtt.policies,
            log_format: file.logs.format,
            log_filter,
            metrics_open_to: file.metrics.open_to.unwrap_or_else(loopback),
            traces: traces(file.traces)?,
            plain_webhooks_to: file.webhooks.plain_http_to,
            webhook_authority: file.webhooks.authority,
            echo,
            signalr,
            firebase: file.firebase.checked()?,
            live: file.live.checked()?,
            push: file.push.checked()?,
            aws,
            azure,
        })
    }

    /// How devices that are away are told that commands wait for them, if at all.
    pub(crate) fn reminders(&self) -> Option<&Reminders> {
        self.push.as_ref()?.reminders.as_ref()
    }
}

fn certificate(tls: &file::Tls) -> Result<CertificateFrom, ConfigError> {
    match (&tls.certificate, &tls.key, &tls.acme) {
        (None, None, None) => Ok(CertificateFrom::OwnAuthority),
        (Some(certificate), Some(key), None) => Ok(CertificateFrom::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        (None, None, Some(_)) if tls.names.is_empty() => {
            value("tls.names", "the names to ask the ACME authority for")
        }
        (None, None, Some(acme)) if !acme.terms_agreed => value(
            "tls.acme.terms-agreed",
            "true, once you have read the authority's terms of service",
        ),
        (None, None, Some(acme)) => Ok(CertificateFrom::Acme(acme.clone())),
        (Some(_), Some(_), Some(_)) => value("tls", "either files or acme, not both"),
        _ => value("tls", "both certificate and key, and no acme"),
    }
}

fn traces(file: file::Traces) -> Result<Option<Traces>, ConfigError> {
    let share = file.share.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&share) {
        return value("traces.share", "0 to 1");
    }
    let Some(endpoint) = file.endpoint else {
        return Ok(None);
    };
    if !is_collector(&endpoint) {
        return value("traces.endpoint", "an address like http://collector:4318");
    }
    Ok(Some(Traces { endpoint, share }))
}

/// Whether a collector may be there: an address without a login, below which paths are added.
fn is_collector(endpoint: &str) -> bool {
    endpoint.parse::<http::Uri>().is_ok_and(|uri| {
        let named = |authority: &http::uri::Authority| {
            !authority.host().is_empty() && !authority.as_str().contains('@')
        };
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(named)
            && uri.query().is_none()
    })
}

fn listeners(
    file: Vec<file::Listen>,
    overrides: Vec<SocketAddr>,
) -> Result<Vec<Listen>, ConfigError> {
    let plain = |address| Listen {
        address,
        carries: Carries::All,
        tls: true,
        proxy_protocol_from: Vec::new(),
    };
    let listen: Vec<Listen> = if !overrides.is_empty() {
        overrides.into_iter().map(plain).collect()
    } else if file.is_empty() {
        vec![plain(SocketAddr::new(
            Ipv6Addr::UNSPECIFIED.into(),
            DEFAULT_PORT,
        ))]
    } else {
        let read = file.into_iter().map(|listen| Listen {
            address: listen.address,
            carries: listen.carries,
            tls: listen.tls,
            proxy_protocol_from: listen.proxy_protocol_from,
        });
        read.collect()
    };
    if listen.len() > MAX_LISTENERS {
        return value("listen", format!("at most {MAX_LISTENERS}"));
    }
    Ok(listen)
}

/// The folder that is used when nothing else is said: systemd's, or one in the user's own.
fn default_data() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(state) = named("STATE_DIRECTORY") {
        return PathBuf::from(state);
    }
    let state = named("XDG_STATE_HOME").map(PathBuf::from);
    let state =
        state.or_else(|| named("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    state.map_or_else(
        || PathBuf::from("outgate-hub"),
        |state| state.join("outgate/hub"),
    )
}

fn loopback() -> Vec<IpNet> {
    vec![
        IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ]
}

fn within(
    key: &'static str,
    given: Option<u32>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, ConfigError> {
    let given = given.unwrap_or(default);
    if range.contains(&given) {
        return Ok(given);
    }
    value(key, format!("{} to {}", range.start(), range.end()))
}

fn value<T>(key: &'static str, why: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value {
        key,
        why: why.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gives_defaults() {
        let config = Config::new("", Overrides::default()).unwrap();
        assert_eq!(config.listen[0].address.port(), DEFAULT_PORT);
        assert!(config.listen[0].tls);
        assert!(matches!(config.certificate, CertificateFrom::OwnAuthority));
    }

    #[test]
    fn the_command_line_takes_the_place_of_the_file() {
        let text = "data = '/a'\n[[listen]]\naddress = '[::1]:1'\n";
        let overrides = Overrides {
            data: Some("/b".into()),
            listen: vec!["127.0.0.1:2".parse().unwrap()],
        };
        let config = Config::new(text, overrides).unwrap();
        assert_eq!(config.data, PathBuf::from("/b"));
        assert_eq!(config.listen.len(), 1);
        assert_eq!(config.listen[0].address.port(), 2);
    }

    #[test]
    fn a_misspelt_key_is_refused_and_named() {
        let error = Config::new("[limits]\nconections = 3\n", Overrides::default()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("conections"), "{source}");
    }

    #[test]
    fn half_a_certificate_is_refused() {
        for text in [
            "[tls]\ncertificate = 'a'\n",
            "[tls]\nkey = 'a'\n",
            "[tls]\ncertificate = 'a'\nkey = 'b'\n[tls.acme]\ndirectory = 'https://a'\n",
            "[tls]\nnames = ['a']\n[tls.acme]\ndirectory = 'https://a'\n",
            "[tls.acme]\ndirectory = 'https://a'\nterms-agreed = true\n",
        ] {
            assert!(Config::new(text, Overrides::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_filter_of_the_log_that_is_none_is_refused_with_an_example() {
        let text = "[logs]\nfilter = 'a=b=c'\n";
        let error = Config::new(text, Overrides::default()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("info,outgate_hub=debug"), "{error}");
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_the_range() {
        for (text, said) in [
            (
                "[limits]\nconnections = 0\n",
                "limits.connections: 1 to 1000000",
            ),
            (
                "[limits]\nreports-a-second = 0\n",
                "limits.reports-a-second: 1 to 1000000",
            ),
            (
                "[mqtt.limits]\nin-flight = 65536\n",
                "mqtt.limits.in-flight: 1 to 65535",
            ),
            (
                "[mqtt.limits]\npacket-bytes = 20\n",
                "mqtt.limits.packet-bytes: 1024 to 16777216",
            ),
            (
                "[files]\nfile-mebibytes = 0\n",
                "files.file-mebibytes: 1 to 1,048,576",
            ),
            (
                "[files]\ndevice-mebibytes = 1023\n",
                "files.device-mebibytes: no less than files.file-mebibytes",
            ),
        ] {
            let error = Config::new(text, Overrides::default()).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
