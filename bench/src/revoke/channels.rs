//! Everything that a device may have open, each with the moment at which it sees the end.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use outgate_azure::sas;
use ring::hmac;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::held::{Held, NAME, SCOPE};
use crate::administration::{Administration, FleetKey};
use crate::http::{Answer, Http};
use crate::raw::{Link, Login, Target, connect};
use crate::realtime::dialect::Dialect;
use crate::realtime::frames::{BINARY, masked};
use crate::realtime::link;
use crate::servers::Server;

/// The file that is got, over and over, and how long it is.
const FILE: &str = "down.bin";
const FILE_BYTES: usize = 64 << 20;

/// The file that is sent, how long it is said to be, and how much of it is sent at a time.
const SENT: &str = "up.bin";
const SENT_BYTES: usize = 1 << 30;
static PART: [u8; 64 << 10] = [0x5a; 64 << 10];

/// Longer than anything here waits.
const WAIT_SECONDS: u8 = 50;

/// A way by which a device may be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Mqtt,
    MqttOverWebSocket,
    Provisioning,
    SignalR,
    Poll,
    LookUp,
    Upload,
    Download,
}

impl Channel {
    /// In the order in which they are opened: what is quickly over by itself comes last.
    pub(crate) const ALL: [Self; 8] = [
        Self::Mqtt,
        Self::MqttOverWebSocket,
        Self::Provisioning,
        Self::SignalR,
        Self::Poll,
        Self::LookUp,
        Self::Upload,
        Self::Download,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "MQTT",
            Self::MqttOverWebSocket => "MQTT over WebSocket",
            Self::Provisioning => "provisioning over MQTT",
            Self::SignalR => "SignalR",
            Self::Poll => "poll for commands",
            Self::LookUp => "look-up",
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

/// Ends with the moment at which the device saw that it was over.
pub(crate) type Ended = JoinHandle<anyhow::Result<Instant>>;

/// A device that has all of them open.
pub(crate) struct Doomed {
    pub(crate) name: String,
    pub(crate) open: Vec<(Channel, Ended)>,
    /// Over which somebody asks to be taken up under its name.
    pub(crate) enrolling: Http,
}

/// What devices are made with.
pub(crate) struct Bench {
    pub(crate) administration: Administration,
    target: Target,
    fleet: FleetKey,
    held: Held,
    file: Bytes,
}

impl Bench {
    pub(crate) async fn new(server: &Server, held: Held) -> anyhow::Result<Self> {
        let administration = server.administration.clone().context("not a hub")?;
        Ok(Self {
            fleet: administration.make_fleet_key("doomed-*").await?,
            administration,
            target: server.target.clone(),
            held,
            file: vec![0x5a; FILE_BYTES].into(),
        })
    }

    /// Makes a device, and has everything open and in use when this returns.
    pub(crate) async fn open(&mut self, name: &str) -> anyhow::Result<Doomed> {
        let login = Login {
            user: name.to_owned(),
            password: self.administration.make_device(name).await?,
        };
        let file = self.file.clone();
        self.administration.put_file(name, FILE, file).await?;
        let enrolling = Http::open(&self.target).await?;
        let mut open = Vec::new();
        for channel in Channel::ALL {
            let ended = self.opened(channel, &login).await;
            let ended = ended.with_context(|| format!("{} is not let in", channel.name()))?;
            open.push((channel, ended));
        }
        Ok(Doomed {
            name: name.to_owned(),
            open,
            enrolling,
        })
    }

    async fn opened(&mut self, channel: Channel, login: &Login) -> anyhow::Result<Ended> {
        match channel {
            Channel::Mqtt => self.mqtt(login).await,
            Channel::MqttOverWebSocket => self.mqtt_over_websocket(login).await,
            Channel::Provisioning => self.provisioning(login).await,
            Channel::SignalR => self.signalr(login).await,
            Channel::Poll => self.poll(login).await,
            Channel::LookUp => self.look_up(login).await,
            Channel::Upload => self.upload(login).await,
            Channel::Download => self.download(login).await,
        }
    }

    /// Removes what is left of a device.
    pub(crate) async fn tidy(&self, device: &str) -> anyhow::Result<()> {
        self.administration.remove_file(device, FILE).await
    }

    /// Asks to be taken up under a device's name, by the right fleet key, and must be refused.
    pub(crate) async fn enrol(&self, http: &mut Http, device: &str) -> anyhow::Result<()> {
        // Never the same twice, of 16 bytes at the least.
        let (at, nonce) = (now(), format!("0123456789abcdef-{device}"));
        let text = format!("outgate-enrol-1\n{device}\n{at}\n{nonce}\n\n");
        let asked = json!({
            "fleet_key": self.fleet.id, "device": device, "at": at, "nonce": nonce,
            "proof": self.proof(&text),
        });
        let answer = post(http, "/api/enrol", "", &asked).await?;
        ensure!(answer.status == 403, "an enrolment: {}", answer.status);
        Ok(())
    }

    async fn mqtt(&self, login: &Login) -> anyhow::Result<Ended> {
        let link = Link::open(&self.target, &format!("{}/tls", login.user), login).await?;
        Ok(until_ended(link))
    }

    async fn provisioning(&self, login: &Login) -> anyhow::Result<Ended> {
        let key = self.administration.make_keys(&login.user).await?;
        let resource = format!("{SCOPE}/registrations/{}", login.user);
        let end = OffsetDateTime::now_utc().unix_timestamp() + 3_600;
        let login_there = Login {
            user: format!("{resource}/api-version=2019-03-31&ClientVersion=bench"),
            password: sas::sign(&resource, u64::try_from(end)?, &key, None),
        };
        let link = Link::open(&self.target, &login.user, &login_there).await?;
        Ok(until_ended(link))
    }

    async fn mqtt_over_websocket(&self, login: &Login) -> anyhow::Result<Ended> {
        let mut http = Http::open(&self.target).await?;
        http.ask(
            "GET /mqtt HTTP/1.1\nconnection: upgrade\nupgrade: websocket\n\
             sec-websocket-version: 13\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n\
             sec-websocket-protocol: mqtt\n",
        )
        .await?;
        let answer = http.answer().await?;
        ensure!(answer.status == 101, "no WebSocket but {}", answer.status);
        let connect = connect(&format!("{}/ws", login.user), login);
        http.send(&masked(BINARY, &connect)).await?;
        // A frame of four bytes, which are a CONNACK.
        let mut stream = http.into_stream();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await?;
        ensure!(
            answer[..3] == [0x82, 4, 0x20] && answer[5] == 0,
            "no CONNACK"
        );
        Ok(until_closed(stream))
    }

    async fn signalr(&self, login: &Login) -> anyhow::Result<Ended> {
        let target = link::Target {
            dialect: Dialect::Json,
            port: self.target.port,
            tls: Some(self.target.tls.clone()),
            token: Some(login.password.clone()),
        };
        let mut link = link::Link::open(&target).await?;
        Ok(tokio::spawn(async move {
            link.closed().await;
            Ok(Instant::now())
        }))
    }

    async fn poll(&self, login: &Login) -> anyhow::Result<Ended> {
        let mut http = Http::open(&self.target).await?;
        let head = format!(
            "GET /device/commands?wait={WAIT_SECONDS} HTTP/1.1\n{}",
            bearer(&login.password)
        );
        http.ask(&head).await?;
        Ok(until_refused(http))
    }

    async fn look_up(&mut self, login: &Login) -> anyhow::Result<Ended> {
        let mut http = Http::open(&self.target).await?;
        let at = now();
        let asked = json!({
            "fleet_key": self.fleet.id, "device": login.user, "at": at,
            "proof": self.proof(&format!("outgate-live-1\n{}\n{at}\n", login.user)),
        });
        let begun = post(&mut http, "/live/fleet", "", &asked).await?.well()?;
        let asked = json!({"challenge": told(&mut http, &begun, "challenge").await?});
        let own = bearer(&login.password);
        let let_in = post(&mut http, "/live/token", &own, &asked).await?.well()?;
        let token = told(&mut http, &let_in, "token").await?;
        let head = format!("GET /live/{NAME}/x HTTP/1.1\n{}", bearer(&token));
        http.ask(&head).await?;
        self.held.is_asked().await;
        Ok(until_refused(http))
    }

    async fn upload(&self, login: &Login) -> anyhow::Result<Ended> {
        let path = self
            .administration
            .grant(&login.user, SENT, "write")
            .await?;
        let mut http = Http::open(&self.target).await?;
        let head = format!(
            "PUT {path} HTTP/1.1\ncontent-length: {SENT_BYTES}\nx-ms-blob-type: BlockBlob\n"
        );
        http.ask(&head).await?;
        // Some of it is there when the rest goes on.
        for _ in 0..64 {
            http.send(&PART).await?;
        }
        let (mut read, mut write) = tokio::io::split(http.into_stream());
        let (over, mut is_over) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let mut said = [0; 1_024];
            // Broken off with or without a word.
            let _ = read.read(&mut said).await;
            let ended = Instant::now();
            // Nobody may be sending any more.
            let _ = over.send(());
            Ok(ended)
        });
        tokio::spawn(async move {
            while is_over.try_recv().is_err() && write.write_all(&PART).await.is_ok() {}
        });
        Ok(ended)
    }

    async fn download(&self, login: &Login) -> anyhow::Result<Ended> {
        let path = self.administration.grant(&login.user, FILE, "read").await?;
        let mut http = Http::open(&self.target).await?;
        let head = format!("GET {path} HTTP/1.1\n");
        http.ask(&head).await?;
        let mut answer = http.answer().await?.well()?;
        Ok(tokio::spawn(async move {
            // Over and over: the whole of it may come before the revocation does.
            while http.body(&answer).await.is_ok() && http.ask(&head).await.is_ok() {
                match http.answer().await.and_then(Answer::well) {
                    Ok(next) => answer = next,
                    Err(_) => break,
                }
            }
            Ok(Instant::now())
        }))
    }

    fn proof(&self, text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.fleet.key);
        STANDARD.encode(hmac::sign(&key, text.as_bytes()))
    }
}

/// Waits until the server has ended it.
fn until_ended(mut link: Link) -> Ended {
    tokio::spawn(async move {
        link.read.closed().await;
        Ok(Instant::now())
    })
}

/// Waits until the server has closed, whatever it says before.
fn until_closed(mut stream: impl AsyncRead + Send + Unpin + 'static) -> Ended {
    tokio::spawn(async move {
        let mut said = [0; 1_024];
        // A connection that was reset is closed as well.
        while stream.read(&mut said).await.is_ok_and(|read| read > 0) {}
        Ok(Instant::now())
    })
}

/// Waits until the server has refused what was asked, or closed.
fn until_refused(mut http: Http) -> Ended {
    tokio::spawn(async move {
        let answer = http.answer().await;
        let ended = Instant::now();
        if let Ok(answer) = answer {
            ensure!(answer.status == 401, "answered {}", answer.status);
        }
        Ok(ended)
    })
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\n")
}

async fn post(http: &mut Http, path: &str, headers: &str, body: &Value) -> anyhow::Result<Answer> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\ncontent-type: application/json\ncontent-length: {}\n{headers}",
        body.len()
    );
    http.ask(&head).await?;
    http.send(body.as_bytes()).await?;
    http.answer().await
}

/// The text of that name in an answer.
async fn told(http: &mut Http, answer: &Answer, name: &str) -> anyhow::Result<String> {
    let body: Value = serde_json::from_slice(&http.text(answer).await?)?;
    let text = body.get(name).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {name}"))?.to_owned())
}

/// The time as the hub reads it: in UTC, in whole seconds.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    format!(
        "{}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}
