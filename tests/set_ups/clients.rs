//! The clients of other hands, each told of a set-up in its own words, and how each says what came
//! of it, in the words of a check.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use outgate_testbed::told;

use super::{SetUp, WORKS};

/// The longest that a client may take, in seconds; longer than the time after which a check calls a
/// server silent.
const PATIENCE: &str = "6";
/// With which `timeout` ends when it was needed.
const TOO_LATE: i32 = 124;

/// Scheme, host and port of a URL.
pub(super) fn hosts_and_ports(url: &str) -> (&str, &str, u16) {
    let (scheme, place) = url.split_once("://").unwrap();
    let usual = match scheme {
        "https" => 443,
        "http" => 80,
        "mqtt" => 1883,
        "mqtts" => 8883,
        other => panic!("{other}"),
    };
    match place.split_once(':') {
        Some((host, port)) => (scheme, host, port.parse().unwrap()),
        None => (scheme, place, usual),
    }
}

/// A proxy script with this body.
pub(super) fn functions(body: &str) -> String {
    format!("function FindProxyForURL(url, host) {{ {body} }}")
}

/// What every program is given in the same way: the folder and the environment.
pub(super) struct Way<'a> {
    set_up: &'a SetUp,
    folder: &'a Path,
}

impl<'a> Way<'a> {
    pub(super) fn new(set_up: &'a SetUp, folder: &'a Path) -> Self {
        Self { set_up, folder }
    }

    pub(super) fn furnish(&self, command: &mut Command) {
        for (name, _) in std::env::vars() {
            let proxy = name.to_ascii_lowercase().ends_with("_proxy");
            if proxy || name.starts_with("SSL_CERT") || name == "CURL_CA_BUNDLE" {
                command.env_remove(name);
            }
        }
        let folder = self.folder.display().to_string();
        let environment = self.set_up.environment.iter();
        command.envs(environment.map(|(name, value)| (name, value.replace("{folder}", &folder))));
        command.current_dir(self.folder).stdin(Stdio::null());
    }

    /// Starts a program where the set-up has it: another namespace, user, or name server.
    fn command(&self, program: &str) -> Command {
        let mut words: Vec<String> = Vec::new();
        let mut add = |more: &[&str]| words.extend(more.iter().map(ToString::to_string));
        add(&["timeout", PATIENCE]);
        if let Some(netns) = &self.set_up.netns {
            add(&["ip", "netns", "exec", netns]);
        }
        if let Some(resolver) = &self.set_up.resolver {
            let mount = "echo nameserver $0 > /run/resolver; \
                mount --bind /run/resolver /etc/resolv.conf; exec \"$@\"";
            add(&["unshare", "--mount", "sh", "-ec", mount, resolver]);
        }
        if let Some(user) = &self.set_up.user {
            add(&["setpriv", "--init-groups", "--reuid", user, "--regid", user]);
        }
        add(&[program]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        self.furnish(&mut command);
        command
    }

    /// The proxy that is given, or that another reader of its script names first.
    fn proxy(&self) -> Option<String> {
        let script = self.set_up.script.as_ref();
        script
            .map(|_| self.pactester())
            .or_else(|| self.set_up.proxy.clone())
    }

    fn pactester(&self) -> String {
        let mut command = self.command("pactester");
        command.args(["-p", "proxy.pac", "-u", &self.set_up.to]);
        let answer = told(&command.output().unwrap());
        let first = answer.trim().split(';').next().unwrap();
        let place = first
            .strip_prefix("PROXY ")
            .unwrap_or_else(|| panic!("{answer}"));
        format!("http://{place}")
    }
}

/// A client of another hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Client {
    Curl,
    Openssl,
    Mosquitto,
}

impl Client {
    /// Those that can go this way.
    pub(super) fn of(set_up: &SetUp) -> Vec<Self> {
        let all: &[Self] = match hosts_and_ports(&set_up.to).0 {
            "https" => &[Self::Curl, Self::Openssl],
            "http" => &[Self::Curl],
            "mqtts" => &[Self::Mosquitto, Self::Openssl],
            _ => &[Self::Mosquitto],
        };
        let socks = set_up
            .proxy
            .as_ref()
            .is_some_and(|url| url.starts_with("socks"));
        let can = |client: &Self| match client {
            Self::Curl => !set_up.without.iter().any(|name| name == "curl"),
            Self::Openssl => !socks && !set_up.without.iter().any(|name| name == "openssl"),
            Self::Mosquitto => !set_up.without.iter().any(|name| name == "mosquitto"),
        };
        all.iter().copied().filter(can).collect()
    }

    /// How it ends, and what it says.
    pub(super) fn goes(self, set_up: &SetUp, folder: &Path) -> (String, String) {
        let way = Way::new(set_up, folder);
        let mut command = match self {
            Self::Curl => curl(&way),
            Self::Openssl => openssl(&way),
            Self::Mosquitto => mosquitto(&way),
        };
        let output = command.env("LC_ALL", "C").output().unwrap();
        let said = told(&output);
        let through = way.proxy().is_some();
        let code = output.status.code();
        let end = match self {
            _ if code == Some(TOO_LATE) => "silent",
            Self::Curl => curl_ended(&output, &said, through),
            _ if code == Some(0) => WORKS,
            Self::Openssl | Self::Mosquitto => meaning(&said, through),
        };
        (end.to_owned(), format!("{:?} {said}", output.status.code()))
    }
}

/// The files of authorities, as each client is told of them: one in their place, and whether it is
/// the only one.
fn authorities(set_up: &SetUp) -> Option<(&str, bool)> {
    match (set_up.trust.as_deref(), set_up.ca.as_deref()) {
        (Some("mozilla"), None) => Some(("mozilla.pem", true)),
        (Some("given"), Some(file)) => Some((file, true)),
        (None, file) => file.map(|file| (file, false)),
        other => panic!("{other:?}"),
    }
}

fn curl(way: &Way<'_>) -> Command {
    let set_up = way.set_up;
    let mut command = way.command("curl");
    // Only what it says of its way tells a refusal from what is out of reach.
    command.args(["--silent", "--verbose", "--output", "/dev/null"]);
    command.args(["--write-out", "%{http_code} %{http_connect} "]);
    if let Some((file, alone)) = authorities(set_up) {
        command.args(["--cacert", file]);
        command.args(if alone {
            ["--capath", "none"].as_slice()
        } else {
            &[]
        });
    }
    if let Some(proxy) = way.proxy() {
        command.args(["--proxy", &proxy]);
    }
    if let Some(source) = &set_up.source {
        command.args(["--interface", source]);
    }
    command.args(&set_up.curl).arg(&set_up.to);
    command
}

/// By its exit codes (libcurl-errors(3)), and by its words where one stands for several things.
fn curl_ended<'a>(output: &Output, said: &'a str, through: bool) -> &'a str {
    let codes = said.get(..7).unwrap_or_default();
    match (output.status.code(), codes) {
        (Some(0), "407 000") => "proxy-login",
        (Some(0), _) => WORKS,
        (Some(5), _) => "proxy-unreachable",
        (Some(6), _) => "name-not-found",
        (Some(7), _) if through => "proxy-unreachable",
        (Some(7), _) if said.contains("failed: Connection refused") => "refused",
        (Some(7), _) if said.contains("failed: No route to host") => "unreachable",
        (Some(56), "000 407") => "proxy-login",
        (Some(56), "000 403") => "proxy-forbids",
        (Some(56), "000 500" | "000 503") => "proxy-cannot-reach",
        (Some(97), _) if said.contains("auth") || said.contains("rejected") => "proxy-login",
        (Some(97), _) => "proxy-cannot-reach",
        _ => meaning(said, through),
    }
}

fn openssl(way: &Way<'_>) -> Command {
    let set_up = way.set_up;
    let (_, host, port) = hosts_and_ports(&set_up.to);
    let mut command = way.command("openssl");
    command.args(["s_client", "-brief", "-verify_return_error"]);
    command.args(["-verify_hostname", host, "-servername", host]);
    command.args(["-connect", &format!("{host}:{port}")]);
    if let Some((file, alone)) = authorities(set_up) {
        command.args(["-CAfile", file]);
        command.args(alone.then_some("-no-CApath"));
    }
    if let Some(proxy) = way.proxy() {
        let place = proxy.strip_prefix("http://").unwrap();
        let place = match place.split_once('@') {
            None => place,
            Some((login, place)) => {
                let (user, password) = login.split_once(':').unwrap();
                command.args([
                    "-proxy_user",
                    user,
                    "-proxy_pass",
                    &format!("pass:{password}"),
                ]);
                place
            }
        };
        command.args(["-proxy", place]);
    }
    if let Some(source) = &set_up.source {
        command.args(["-bind", &format!("{source}:0")]);
    }
    command.args(&set_up.openssl);
    command
}

fn mosquitto(way: &Way<'_>) -> Command {
    let set_up = way.set_up;
    let (scheme, host, port) = hosts_and_ports(&set_up.to);
    let mut command = way.command("mosquitto_pub");
    // Otherwise all that it says of TLS is that there was an error.
    command.arg("--debug");
    command.args(["--topic", "check", "--message", "here", "--host", host]);
    command.args(["--port", &port.to_string()]);
    match authorities(set_up) {
        Some((file, _)) => command.args(["--cafile", file]),
        None if scheme == "mqtts" => command.arg("--tls-use-os-certs"),
        None => &mut command,
    };
    if let Some(proxy) = way.proxy() {
        command.args(["--proxy", &proxy]);
    }
    if let Some(source) = &set_up.source {
        command.args(["-A", source]);
    }
    command.args(&set_up.mosquitto);
    command
}

/// What a client's words mean, the longest-reaching first.
fn meaning(said: &str, through: bool) -> &str {
    let meanings = [
        ("certificate required", "client-certificate-wanted"),
        ("CONNECT failed, reason= 407", "proxy-login"),
        ("CONNECT failed, reason= 403", "proxy-forbids"),
        ("CONNECT failed, reason= 503", "proxy-cannot-reach"),
        ("certificate has expired", "certificate-out-of-date"),
        (
            "no alternative certificate subject name",
            "certificate-wrong-name",
        ),
        ("hostname mismatch", "certificate-wrong-name"),
        ("host name verification failed", "certificate-wrong-name"),
        ("unable to get local issuer", "certificate-untrusted"),
        ("self-signed certificate", "certificate-untrusted"),
        ("certificate verify failed", "certificate-untrusted"),
        ("protocol version", "tls-too-old"),
        ("unsupported protocol", "tls-too-old"),
        ("Lookup error", "name-not-found"),
        ("Name or service not known", "name-not-found"),
        ("No route to host", "unreachable"),
        ("Connection refused", "refused"),
        ("Authorisation failed", "proxy-login"),
        ("not currently connected", "proxy-cannot-reach"),
    ];
    let found = meanings.iter().find(|(words, _)| said.contains(words));
    match found {
        Some((_, "refused")) if through => "proxy-unreachable",
        Some((_, end)) => end,
        None => said,
    }
}
