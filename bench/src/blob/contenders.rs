//! The servers that files are sent to and got from.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::administration::Administration;
use crate::http::Http;
use crate::process::Running;
use crate::raw::Target;
use crate::servers::{Programs, Stage, free_port, wait_for};

/// The device whose files they are, at the hub.
const DEVICE: &str = "bench";

/// azurite's account, its key (both are in its documents), and the container that is made there.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CONTAINER: &str = "files";

/// What is asked of azurite: an account signature (Microsoft's "Create an account SAS") of this
/// version, for everything, for longer than any run.
const VERSION: &str = "2020-12-06";
const ENDS: &str = "2099-01-01T00:00:00Z";

/// A server that may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Hub,
    Nginx,
    Azurite,
}

/// One that runs.
pub(crate) struct Server {
    pub(crate) target: Target,
    pub(crate) running: Running,
    place: Place,
}

/// Where files are.
enum Place {
    /// Where grants say.
    Granted(Administration),
    /// Below a path, with something after their names.
    Named(&'static str, String),
}

/// Where a file is put, and where it is got.
pub(crate) struct Paths {
    pub(crate) put: String,
    pub(crate) get: String,
}

/// What the ratios are to.
pub(crate) const AGAINST: &str = Contender::Nginx.name();

impl Contender {
    pub(crate) const ALL: [Self; 3] = [Self::Hub, Self::Nginx, Self::Azurite];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hub => "outgate",
            Self::Nginx => "nginx",
            Self::Azurite => "azurite",
        }
    }

    /// Starts it over TLS, with what it keeps in the stage's folder.
    pub(crate) async fn start(self, programs: &Programs, stage: &Stage) -> anyhow::Result<Server> {
        match self {
            Self::Hub => {
                let hub = stage.hub(programs).await?;
                let administration = hub.administration.context("not a hub")?;
                Ok(Server {
                    target: hub.target,
                    running: hub.running,
                    place: Place::Granted(administration),
                })
            }
            Self::Nginx => nginx(programs, stage).await,
            Self::Azurite => azurite(programs, stage).await,
        }
    }
}

impl Server {
    /// Where the file of that name is.
    pub(crate) async fn paths(&self, file: &str) -> anyhow::Result<Paths> {
        match &self.place {
            Place::Granted(administration) => Ok(Paths {
                put: administration.grant(DEVICE, file, "write").await?,
                get: administration.grant(DEVICE, file, "read").await?,
            }),
            Place::Named(folder, query) => {
                let path = format!("{folder}/{file}{query}");
                Ok(Paths {
                    put: path.clone(),
                    get: path,
                })
            }
        }
    }
}

/// One process, so that what it uses is what that uses; files as they are served and put by WebDAV.
async fn nginx(programs: &Programs, stage: &Stage) -> anyhow::Result<Server> {
    let (folder, port) = (stage.folder().join("nginx"), free_port()?);
    for part in ["files", "coming"] {
        std::fs::create_dir_all(folder.join(part))?;
    }
    let (certificate, key) = (
        stage.folder().join("cert.pem"),
        stage.folder().join("key.pem"),
    );
    let text = format!(
        "daemon off;\nmaster_process off;\nuser root;\npid {folder}/pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\naccess_log off;\nsendfile on;\ntcp_nopush on;\nkeepalive_requests 100000000;\n\
         client_max_body_size 0;\nclient_body_temp_path {folder}/coming;\n\
         proxy_temp_path {folder}/none;\nfastcgi_temp_path {folder}/none;\n\
         uwsgi_temp_path {folder}/none;\nscgi_temp_path {folder}/none;\n\
         server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {certificate};\n\
         ssl_certificate_key {key};\nroot {folder};\n\
         location /files/ {{ dav_methods PUT; }}\n}}\n}}\n",
        folder = folder.display(),
        certificate = certificate.display(),
        key = key.display(),
    );
    let config = folder.join("nginx.conf");
    std::fs::write(&config, text)?;
    let arguments = ["-e", "stderr", "-c", &config.display().to_string()].map(str::to_owned);
    let running = Running::start(&programs.nginx, &arguments)?;
    wait_for(port).await?;
    Ok(Server {
        target: target(stage, port),
        running,
        place: Place::Named("/files", String::new()),
    })
}

async fn azurite(programs: &Programs, stage: &Stage) -> anyhow::Result<Server> {
    let (folder, port) = (stage.folder().join("azurite"), free_port()?);
    let shown = |path: &Path| path.display().to_string();
    let arguments = [
        shown(&programs.node.join("node_modules/.bin/azurite-blob")),
        "--blobHost".to_owned(),
        "127.0.0.1".to_owned(),
        "--blobPort".to_owned(),
        port.to_string(),
        "--location".to_owned(),
        shown(&folder),
        "--cert".to_owned(),
        shown(&stage.folder().join("cert.pem")),
        "--key".to_owned(),
        shown(&stage.folder().join("key.pem")),
        "--silent".to_owned(),
        "--disableTelemetry".to_owned(),
        "--skipApiVersionCheck".to_owned(),
    ];
    let running = Running::start(Path::new("node"), &arguments)?;
    wait_for(port).await?;
    let (target, query) = (target(stage, port), account_signature()?);
    let mut http = Http::open(&target).await?;
    let make = format!(
        "PUT /{ACCOUNT}/{CONTAINER}{query}&restype=container HTTP/1.1\ncontent-length: 0\n"
    );
    http.ask(&make).await?;
    let made = http.answer().await?;
    made.well().context("azurite makes no container")?;
    Ok(Server {
        target,
        running,
        place: Place::Named("/devstoreaccount1/files", query),
    })
}

fn account_signature() -> anyhow::Result<String> {
    let key = STANDARD.decode(ACCOUNT_KEY)?;
    // Permissions, services, kinds of resources, start, end, addresses, protocol, version, scope.
    let signed = format!("{ACCOUNT}\nrwdlc\nb\nsco\n\n{ENDS}\n\n\n{VERSION}\n\n");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    let signature = STANDARD.encode(signature);
    let signature = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    Ok(format!(
        "?sv={VERSION}&ss=b&srt=sco&sp=rwdlc&se={ENDS}&sig={signature}"
    ))
}

fn target(stage: &Stage, port: u16) -> Target {
    Target {
        port,
        tls: stage.tls(),
    }
}
