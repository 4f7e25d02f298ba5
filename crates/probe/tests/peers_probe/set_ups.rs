//! Set-ups of the way, each gone by curl, by `openssl s_client` where it can, and by our probes:
//! they agree on whether it works, and on why not.

mod table;

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
};

use outgate_probe::{
    Ask, Finding, Host, Outcome, Path, PathConfig, Proxy, ProxyChoice, ProxyEnvironment,
    ProxyScript, Proxying, ResolverChoice, Roots, Script, Source, Transport, Trouble, probe_for,
};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use table::{End, SET_UPS, SetUp, To};

use crate::{
    authority::Authority,
    dnsmasq, nginx,
    peer::{Peer, write},
    proxies::{LOGIN, Squid, microsocks, tinyproxy},
};

/// All servers, on ports of their own.
struct Stage {
    authority: Authority,
    secure_web: Peer,
    plain_web: Peer,
    names: Peer,
    closed: Closed,
    proxies: Vec<(&'static str, Peer)>,
    directory: TempDir,
}

/// A port that is taken, and at which nobody listens.
struct Closed(Socket);

impl Closed {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        Self(socket)
    }

    fn port(&self) -> u16 {
        let address = self.0.local_addr().unwrap();
        address.as_socket().unwrap().port()
    }
}

impl Stage {
    fn start() -> Self {
        let authority = Authority::new("Company CA");
        let identity = authority.issue("localhost", -1..30);
        let both = format!("{}{}", identity.key, identity.certificate);
        let asking = Squid {
            login: true,
            ..Squid::PLAIN
        };
        let strict = Squid {
            lines: "http_access deny all",
            ..Squid::PLAIN
        };
        let secure = Squid {
            tls: Some(&both),
            ..Squid::PLAIN
        };
        let proxies = vec![
            ("squid", Squid::PLAIN.start()),
            ("asking", asking.start()),
            ("strict", strict.start()),
            ("secure", secure.start()),
            ("tiny", tinyproxy(false)),
            ("tinyasking", tinyproxy(true)),
            ("socks", microsocks(false)),
            ("socksasking", microsocks(true)),
        ];
        let directory = TempDir::new().unwrap();
        write(&directory, "ca.pem", authority.pem());
        Self {
            secure_web: nginx::serve(Some(&identity)),
            plain_web: nginx::serve(None),
            names: dnsmasq::serve(),
            closed: Closed::new(),
            proxies,
            authority,
            directory,
        }
    }

    /// With the ports and the login in their places.
    fn fill(&self, text: &str) -> String {
        let (user, password) = (LOGIN.0, LOGIN.1.replace(' ', "%20"));
        let mut text = text.replace("@L", &format!("{user}:{password}"));
        for (name, peer) in &self.proxies {
            text = text.replace(&format!("{{{name}}}"), &peer.address.port().to_string());
        }
        text.replace("{closed}", &self.closed.port().to_string())
    }

    fn host_and_port(&self, to: To) -> (&'static str, u16) {
        match to {
            To::Https => ("localhost", self.secure_web.address.port()),
            To::Http => ("localhost", self.plain_web.address.port()),
            To::Closed => ("localhost", self.closed.port()),
            To::Nowhere => ("nowhere.invalid", 443),
        }
    }

    fn command(&self, program: &str, set_up: &SetUp) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars() {
            if name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null());
        command.envs(
            set_up
                .environment
                .iter()
                .map(|(name, value)| (name, self.fill(value))),
        );
        command
    }

    fn curl(&self, set_up: &SetUp) -> End {
        let (host, port) = self.host_and_port(set_up.to);
        let scheme = if set_up.to == To::Http {
            "http"
        } else {
            "https"
        };
        let ca = self.directory.path().join("ca.pem");
        let mut command = self.command("curl", set_up);
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--output",
            "/dev/null",
        ]);
        command.args(["--write-out", "%{http_code} %{http_connect}"]);
        command.arg("--proxy-cacert").arg(&ca);
        if set_up.trusted {
            command.arg("--cacert").arg(&ca);
        }
        if let Some(proxy) = set_up.proxy {
            command.args(["--proxy", &self.fill(proxy)]);
        }
        let url = format!("{scheme}://{host}:{port}/");
        if let Some(script) = set_up.script {
            let proxy = self.pactester(script, &url);
            command.args(["--proxy", &proxy]);
        }
        let output = command.arg(url).output().unwrap();
        let written = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let through = set_up.proxy.is_some() || set_up.script.is_some();
        match (output.status.code(), written.as_str()) {
            (Some(0), "407 000") => End::ProxyLogin,
            (Some(0), _) => End::Works,
            (Some(5), _) => End::ProxyUnreachable,
            (Some(6), _) => End::NoSuchName,
            (Some(7), _) if through => End::ProxyUnreachable,
            (Some(7), _) => End::Refused,
            (Some(60), _) => End::Untrusted,
            (Some(56), "000 407") => End::ProxyLogin,
            (Some(56), "000 403") => End::ProxyForbids,
            (Some(56), "000 503" | "000 500") => End::ProxyCannotReach,
            // curl has one code for all of SOCKS.
            (Some(97), _) if said.contains("auth") || said.contains("rejected") => End::ProxyLogin,
            (Some(97), _) => End::ProxyCannotReach,
            (code, _) => panic!("{}: {code:?} {written} {said}", set_up.name),
        }
    }

    /// What pactester makes of a script, as curl is to be told of it: the first way.
    fn pactester(&self, script: &str, url: &str) -> String {
        let file = write(&self.directory, "proxy.pac", function(&self.fill(script)));
        let mut command = Command::new("pactester");
        let output = command
            .arg("-p")
            .arg(file)
            .args(["-u", url])
            .output()
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        let first = answer.trim().split(';').next().unwrap();
        match first.split_once(' ') {
            Some(("PROXY", place)) => format!("http://{place}"),
            Some(("SOCKS5", place)) => format!("socks5h://{place}"),
            Some(_) | None => String::new(),
        }
    }

    async fn probe(&self, set_up: &SetUp) -> (End, Finding) {
        let (host, port) = self.host_and_port(set_up.to);
        let protocol = if set_up.to == To::Http {
            "http"
        } else {
            "https"
        };
        let host = Host::Name(host.to_owned());
        let ask = Ask::new(protocol, host, Some(port), Transport::Tcp);
        let path = self.path(set_up);
        let finding = probe_for(protocol).unwrap().run(&ask, &path).await;
        (end_of(&finding), finding)
    }

    fn path(&self, set_up: &SetUp) -> Path {
        let set = |name: &str| {
            let found = set_up.environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| self.fill(value))
        };
        let (environment, no_proxy) = ProxyEnvironment::read(set).unwrap();
        let choice = match set_up.proxy {
            Some(url) => ProxyChoice::Always(self.fill(url).parse::<Proxy>().unwrap()),
            None => match set_up.script {
                Some(body) => {
                    let script = Script::new(&function(&self.fill(body))).unwrap();
                    ProxyChoice::Script(ProxyScript::Here(script))
                }
                None => ProxyChoice::Environment,
            },
        };
        // A proxy inside TLS is known by the same authority, which curl is told of apart.
        let secure = set_up.proxy.is_some_and(|url| url.starts_with("https://"));
        let ca = self.authority.pem().as_bytes();
        let roots = if let Some(counted) = set_up.store {
            let roots = Roots::mozilla().system_pem(ca).unwrap();
            roots.counting(counted)
        } else if set_up.trusted || secure {
            Roots::mozilla().give_pem(ca).unwrap()
        } else {
            Roots::mozilla()
        };
        Path::new(PathConfig {
            proxying: Proxying {
                choice,
                environment,
                no_proxy,
            },
            roots,
            resolver: ResolverChoice::at(self.names.address),
            ..PathConfig::default()
        })
        .unwrap()
    }

    /// Whether OpenSSL gets through, where it can go this way at all.
    fn s_client(&self, set_up: &SetUp) -> Option<bool> {
        if set_up.to == To::Http || !set_up.environment.is_empty() || set_up.script.is_some() {
            return None;
        }
        let (host, port) = self.host_and_port(set_up.to);
        let mut command = self.command("openssl", set_up);
        command.args([
            "s_client",
            "-brief",
            "-verify_return_error",
            "-verify_hostname",
            host,
        ]);
        command.args(["-connect", &format!("{host}:{port}"), "-servername", host]);
        if set_up.trusted {
            command
                .arg("-CAfile")
                .arg(self.directory.path().join("ca.pem"));
        }
        if let Some(proxy) = set_up.proxy {
            let place = proxy.strip_prefix("http://")?;
            let place = match place.rsplit_once('@') {
                None => place,
                Some((login, place)) => {
                    let login = login.replace("@L", &format!("{}:{}", LOGIN.0, LOGIN.1));
                    let (user, password) = login.split_once(':').unwrap();
                    command.args(["-proxy_user", user, "-proxy_pass"]);
                    command.arg(format!("pass:{password}"));
                    place
                }
            };
            command.args(["-proxy", &self.fill(place)]);
        }
        Some(command.output().unwrap().status.success())
    }
}

fn function(body: &str) -> String {
    format!("function FindProxyForURL(url, host) {{ {body} }}")
}

fn end_of(finding: &Finding) -> End {
    match &finding.trouble {
        None => End::Works,
        Some(Trouble::Refused) => End::Refused,
        Some(Trouble::NameNotFound) => End::NoSuchName,
        Some(Trouble::CertificateUntrusted { .. }) => End::Untrusted,
        Some(Trouble::ProxyLogin { .. }) => End::ProxyLogin,
        Some(Trouble::ProxyForbids { .. }) => End::ProxyForbids,
        Some(Trouble::ProxyCannotReach { .. }) => End::ProxyCannotReach,
        Some(Trouble::ProxyUnreachable { .. }) => End::ProxyUnreachable,
        Some(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn in_every_set_up_curl_openssl_and_the_probe_agree() {
    let stage = Stage::start();
    let mut wrong = Vec::new();
    for set_up in SET_UPS {
        let (found, finding) = stage.probe(set_up).await;
        let curl = stage.curl(set_up);
        let works = set_up.end == End::Works;
        let openssl = stage.s_client(set_up);
        let agreed = found == set_up.end && curl == found && openssl.is_none_or(|it| it == works);
        if !agreed || works != (finding.outcome == Outcome::Pass) {
            let name = set_up.name;
            let (outcome, wanted) = (finding.outcome, set_up.end);
            wrong.push(format!("{name}: wanted {wanted:?}, curl {curl:?}, openssl {openssl:?}, probe {found:?} {outcome:?} {:?}", finding.trouble));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn squid_is_asked_for_its_kinds_of_login() {
    let asking = Squid {
        login: true,
        ..Squid::PLAIN
    };
    let squid = asking.start();
    let proxy: Proxy = format!("http://{}", squid.address).parse().unwrap();
    let path = Path::new(PathConfig {
        proxying: Proxying {
            choice: ProxyChoice::Always(proxy),
            ..Proxying::default()
        },
        ..PathConfig::default()
    })
    .unwrap();
    let ask = Ask::new(
        "tls",
        Host::Name("a.example".into()),
        Some(443),
        Transport::Tcp,
    );
    let finding = probe_for("tls").unwrap().run(&ask, &path).await;
    let schemes = ["NTLM", "Basic"].map(str::to_owned).to_vec();
    let given = false;
    assert_eq!(
        finding.trouble,
        Some(Trouble::ProxyLogin { schemes, given })
    );
}

#[tokio::test]
async fn everything_sets_out_from_the_source_that_curl_would_use() {
    let web = nginx::serve(None);
    let port = web.address.port();
    let url = format!("http://127.0.0.1:{port}/who");
    let host = Host::Address(web.address.ip());
    let mut ask = Ask::new("http", host, Some(port), Transport::Tcp);
    ask.http.path = "/who".to_owned();
    for source in ["127.0.0.1", "127.0.0.2", "127.9.9.9", "lo"] {
        let curl = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--interface", source, &url])
            .args(["--output", "/dev/null", "--write-out", "%{redirect_url}"])
            .output()
            .unwrap();
        let curl = String::from_utf8(curl.stdout).unwrap();
        let path = Path::new(PathConfig {
            source: source.parse::<Source>().unwrap(),
            ..PathConfig::default()
        })
        .unwrap();
        let finding = probe_for("http").unwrap().run(&ask, &path).await;
        let http = finding.attempts[0].http.clone().unwrap();
        let location = http.location.unwrap();
        let seen = location.rsplit('/').next().unwrap();
        assert_eq!(curl.rsplit('/').next(), Some(seen), "{source}");
    }
}

#[tokio::test]
async fn what_is_not_this_machines_is_no_source() {
    for source in ["192.0.2.77", "nosuch0"] {
        let curl = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--interface", source])
            .arg("http://127.0.0.1:9/")
            .status()
            .unwrap();
        // CURLE_INTERFACE_FAILED
        assert_eq!(curl.code(), Some(45), "{source}");
        let config = PathConfig {
            source: source.parse::<Source>().unwrap(),
            ..PathConfig::default()
        };
        let error = Path::new(config).unwrap_err();
        assert!(error.to_string().contains(source), "{error}");
    }
    // A source of one family leaves no way to the other.
    let path = Path::new(PathConfig {
        source: Source::Address([127, 0, 0, 1].into()),
        ..PathConfig::default()
    })
    .unwrap();
    let host = Host::Address("::1".parse().unwrap());
    let ask = Ask::new("tcp", host, Some(9), Transport::Tcp);
    let finding = probe_for("tcp").unwrap().run(&ask, &path).await;
    assert_eq!(finding.attempts[0].outcome, Outcome::NotApplicable);
}
