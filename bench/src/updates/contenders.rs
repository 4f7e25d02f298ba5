//! The servers that a release is fetched from, and the devices that ask the hub.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::artifact::Artifact;
use crate::administration::Administration;
use crate::http::Http;
use crate::process::Running;
use crate::raw::Target;
use crate::servers::{Programs, Stage, free_port, wait_for};

/// Where nginx has the release.
pub(crate) const PATH: &str = "/made";

/// A server that may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Hub,
    Nginx,
}

/// One that runs.
pub(crate) struct Server {
    pub(crate) target: Target,
    pub(crate) running: Running,
    /// The hub's.
    pub(crate) administration: Option<Administration>,
}

/// What the ratios are to.
pub(crate) const AGAINST: &str = Contender::Nginx.name();

impl Contender {
    pub(crate) const ALL: [Self; 2] = [Self::Hub, Self::Nginx];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hub => "outgate",
            Self::Nginx => "nginx",
        }
    }

    pub(crate) async fn start(
        self,
        programs: &Programs,
        stage: &Stage,
        artifact: &Artifact,
    ) -> anyhow::Result<Server> {
        match self {
            Self::Hub => {
                let hub = stage.hub(programs).await?;
                Ok(Server {
                    target: hub.target,
                    running: hub.running,
                    administration: hub.administration,
                })
            }
            Self::Nginx => nginx(programs, stage, artifact).await,
        }
    }
}

/// One process, so that what it uses is what that uses.
async fn nginx(programs: &Programs, stage: &Stage, artifact: &Artifact) -> anyhow::Result<Server> {
    let (folder, port) = (stage.folder().join("nginx"), free_port()?);
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(artifact.path(), folder.join("made"))?;
    let text = format!(
        "daemon off;\nmaster_process off;\nuser root;\npid {folder}/pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\naccess_log off;\nsendfile on;\ntcp_nopush on;\n\
         client_body_temp_path {folder}/none;\nproxy_temp_path {folder}/none;\n\
         fastcgi_temp_path {folder}/none;\nuwsgi_temp_path {folder}/none;\n\
         scgi_temp_path {folder}/none;\n\
         server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {certificate};\n\
         ssl_certificate_key {key};\nroot {folder};\n}}\n}}\n",
        folder = folder.display(),
        certificate = stage.folder().join("cert.pem").display(),
        key = stage.folder().join("key.pem").display(),
    );
    let config = folder.join("nginx.conf");
    std::fs::write(&config, text)?;
    let arguments = ["-e", "stderr", "-c", &config.display().to_string()].map(str::to_owned);
    let running = Running::start(&programs.nginx, &arguments)?;
    wait_for(port).await?;
    let tls = stage.tls();
    Ok(Server {
        target: Target { port, tls },
        running,
        administration: None,
    })
}

/// Devices that are known to the hub and connected.
pub(crate) struct Fleet {
    pub(crate) devices: Vec<Device>,
}

/// One of them.
pub(crate) struct Device {
    http: Http,
    /// The request by which it asks what is due.
    asks: String,
}

impl Fleet {
    /// So many devices, each let in by a key, which they share, over a connection of its own.
    pub(crate) async fn gather(
        server: &Server,
        administration: &Administration,
        count: usize,
    ) -> anyhow::Result<Self> {
        let key = Key::make()?;
        let mut devices = Vec::new();
        for number in 0..count {
            let name = format!("bench-{number}");
            administration.make_device_with(&name, &key.pem).await?;
            let http = Http::open(&server.target).await?;
            devices.push(Device::enter(http, &name, &key).await?);
        }
        Ok(Self { devices })
    }
}

impl Device {
    async fn enter(mut http: Http, name: &str, key: &Key) -> anyhow::Result<Self> {
        let identity = json!({ "device": name }).to_string();
        let body = json!({ "id_data": identity, "pubkey": key.pem, "tenant_token": "" });
        let body = body.to_string();
        let head = format!(
            "POST /api/devices/v1/authentication/auth_requests HTTP/1.1\ncontent-length: {}\n\
             x-men-signature: {}\n",
            body.len(),
            key.signature(&body)?
        );
        http.ask(&head).await?;
        http.send(body.as_bytes()).await?;
        let answer = http.answer().await?.well()?;
        let token = http.text(&answer).await?;
        let token = str::from_utf8(&token).context("a token that is no text")?;
        let on = json!({"artifact_name": "bench-0", "device_type": "bench"});
        let body = json!({ "device_provides": on }).to_string();
        let asks = format!(
            "POST /api/devices/v2/deployments/device/deployments/next HTTP/1.1\n\
             host: localhost\nauthorization: Bearer {token}\ncontent-length: {}\n\n",
            body.len()
        );
        let asks = asks.replace('\n', "\r\n") + &body;
        Ok(Self { http, asks })
    }

    /// Asks what is due. Gives the path of a release that is.
    pub(crate) async fn poll(&mut self) -> anyhow::Result<Option<String>> {
        self.http.send(self.asks.as_bytes()).await?;
        let answer = self.http.answer().await?.well()?;
        if answer.status == 204 {
            return Ok(None);
        }
        let told = self.http.text(&answer).await?;
        let told: Value = serde_json::from_slice(&told)?;
        let url = told.pointer("/artifact/source/uri").and_then(Value::as_str);
        let path = url.and_then(|url| url.strip_prefix("https://localhost"));
        Ok(Some(path.context("no address")?.to_owned()))
    }
}

/// A key of devices.
struct Key {
    pair: EcdsaKeyPair,
    pem: String,
}

impl Key {
    fn make() -> anyhow::Result<Self> {
        let made = rcgen::KeyPair::generate()?;
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &made.serialize_der(), &SystemRandom::new());
        let pair = pair.ok().context("a key that cannot be used")?;
        let pem = made.public_key_pem();
        Ok(Self { pair, pem })
    }

    fn signature(&self, text: &str) -> anyhow::Result<String> {
        let signed = self.pair.sign(&SystemRandom::new(), text.as_bytes());
        let signed = signed.ok().context("nothing is signed")?;
        Ok(STANDARD.encode(signed))
    }
}

impl Administration {
    /// Makes a device that is let in by a key.
    async fn make_device_with(&self, device: &str, key: &str) -> anyhow::Result<()> {
        let body = json!({"id": device, "site": "bench"});
        self.post("/devices", &body).await?;
        let body = json!({"kind": "public-key", "public_key": key});
        let path = format!("/devices/{device}/credentials");
        self.post(&path, &body).await?;
        Ok(())
    }

    /// Adds the release, whose key is trusted from then on.
    pub(super) async fn add_release(&self, artifact: &Artifact) -> anyhow::Result<()> {
        let body = json!({"label": "bench", "key": artifact.key()?});
        self.post("/release-keys", &body).await?;
        let content = std::fs::read(artifact.path())?;
        ensure!(content.len() == artifact.bytes, "the artifact has changed");
        self.post_bytes("/releases", content).await
    }

    /// Deploys it to all devices.
    pub(super) async fn deploy_to_all(&self) -> anyhow::Result<()> {
        let body = json!({"release": "bench-1", "site": "bench"});
        self.post("/deployments", &body).await?;
        Ok(())
    }
}
