//! The servers that are compared, each with the same certificate and logins.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::ClientConfig;

use crate::administration::Administration;
use crate::process::Running;
use crate::raw::{Login, Target};

/// How long a server may take to be there.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// Where programs are.
pub(crate) struct Programs {
    /// The binary of Outgate, built for release.
    pub(crate) outgate: PathBuf,
    /// The binary of Mosquitto, with the libraries beside it.
    pub(crate) mosquitto: PathBuf,
    /// The folder with `node_modules` in it.
    pub(crate) node: PathBuf,
    /// The binary of nginx.
    pub(crate) nginx: PathBuf,
    /// The binary of `prometheus-blackbox-exporter`.
    pub(crate) exporter: PathBuf,
}

/// A server that runs, and how to log in.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    pub(crate) login: Login,
    pub(crate) running: Running,
    pub(crate) administration: Option<Administration>,
}

/// The certificate and the folder that servers share for a run.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    tls: Arc<ClientConfig>,
}

impl Stage {
    /// Makes a certificate for `localhost`, and a client that trusts it and resumes nothing.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem())?;
        let mut key = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(folder.path().join("key.pem"))?;
        key.write_all(made.signing_key.serialize_pem().as_bytes())?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            folder,
            tls: Arc::new(tls),
        })
    }

    /// A client that trusts the certificate and resumes nothing.
    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// The folder that the stores of servers lie in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a hub with a device to log in as.
    pub(crate) async fn hub(&self, programs: &Programs) -> anyhow::Result<Server> {
        self.hub_with(programs, "").await
    }

    /// As [`Stage::hub`], with that in its configuration too.
    pub(crate) async fn hub_with(&self, programs: &Programs, more: &str) -> anyhow::Result<Server> {
        let (data, config) = (self.file("hub"), self.file("hub.toml"));
        let port = free_port()?;
        let text = format!(
            "data = '{}'\n[[listen]]\naddress = '127.0.0.1:{port}'\n\
             [tls]\ncertificate = '{}'\nkey = '{}'\n\
             [limits]\nconnections = 100000\nconnections-a-source = 100000\nevents-a-second = 1000000\n\
             messages-a-second = 1000000\nreports-a-second = 1000000\nsubscriptions-a-second = 1000000\n\
             [mqtt.limits]\nsessions = 100000\nin-flight = 1000\nwaiting = 1000000\nwaiting-mebibytes = 4096\n\
             [mqtt.policies.bench]\npublish = ['bench/#', 'devices/{{device}}/#']\nsubscribe = ['bench/#']\n\
             [[signalr.hubs]]\nname = 'bench'\npath = '/hub'\nconnections = 100000\n\
             [logs]\nfilter = 'warn'\n{more}",
            data.display(),
            self.file("cert.pem").display(),
            self.file("key.pem").display(),
        );
        std::fs::write(&config, text)?;
        let arguments = ["hub", "--config", &config.display().to_string()].map(str::to_owned);
        let running = Running::start(&programs.outgate, &arguments)?;
        let token = data.join("operator.token");
        within("the first operator's token is not written", || {
            token.exists()
        })
        .await?;
        wait_for(port).await?;
        let administration = Administration::new(port, &token, &self.file("cert.pem"))?;
        let password = administration.make_site_and_device("bench").await?;
        Ok(Server {
            name: "outgate",
            target: self.target(port),
            login: Login {
                user: "bench".to_owned(),
                password,
            },
            running,
            administration: Some(administration),
        })
    }

    /// Starts Mosquitto with a password file.
    pub(crate) async fn mosquitto(&self, programs: &Programs) -> anyhow::Result<Server> {
        let (config, passwords) = (self.file("mosquitto.conf"), self.file("passwords"));
        let port = free_port()?;
        // The PBKDF2-SHA512 of `bench` that mosquitto_passwd makes, with its default of 101 rounds.
        let made = std::process::Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(&passwords)
            .args(["bench", "bench"])
            .status()
            .context("failed to run mosquitto_passwd")?;
        anyhow::ensure!(made.success(), "mosquitto_passwd failed");
        let text = format!(
            "listener {port} 127.0.0.1\ncertfile {}\nkeyfile {}\npassword_file {}\n\
             allow_anonymous false\nuser root\nmax_queued_messages 0\nmax_inflight_messages 1000\n\
             set_tcp_nodelay true\nlog_type none\n",
            self.file("cert.pem").display(),
            self.file("key.pem").display(),
            passwords.display(),
        );
        std::fs::write(&config, text)?;
        let arguments = ["-c".to_owned(), config.display().to_string()];
        let running = Running::start(&programs.mosquitto, &arguments)?;
        wait_for(port).await?;
        Ok(self.plain("mosquitto", port, running))
    }

    /// Starts aedes behind Node's own TLS.
    pub(crate) async fn aedes(&self, programs: &Programs) -> anyhow::Result<Server> {
        let script = self.file("aedes.mjs");
        let port = free_port()?;
        std::fs::write(&script, include_str!("aedes.mjs"))?;
        let arguments = [
            script.display().to_string(),
            programs.node.join("node_modules").display().to_string(),
            port.to_string(),
            self.file("cert.pem").display().to_string(),
            self.file("key.pem").display().to_string(),
        ];
        let running = Running::start(Path::new("node"), &arguments)?;
        wait_for(port).await?;
        Ok(self.plain("aedes", port, running))
    }

    fn plain(&self, name: &'static str, port: u16, running: Running) -> Server {
        Server {
            name,
            target: self.target(port),
            login: Login {
                user: "bench".to_owned(),
                password: "bench".to_owned(),
            },
            running,
            administration: None,
        }
    }

    fn target(&self, port: u16) -> Target {
        Target {
            port,
            tls: self.tls(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A port that is free now. Nobody else takes ports on a machine that measures.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// Waits until somebody listens on `port`.
pub(crate) async fn wait_for(port: u16) -> anyhow::Result<()> {
    let what = format!("nobody listens on port {port}");
    within(&what, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await
}

/// Waits until `there`; fails with `what` when that takes too long.
async fn within(what: &str, there: impl Fn() -> bool) -> anyhow::Result<()> {
    let waiting = async {
        while !there() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(UP_WITHIN, waiting)
        .await
        .with_context(|| what.to_owned())
}
