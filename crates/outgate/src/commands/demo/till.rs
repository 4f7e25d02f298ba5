//! An Open POS till of a demo: its realtime connection, and what it asks for over plain HTTPS.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use outgate_check::Plan;
use outgate_client::Token;
use outgate_probe::Host;
use outgate_signalr_client::connect::{Authority, Connect, Stream};
use outgate_signalr_client::{self as signalr, Client, Policy, Protocol, Transport};
use outgate_standin::Authority as Issuer;
use reqwest::{Method, RequestBuilder, Response};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::stage::asks;

/// The path of the hub's realtime.
const REALTIME: &str = "/devices";

/// The most that waits to be looked at of what the hub has said.
const HEARD: usize = 16;

/// The price that the till knows, in öre.
const PRICE: u32 = 2_500;

/// What the till asks, by the names that stand in the profile.
#[derive(Clone)]
pub(super) struct Names {
    /// Realtime, and everything that is the till's own.
    pub(super) devices: String,
    /// Where logs go.
    pub(super) logs: String,
    /// Where assets come from.
    pub(super) assets: String,
    /// Where the Realtime Database is.
    pub(super) database: String,
}

impl Names {
    /// Those that a check of the profile asks as well.
    pub(super) fn of(plan: &Plan) -> anyhow::Result<Self> {
        let name = |flow: &str| {
            let asked = asks(plan).into_iter().find_map(|(lane, ask)| {
                let Host::Name(name) = &ask.host else {
                    return None;
                };
                (lane.flow.to_string() == flow).then(|| name.clone())
            });
            asked.with_context(|| format!("the profile's flow {flow} leads to no name"))
        };
        Ok(Self {
            devices: name("realtime")?,
            logs: name("logs")?,
            assets: name("assets")?,
            database: name("firebase-data")?,
        })
    }

    fn all(&self) -> BTreeSet<&str> {
        let all = [&self.devices, &self.logs, &self.assets, &self.database];
        all.into_iter().map(String::as_str).collect()
    }
}

/// What the hub has said to the till by itself.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// What it is wanted to be.
    Desired(u64, Value),
    /// What it is to print.
    Receipt(String),
}

/// The till.
#[derive(Clone)]
pub(super) struct Till {
    pub(super) names: Names,
    way: Way,
    http: reqwest::Client,
    token: Token,
}

/// A realtime connection of the till, and what comes over it.
pub(super) struct Realtime {
    pub(super) client: Client,
    pub(super) heard: mpsc::Receiver<Heard>,
}

impl Till {
    /// A till that has nothing but its token, and asks all names at `hub`.
    pub(super) fn new(
        names: Names,
        hub: SocketAddr,
        issuer: &Issuer,
        token: Token,
    ) -> anyhow::Result<Self> {
        let mut tls = trusting(issuer)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            // The hub is on this machine, whatever the environment says of proxies.
            .no_proxy();
        for name in names.all() {
            http = http.resolve(name, hub);
        }
        Ok(Self {
            http: http.build()?,
            way: Way {
                hub,
                tls: TlsConnector::from(Arc::new(tls)),
            },
            names,
            token,
        })
    }

    /// The same till with another token.
    pub(super) fn with_token(&self, token: Token) -> Self {
        Self {
            token,
            ..self.clone()
        }
    }

    /// Connects, over the first of `transports` that works.
    pub(super) async fn connect(&self, transports: &[Transport]) -> anyhow::Result<Realtime> {
        let url = format!("https://{}{REALTIME}", self.names.devices);
        let client = Client::builder(&url)
            .connect(self.way.clone())
            .token(signalr::Token::new(self.token.expose().to_owned()))
            .transports(transports)
            .protocol(Protocol::Json)
            .retry(Policy::DEVICE)
            .build()?;
        let heard = listen(&client);
        client.start().await?;
        Ok(Realtime { client, heard })
    }

    /// A request as the till makes it.
    pub(super) fn ask(&self, method: Method, host: &str, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("https://{host}{path}"));
        request.bearer_auth(self.token.expose())
    }

    /// Logs a line by OTLP.
    pub(super) async fn log(&self, line: &str) -> anyhow::Result<Response> {
        let record = json!({ "severityNumber": 13, "severityText": "WARN",
            "body": { "stringValue": line } });
        let scope = json!({ "scope": { "name": "till" }, "logRecords": [record] });
        let body = json!({ "resourceLogs": [{ "scopeLogs": [scope] }] });
        let request = self.ask(Method::POST, &self.names.logs, "/v1/logs");
        Ok(request.json(&body).send().await?.error_for_status()?)
    }
}

/// What the till does when the hub calls.
fn listen(client: &Client) -> mpsc::Receiver<Heard> {
    let (tell, heard) = mpsc::channel(HEARD);
    let desired = tell.clone();
    client.on("Desired", move |(version, document): (u64, Value)| {
        let desired = desired.clone();
        async move {
            // Nobody listens any more: the day is over.
            let _ = desired.send(Heard::Desired(version, document)).await;
        }
    });
    client.answer("print/receipt", move |(text,): (String,)| {
        let tell = tell.clone();
        async move { tell.send(Heard::Receipt(text)).await.map(|()| true) }
    });
    client.answer("price", |(article,): (String,)| async move {
        if article == "coffee" {
            Ok(json!({ "article": article, "cents": PRICE }))
        } else {
            Err("there is no such article")
        }
    });
    heard
}

/// The way to the hub, whatever it is called.
#[derive(Clone)]
struct Way {
    hub: SocketAddr,
    tls: TlsConnector,
}

impl Connect for Way {
    fn connect<'a>(&'a self, to: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(self.hub).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(to.host.clone()).map_err(io::Error::other)?;
            let stream = self.tls.connect(name, stream).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// TLS that trusts the demo's authority and nobody else.
pub(super) fn trusting(issuer: &Issuer) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.certificate().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}
