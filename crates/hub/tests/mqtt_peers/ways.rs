//! What stands between a client and the hub.

use std::path::{Path, PathBuf};
use std::process::Command;

use outgate_testbed::{BETWEEN_LOOKS, PATIENCE, Program, free};

use crate::hub::{Listener, Running};

/// How a client's bytes are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Tcp,
    Tls,
    Wss,
}

/// The way that they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    /// squid, which is asked by CONNECT.
    Squid,
    /// HAProxy that passes TLS on and says by the PROXY protocol who is behind it.
    Haproxy,
    /// HAProxy that ends TLS and passes HTTP on.
    HaproxyHttp,
}

impl Carrier {
    /// The ways that are open to it.
    pub(crate) fn ways(self) -> &'static [Way] {
        match self {
            Self::Tcp => &[Way::Direct],
            Self::Tls => &[Way::Direct, Way::Squid, Way::Haproxy],
            Self::Wss => &[Way::Direct, Way::Squid, Way::Haproxy, Way::HaproxyHttp],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Wss => "wss",
        }
    }
}

/// Where a client connects to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) port: u16,
    /// The proxy's port when the client asks it by itself; otherwise 0.
    pub(crate) proxy: u16,
}

/// The proxies, which run as long as this is there.
pub(crate) struct Proxies {
    /// Squid's port for clients that ask it by themselves. socat has another, so that the log tells
    /// who asked.
    squid: u16,
    /// From a port of socat's through squid to the hub, for clients that know no proxy.
    tunnel: u16,
    haproxy: u16,
    haproxy_http: u16,
    folder: tempfile::TempDir,
    _servers: [Program; 3],
}

impl Proxies {
    pub(crate) async fn start(running: &Running) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [squid, for_socat, tunnel, haproxy, haproxy_http] =
            [(); 5].map(|()| free().unwrap().port());
        let lines = squid_lines([squid, for_socat], folder.path());
        let mut command = outgate_testbed::squid(folder.path(), &lines).unwrap();
        let squid_runs = start(&mut command, folder.path(), squid).await;
        let all = running.port(Listener::Tls);
        let socat_runs = start(
            Command::new("socat")
                .arg(format!("TCP-LISTEN:{tunnel},bind=127.0.0.1,fork,reuseaddr"))
                .arg(format!(
                    "PROXY:127.0.0.1:localhost:{all},proxyport={for_socat}"
                )),
            folder.path(),
            tunnel,
        )
        .await;
        let conf = haproxy_cfg(running, haproxy, haproxy_http);
        let conf = write(folder.path(), "haproxy.cfg", &conf);
        let haproxy_runs = start(
            Command::new("haproxy").args(["-db", "-f"]).arg(conf),
            folder.path(),
            haproxy,
        )
        .await;
        Self {
            squid,
            tunnel,
            haproxy,
            haproxy_http,
            folder,
            _servers: [squid_runs, socat_runs, haproxy_runs],
        }
    }

    /// Where a client connects to that is to take this way; `by_itself` says whether it can ask a
    /// proxy.
    pub(crate) fn address(
        &self,
        running: &Running,
        (carrier, way): (Carrier, Way),
        by_itself: bool,
    ) -> Address {
        let listener = match carrier {
            Carrier::Tcp => Listener::Plain,
            Carrier::Tls | Carrier::Wss => Listener::Tls,
        };
        let port = running.port(listener);
        let (port, proxy) = match way {
            Way::Direct => (port, 0),
            Way::Squid if by_itself => (port, self.squid),
            Way::Squid => (self.tunnel, 0),
            Way::Haproxy => (self.haproxy, 0),
            Way::HaproxyHttp => (self.haproxy_http, 0),
        };
        Address { port, proxy }
    }

    /// Waits until squid has noted that clients asked it by themselves for that many tunnels to the
    /// hub; it notes them when they end.
    pub(crate) async fn expect_tunnels(&self, port: u16, count: usize) {
        let wanted = format!("TCP_TUNNEL/200 CONNECT localhost:{port} at {}", self.squid);
        let log = self.folder.path().join("access.log");
        let noted = async {
            loop {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let tunnels = text.lines().filter(|line| *line == wanted);
                if tunnels.count() >= count {
                    return;
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        };
        tokio::time::timeout(PATIENCE, noted)
            .await
            .unwrap_or_else(|_| panic!("squid has not been asked for {count} tunnels"));
    }
}

async fn start(command: &mut Command, folder: &Path, port: u16) -> Program {
    Program::start(command, folder, ([127, 0, 0, 1], port).into())
        .await
        .unwrap()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// It lets nothing through but tunnels to the hub, and notes them.
fn squid_lines([port, another]: [u16; 2], folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "http_port 127.0.0.1:{port}
http_port 127.0.0.1:{another}
acl to_hub dstdomain localhost
acl CONNECT method CONNECT
http_access allow CONNECT to_hub
http_access deny all
dns_nameservers 127.0.0.1
logformat asked %Ss/%03>Hs %rm %ru at %>lp
access_log stdio:{folder}/access.log asked"
    )
}

/// It shows the hub's own certificate where it ends TLS.
fn haproxy_cfg(running: &Running, passes: u16, ends: u16) -> String {
    let (behind, behind_http) = (
        running.port(Listener::BehindTls),
        running.port(Listener::BehindHttp),
    );
    let certificate = running.server_pem();
    let certificate = certificate.display();
    format!(
        "global
  maxconn 256
defaults
  timeout connect 30s
  timeout client 60s
  timeout server 60s
frontend passes
  mode tcp
  bind 127.0.0.1:{passes}
  default_backend hub
backend hub
  mode tcp
  server hub 127.0.0.1:{behind} send-proxy-v2 proxy-v2-options ssl,cert-cn,unique-id
frontend ends
  mode http
  bind 127.0.0.1:{ends} ssl crt {certificate} alpn h2,http/1.1
  default_backend http
backend http
  mode http
  timeout tunnel 60s
  server hub 127.0.0.1:{behind_http} send-proxy-v2
"
    )
}
