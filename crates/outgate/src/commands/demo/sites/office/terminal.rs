//! A terminal of Capitech: what it has, and what it asks the three endpoints of its product.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outgate_azure::{device, provisioning, sas};
use outgate_mqtt::packet::ReasonCode;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use ring::hmac;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::beside::{Names, SCOPE};
use super::messages::{Carrier, Login, Messages};
use super::place::Place;
use super::{Stage, TERMINAL};
use crate::commands::demo::till::trusting;

/// How long its tokens last.
const TOKEN_LASTS: Duration = Duration::from_secs(3_600);

/// What it is called among those who speak MQTT as every device may, over WebSocket.
const READER: &str = "T7-reader";

/// What its diagnosis is asked, and what it answers.
pub(super) const QUESTION: &[u8] = b"status\n";
pub(super) const ANSWER: &[u8] = b"printer: no paper\n";

/// By what MQTT is carried.
#[derive(Clone, Copy)]
pub(super) enum By {
    Tls,
    WebSocket,
}

/// A key of the fleet.
pub(super) struct Fleet {
    pub(super) id: String,
    pub(super) key: Vec<u8>,
}

/// The terminal.
pub(super) struct Terminal {
    pub(super) names: Names,
    /// Its own key.
    pub(super) key: Vec<u8>,
    place: Place,
    hub: SocketAddr,
    tls: ClientConfig,
    http: reqwest::Client,
}

impl Terminal {
    /// One that stands in `place`, and finds all its endpoints at `hub`.
    pub(super) fn new(
        stage: &Stage<'_>,
        names: &Names,
        place: Place,
        hub: SocketAddr,
    ) -> anyhow::Result<Self> {
        let tls = trusting(stage.issuer)?;
        let mut over_http = tls.clone();
        over_http.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(over_http)
            // The hub is where the demo is, whatever the environment says of proxies.
            .no_proxy();
        for name in [&names.messages, &names.files, &names.lookups] {
            http = http.resolve(name, hub);
        }
        Ok(Self {
            names: names.clone(),
            key: Vec::new(),
            place,
            hub,
            tls,
            http: http.build()?,
        })
    }

    /// Asks the provisioning service by a key that is made of `group`; or is told why it may not.
    pub(super) async fn register(&self, group: &[u8]) -> anyhow::Result<Result<Value, ReasonCode>> {
        let key = provisioning::device_key(group, TERMINAL);
        let resource = format!("{SCOPE}/registrations/{TERMINAL}");
        let login = Login {
            client: TERMINAL,
            user: &format!("{resource}/api-version=2019-03-31&ClientVersion=outgate"),
            password: &sas::sign(&resource, soon()?, &key, None),
        };
        let carrier = Carrier::Tls(Box::new(self.dial().await?));
        let mut desk = match Messages::open(carrier, login).await? {
            Ok(desk) => desk,
            Err(reason) => return Ok(Err(reason)),
        };
        desk.subscribe(provisioning::ANSWERS).await?;
        let about = json!({ "registrationId": TERMINAL, "payload": { "model": "terminal" } });
        let register = "$dps/registrations/PUT/iotdps-register/?$rid=1";
        desk.publish(register, about.to_string()).await?;
        let begun: Value = serde_json::from_slice(&desk.take().await?.payload)?;
        let operation = begun["operationId"].as_str().context("no operation")?;
        let status = format!(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}"
        );
        desk.publish(&status, String::new()).await?;
        Ok(Ok(serde_json::from_slice(&desk.take().await?.payload)?))
    }

    /// Comes in for messages as Azure's devices do, by a token of `key`; or is told why it may not.
    pub(super) async fn connect(
        &self,
        key: &[u8],
        by: By,
    ) -> anyhow::Result<Result<Messages, ReasonCode>> {
        let hub = &self.names.messages;
        let login = Login {
            client: TERMINAL,
            user: &format!("{hub}/{TERMINAL}/?api-version=2021-04-12&DeviceClientType=outgate"),
            password: &sas::sign(&format!("{hub}/devices/{TERMINAL}"), soon()?, key, None),
        };
        let carrier = match by {
            By::Tls => Carrier::Tls(Box::new(self.dial().await?)),
            By::WebSocket => self.upgrade(device::WEBSOCKET).await?,
        };
        Messages::open(carrier, login).await
    }

    /// Has its card reader come in beside it, over a WebSocket, by the key itself.
    pub(super) async fn connect_reader(&self) -> anyhow::Result<Result<Messages, ReasonCode>> {
        let login = Login {
            client: READER,
            user: TERMINAL,
            password: &STANDARD.encode(&self.key),
        };
        Messages::open(self.upgrade("/mqtt").await?, login).await
    }

    /// A request to an endpoint, by its name.
    pub(super) fn request(&self, method: Method, name: &str, path: &str) -> RequestBuilder {
        self.http.request(method, format!("https://{name}{path}"))
    }

    /// Asks, and waits for the head of the answer.
    pub(super) async fn ask(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        Ok(self.begin(request)?.await??)
    }

    /// Begins to ask.
    pub(super) fn begin(
        &self,
        request: RequestBuilder,
    ) -> anyhow::Result<JoinHandle<reqwest::Result<Response>>> {
        self.place.begin(request.send())
    }

    /// Shows the fleet's key, the first of the two that a look-up needs.
    pub(super) async fn show_fleet_key(&self, fleet: &Fleet) -> anyhow::Result<Response> {
        let at = OffsetDateTime::now_utc().replace_nanosecond(0)?;
        let at = at.format(&Rfc3339)?;
        let proof = proof(&fleet.key, &["outgate-live-1", TERMINAL, &at]);
        let shown = json!({ "fleet_key": fleet.id, "device": TERMINAL, "at": at, "proof": proof });
        let request = self.request(Method::POST, &self.names.lookups, "/live/fleet");
        self.ask(request.json(&shown)).await
    }

    /// Shows both keys, and gives the token; or the status that it was told.
    pub(super) async fn come_in(
        &self,
        fleet: &Fleet,
    ) -> anyhow::Result<Result<String, StatusCode>> {
        let first = self.show_fleet_key(fleet).await?;
        ensure!(first.status() == StatusCode::OK, "{}", first.status());
        let first: Value = first.json().await?;
        let challenge = first["challenge"].as_str().context("no challenge")?;
        let proof = proof(&self.key, &["outgate-live-2", challenge]);
        let request = self.request(Method::POST, &self.names.lookups, "/live/token");
        let shown = json!({ "challenge": challenge, "proof": proof });
        let second = self.ask(request.json(&shown)).await?;
        if second.status() != StatusCode::OK {
            return Ok(Err(second.status()));
        }
        let second: Value = second.json().await?;
        let token = second["token"].as_str().context("no token")?;
        Ok(Ok(token.to_owned()))
    }

    /// Answers one question of whoever is let to it, and tells where.
    pub(super) async fn serve_diagnosis(&self) -> anyhow::Result<SocketAddr> {
        let serving = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await?;
                let mut question = vec![0; QUESTION.len()];
                stream.read_exact(&mut question).await?;
                if question == QUESTION {
                    stream.write_all(ANSWER).await?;
                }
                // Until the other side has gone.
                stream.read_exact(&mut [0]).await
            });
            std::io::Result::Ok(address)
        };
        Ok(self.place.there(serving).await??)
    }

    /// A look-up.
    pub(super) fn look_up(&self, token: &str, what: &str) -> RequestBuilder {
        let path = format!("/live/{what}");
        let request = self.request(Method::GET, &self.names.lookups, &path);
        request.bearer_auth(token)
    }

    async fn dial(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let stream = self.place.there(TcpStream::connect(self.hub)).await??;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.names.messages.clone())?;
        let tls = TlsConnector::from(Arc::new(self.tls.clone()));
        Ok(tls.connect(name, stream).await?)
    }

    async fn upgrade(&self, path: &str) -> anyhow::Result<Carrier> {
        let url = format!("wss://{}{path}", self.names.messages);
        let mut request = url.into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "mqtt".parse()?);
        let (socket, _) = client_async(request, self.dial().await?).await?;
        Ok(Carrier::Socket(Box::new(socket)))
    }
}

/// When a token made now ends, in seconds since 1970.
fn soon() -> anyhow::Result<u64> {
    let end = SystemTime::now() + TOKEN_LASTS;
    Ok(end.duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}

/// The proof of a key over lines.
fn proof(key: &[u8], lines: &[&str]) -> String {
    let text = lines.join("\n") + "\n";
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}
