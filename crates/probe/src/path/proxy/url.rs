//! A proxy's URL, read as curl reads it.

use std::{fmt, net::IpAddr, str::FromStr};

use super::login::{Login, LoginError};
use crate::{
    ask::Host,
    http::is_scheme,
    path::{HIDDEN, normalised},
};

/// The longest text that is read, in bytes.
const TEXT_MAX: usize = 2048;
/// The port of an HTTPS proxy that names none.
const HTTPS_PORT: u16 = 443;
/// The port of any other proxy that names none; so in curl, also for HTTP.
const USUAL_PORT: u16 = 1080;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// HTTP (RFC 9110 §9.3.6).
    Http,
    /// HTTP inside TLS.
    Https,
    /// SOCKS 5 (RFC 1928); names are resolved here.
    Socks5,
    /// SOCKS 5; names are resolved by the proxy.
    Socks5h,
}

impl ProxyKind {
    const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Socks5, Self::Socks5h];

    const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// Whether the proxy is given names, and resolves them.
    pub(crate) const fn resolves(self) -> bool {
        match self {
            Self::Http | Self::Https | Self::Socks5h => true,
            Self::Socks5 => false,
        }
    }

    /// Whether it is spoken to in HTTP.
    pub(crate) const fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Https => true,
            Self::Socks5 | Self::Socks5h => false,
        }
    }
}

/// A proxy: how it is spoken to, where it is, and what it is told about who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: ProxyKind,
    host: Host,
    port: u16,
    login: Option<Login>,
}

impl Proxy {
    /// A proxy without a login.
    pub fn new(kind: ProxyKind, host: Host, port: u16) -> Self {
        Self {
            kind,
            host,
            port,
            login: None,
        }
    }

    /// The same proxy with this login.
    pub fn with_login(self, login: Login) -> Self {
        Self {
            login: Some(login),
            ..self
        }
    }

    /// Length at most of the request to lead to a host with a name of this length, in bytes; that of
    /// a TLS handshake with an HTTPS proxy included.
    pub(crate) fn request_at_most(&self, host: usize) -> usize {
        let login = self.login.as_ref();
        let login = login.map_or(0, |login| {
            40 + 2 * login.user().len() + 2 * login.password().len()
        });
        let tls = if self.kind == ProxyKind::Https {
            4096
        } else {
            0
        };
        200 + 2 * host + login + tls
    }

    pub(crate) fn kind(&self) -> ProxyKind {
        self.kind
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

/// The URL without the login.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.kind.scheme();
        match &self.host {
            Host::Address(IpAddr::V6(v6)) => write!(f, "{scheme}://[{v6}]:{}", self.port),
            host @ (Host::Name(_)
            | Host::Address(_)
            | Host::SystemResolvers
            | Host::TimeServers
            | Host::Role(_)) => {
                write!(f, "{scheme}://{host}:{}", self.port)
            }
        }
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    /// Reads `[SCHEME://][USER:PASSWORD@]HOST[:PORT]`, user name and password with `%` escapes.
    /// Without a scheme it is HTTP; without a port 443 for HTTPS, else 1080. A path is left out.
    fn from_str(text: &str) -> Result<Self, ProxyError> {
        if text.len() > TEXT_MAX {
            return Err(ProxyError::TooLong);
        }
        let (kind, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (kind(scheme)?, rest),
            None => (ProxyKind::Http, text),
        };
        let (rest, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if behind.contains('@') {
            return Err(ProxyError::Unescaped);
        }
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(read_login(login)?), place),
            None => (None, rest),
        };
        let (host, port) = read_place(place)?;
        let usual = if kind == ProxyKind::Https {
            HTTPS_PORT
        } else {
            USUAL_PORT
        };
        Ok(Self {
            kind,
            host,
            port: port.unwrap_or(usual),
            login,
        })
    }
}

/// Why a text names no proxy. It never repeats a login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Longer than 2,048 bytes.
    #[error("the proxy's URL is longer than {TEXT_MAX} bytes")]
    TooLong,
    /// A scheme that is not spoken.
    #[error(
        "`{scheme}` is no kind of proxy that is spoken here: use http, https, socks5 or socks5h"
    )]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// No host, or none that can be read.
    #[error("the proxy's URL names no host: expected [SCHEME://][USER:PASSWORD@]HOST[:PORT]")]
    Host,
    /// A port that is none.
    #[error("the proxy's port is not a number from 1 to 65535")]
    Port,
    /// Escapes that are none, or that make no UTF-8.
    #[error("the login in the proxy's URL has a `%` that begins no escape; write %25 for it")]
    Escape,
    /// A login that ends the host's part of the URL before the host is named.
    #[error(
        "the login in the proxy's URL holds a `/`, `?` or `#`; write %2F, %3F or %23 for it, or use \
         --proxy-login"
    )]
    Unescaped,
    /// A login that cannot be sent.
    #[error("the login in the proxy's URL cannot be used")]
    Login {
        /// Why.
        source: LoginError,
    },
}

fn kind(scheme: &str) -> Result<ProxyKind, ProxyError> {
    ProxyKind::ALL
        .into_iter()
        .find(|kind| kind.scheme().eq_ignore_ascii_case(scheme))
        .ok_or_else(|| ProxyError::Scheme {
            // What is no scheme may be a login whose password holds `://`.
            scheme: match is_scheme(scheme) {
                true => scheme.to_owned(),
                false => HIDDEN.to_owned(),
            },
        })
}

fn read_place(place: &str) -> Result<(Host, Option<u16>), ProxyError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or(ProxyError::Host)?;
            let address: IpAddr = address.parse().map_err(|_| ProxyError::Host)?;
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return Err(ProxyError::Host),
                port => port,
            };
            (Host::Address(address), port)
        }
        None => {
            let (host, port) = match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            };
            (read_host(host)?, port)
        }
    };
    let port = port.filter(|port| !port.is_empty()).map(|port| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let number = port.parse().ok().filter(|number| *number > 0 && digits);
        number.ok_or(ProxyError::Port)
    });
    Ok((host, port.transpose()?))
}

fn read_host(host: &str) -> Result<Host, ProxyError> {
    if let Ok(address) = host.parse() {
        return Ok(Host::Address(address));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(ProxyError::Host);
    }
    Ok(Host::Name(normalised(host)))
}

fn read_login(text: &str) -> Result<Login, ProxyError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (unescaped(user)?, unescaped(password)?);
    Login::new(&user, &password).map_err(|source| ProxyError::Login { source })
}

/// RFC 3986 §2.1.
fn unescaped(text: &str) -> Result<String, ProxyError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(ProxyError::Escape)?;
        let byte = u8::from_str_radix(digits, 16).map_err(|_| ProxyError::Escape)?;
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| ProxyError::Escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_as_curl_reads_it_and_shown_without_its_login() {
        for (text, shown) in [
            ("proxy.example", "http://proxy.example:1080"),
            ("http://proxy.example:3128/", "http://proxy.example:3128"),
            ("HTTPS://Proxy.example", "https://proxy.example:443"),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
            ("socks5h://[::1]:9050", "socks5h://[::1]:9050"),
            ("http://al%40ice:p%3a@w@proxy:8080", "http://proxy:8080"),
        ] {
            let proxy: Proxy = text.parse().unwrap();
            assert_eq!(proxy.to_string(), shown, "{text}");
        }
        let proxy: Proxy = "http://al%40ice:p%3a@w@proxy:8080".parse().unwrap();
        assert_eq!(proxy.login, Some(Login::new("al@ice", "p:@w").unwrap()));
        assert!(!format!("{proxy:?}").contains("al@ice"));
    }

    #[test]
    fn a_text_that_names_no_proxy_says_why_and_repeats_no_login() {
        let scheme = ProxyError::Scheme {
            scheme: "socks4".to_owned(),
        };
        for (text, error) in [
            ("socks4://proxy", scheme),
            ("", ProxyError::Host),
            ("http://", ProxyError::Host),
            ("http://pro xy", ProxyError::Host),
            ("http://[proxy]:1", ProxyError::Host),
            ("http://[::1]x", ProxyError::Host),
            ("http://proxy:0", ProxyError::Port),
            ("http://proxy:+1", ProxyError::Port),
            ("http://u:secret%zz@proxy", ProxyError::Escape),
            ("http://u:secret%@proxy", ProxyError::Escape),
            ("http://u:12/secret@proxy", ProxyError::Unescaped),
            ("u:12#secret@proxy", ProxyError::Unescaped),
            (
                "u:secret://@proxy",
                ProxyError::Scheme {
                    scheme: "…".to_owned(),
                },
            ),
        ] {
            let found = text.parse::<Proxy>().unwrap_err();
            assert!(!found.to_string().contains("secret"));
            assert_eq!(found, error, "{text}");
        }
    }
}
