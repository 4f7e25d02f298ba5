//! From a connection to a proxy to a connection through it.

use std::net::IpAddr;

use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use outgate_wire::challenge;
use tokio::{task::JoinHandle, time::Instant};
use tokio_socks::tcp::Socks5Stream;

use super::BoxedStream;
use crate::{
    ask::Host,
    evidence::{PhaseName, ProxyEvidence, ResolvedBy, Trouble},
    http::{HEAD_MAX, HEADERS_MAX, USER_AGENT, stop_of},
    path::Proxy,
    run::Stop,
};

/// What SOCKS calls its only login (RFC 1929), in the place of an HTTP scheme.
const SOCKS_LOGIN: &str = "user name and password";

/// A proxy, and where it is asked to lead.
#[derive(Debug, Clone)]
pub(crate) struct Through {
    pub(crate) proxy: Proxy,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Whether host and port are those of a detour: then they stand in no URL.
    pub(crate) detoured: bool,
}

/// What came of asking a proxy.
pub(crate) struct Asked {
    pub(crate) status: Option<u16>,
    pub(crate) schemes: Vec<String>,
    pub(crate) result: Result<BoxedStream, Stop>,
}

impl Asked {
    fn failed(stop: Stop) -> Self {
        Self {
            status: None,
            schemes: Vec::new(),
            result: Err(stop),
        }
    }
}

impl Through {
    /// Whether a plain HTTP request is handed to the proxy as it is: curl does so except on a
    /// detour, which a URL cannot tell.
    pub(crate) fn forwards_http(&self) -> bool {
        self.proxy.kind().is_http() && !self.detoured
    }

    /// The far end's address, where it is known here.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Address(address) => Some(*address),
            Host::Name(_) | Host::SystemResolvers | Host::TimeServers | Host::Role(_) => None,
        }
    }

    pub(crate) fn evidence(&self, was_name: bool) -> ProxyEvidence {
        ProxyEvidence {
            proxy: self.proxy.to_string(),
            target: self.target(),
            resolved_by: match (self.address(), was_name) {
                (None, _) => ResolvedBy::Proxy,
                (Some(_), true) => ResolvedBy::Here,
                (Some(_), false) => ResolvedBy::Nobody,
            },
            status: None,
            schemes: Vec::new(),
            login_given: self.proxy.login().is_some(),
        }
    }

    fn target(&self) -> String {
        let port = self.port;
        match &self.host {
            Host::Name(name) => format!("{}:{port}", name.trim_end_matches('.')),
            Host::Address(IpAddr::V6(v6)) => format!("[{v6}]:{port}"),
            Host::Address(IpAddr::V4(v4)) => format!("{v4}:{port}"),
            Host::SystemResolvers | Host::TimeServers | Host::Role(_) => {
                format!("{}:{port}", self.host)
            }
        }
    }

    /// Asks the proxy at the other end of this connection to lead on.
    pub(crate) async fn ask(&self, stream: BoxedStream) -> Asked {
        if self.proxy.kind().is_http() {
            self.connect(stream).await
        } else {
            self.socks(stream).await
        }
    }

    /// RFC 9110 §9.3.6. The head of the answer has the bounds of every other.
    async fn connect(&self, stream: BoxedStream) -> Asked {
        let start = Instant::now();
        let broken = |error| Asked::failed(broken(stop_of(&error, PhaseName::Proxy, start)));
        let mut request = Request::connect(self.target())
            .header(header::HOST, self.target())
            .header(header::USER_AGENT, USER_AGENT);
        if let Some(login) = self.proxy.login() {
            request = request.header(header::PROXY_AUTHORIZATION, login.basic());
        }
        let request = match request.body(Empty::<Bytes>::new()) {
            Ok(request) => request,
            Err(error) => {
                let what = error.to_string();
                return Asked::failed(Trouble::BadAsk { what }.into());
            }
        };
        let handshake = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await;
        let (mut sender, connection) = match handshake {
            Ok(both) => both,
            Err(error) => return broken(error),
        };
        let _driver = Driver(tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        }));
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(error) => return broken(error),
        };
        let status = response.status();
        let schemes = schemes(response.headers());
        let result = if status.is_success() {
            match hyper::upgrade::on(response).await {
                Ok(upgraded) => Ok(Box::new(TokioIo::new(upgraded)) as BoxedStream),
                Err(error) => return broken(error),
            }
        } else {
            Err(self.refusal(status, &schemes).into())
        };
        Asked {
            status: Some(status.as_u16()),
            schemes,
            result,
        }
    }

    /// What it means that a proxy does not lead on.
    fn refusal(&self, status: StatusCode, schemes: &[String]) -> Trouble {
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return self.wants_login(schemes.to_vec());
        }
        let answer = format!("HTTP status {}", status.as_u16());
        if status.is_server_error() {
            Trouble::ProxyCannotReach { answer }
        } else {
            Trouble::ProxyForbids { answer }
        }
    }

    /// That the proxy wants to know who is there.
    pub(crate) fn wants_login(&self, schemes: Vec<String>) -> Trouble {
        Trouble::ProxyLogin {
            schemes,
            given: self.proxy.login().is_some(),
        }
    }

    /// RFC 1928, RFC 1929. Every answer has a fixed bound below 300 bytes.
    async fn socks(&self, stream: BoxedStream) -> Asked {
        let host = self.host.to_string();
        let target = (host.trim_end_matches('.'), self.port);
        let start = Instant::now();
        let connected = match self.proxy.login() {
            None => Socks5Stream::connect_with_socket(stream, target).await,
            Some(login) => {
                let (user, password) = (login.user(), login.password());
                Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
            }
        };
        match connected {
            Ok(stream) => Asked {
                status: None,
                schemes: Vec::new(),
                result: Ok(Box::new(stream.into_inner())),
            },
            Err(error) => {
                let trouble = self.socks_trouble(&error, start);
                let schemes = if let Trouble::ProxyLogin { schemes, .. } = &trouble {
                    schemes.clone()
                } else {
                    Vec::new()
                };
                Asked {
                    schemes,
                    ..Asked::failed(trouble.into())
                }
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest are answers that break the protocol"
    )]
    fn socks_trouble(&self, error: &tokio_socks::Error, since: Instant) -> Trouble {
        use tokio_socks::Error as E;

        let answer = error.to_string();
        match error {
            E::NoAcceptableAuthMethods | E::PasswordAuthFailure(_) | E::AuthorizationRequired => {
                self.wants_login(vec![SOCKS_LOGIN.to_owned()])
            }
            E::ConnectionNotAllowedByRuleset => Trouble::ProxyForbids { answer },
            E::GeneralSocksServerFailure
            | E::NetworkUnreachable
            | E::HostUnreachable
            | E::ConnectionRefused
            | E::TtlExpired
            | E::ProxyServerUnreachable => Trouble::ProxyCannotReach { answer },
            E::Io(error) => broken(Stop::io(error, PhaseName::Proxy, since)).trouble,
            _ => Trouble::ProxyBroken { what: answer },
        }
    }
}

/// Drives a connection in the background until it has been handed over or is dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The schemes that an answer asks for.
pub(crate) fn schemes(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::PROXY_AUTHENTICATE);
    challenge::schemes(values.iter().map(|value| value.as_bytes()))
}

/// A proxy that does not answer as one. Silence is told apart: whatever is behind it may be
/// silent, too.
fn broken(stop: Stop) -> Stop {
    let others = matches!(
        stop.trouble,
        Trouble::TimedOut { .. } | Trouble::Local { .. }
    );
    if others {
        return stop;
    }
    let what = stop.trouble.to_string();
    Trouble::ProxyBroken { what }.into()
}
