//! Secrets that are planted wherever a check may be given one, and looked for in all that it says.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tempfile::TempDir;

use crate::support::{Faults, Site, Watch};

/// A part of every planted secret, whatever its spelling.
const PLANTED: &str = "pl4ntedw0rd";
/// The user name and the password of the proxy, as they are and as URLs write them.
const LOGIN: &str = "pos-device:pl4ntedw0rd&<s>/'%\"x";
const ESCAPED: &str = "pos-device:pl4ntedw0rd%26%3Cs%3E%2F'%25%22x";
/// The customer's proxy, which a masked report does not name.
const GATE: &str = "gate.acme.test";

const MANIFEST: &str = "manifest: 1
product: { id: box, name: Box, vendor: Boxes }
source: { document: box, language: en }
parties: { device: { at: site, name: { en: Box } } }
flows:
  cloud: { from: device, to: [cloud.box.test], speaks: https, need: required, why: { en: x } }
  files: { from: device, to: [files.box.test], speaks: http, need: required, why: { en: x } }
";

/// A way to give a check a secret.
struct Row {
    what: &'static str,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// Whether it is a mistake, for which there is no report but an error.
    refused: bool,
    /// Whether the proxy is told the login.
    told: bool,
}

impl Row {
    fn new(what: &'static str, arguments: &[String]) -> Self {
        Self {
            what,
            arguments: arguments.to_vec(),
            environment: Vec::new(),
            refused: false,
            told: true,
        }
    }

    fn with(mut self, environment: &[(&'static str, &str)]) -> Self {
        let all = environment.iter();
        self.environment = all
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        self
    }

    fn refused(mut self) -> Self {
        (self.refused, self.told) = (true, false);
        self
    }

    /// Of a row whose secret is for no proxy.
    fn untold(mut self) -> Self {
        self.told = false;
        self
    }
}

fn rows(proxy: SocketAddr, folder: &TempDir) -> Vec<Row> {
    let port = proxy.port();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let option = |name: &str, value: &str| vec![format!("{name}={value}")];
    let url = |scheme: &str| format!("{scheme}://{ESCAPED}@{GATE}:{port}");
    let script = |name: &str, answer: &str| {
        let text = format!("function FindProxyForURL() {{ return \"{answer}\"; }}");
        option("--proxy-script", &file(name, &text))
    };
    let login = file("login", &format!("{LOGIN}\n"));
    let by_file = [
        option("--proxy", &format!("http://{GATE}:{port}")),
        option("--proxy-login", &login),
    ];
    let (http, scripted) = (url("http"), format!("PROXY {ESCAPED}@{GATE}:{port}"));
    let none = option("--proxy", "none");
    let proxy = |value: &str| option("--proxy", value);
    let secret = format!("{PLANTED}x");
    vec![
        Row::new("in the proxy's URL", &proxy(&http)),
        Row::new("in a SOCKS proxy's URL", &proxy(&url("socks5h"))),
        Row::new("in a file", &by_file.concat()),
        Row::new("in OUTGATE_PROXY", &[]).with(&[("OUTGATE_PROXY", &http)]),
        Row::new("in the environment", &[]).with(&[("https_proxy", &http), ("http_proxy", &http)]),
        Row::new("of a proxy that is not used", &none).with(&[("https_proxy", &http)]),
        Row::new("in a script's answer", &script("login.pac", &scripted)),
        Row::new(
            "in a script's answer that is none",
            &script("broken.pac", &format!("PROXI {secret}:{secret}@{GATE}:1")),
        )
        .untold(),
        Row::new("in a broken URL", &proxy(&format!("http://u:{secret}%@x"))).refused(),
        Row::new("in a URL, bare", &proxy(&format!("u:1/{secret}@x"))).refused(),
        Row::new("in no URL", &proxy(&format!("u:{secret}://x@y"))).refused(),
        Row::new("in a variable", &[])
            .with(&[("all_proxy", &format!("http://u:{secret}@x:no"))])
            .refused(),
        Row::new(
            "in a file that is none",
            &[
                proxy("http://x"),
                option("--proxy-login", &file("bad", &secret)),
            ]
            .concat(),
        )
        .refused(),
        Row::new(
            "in the URL of a name server, which is none",
            &option("--doh", &format!("http://x/{secret}")),
        )
        .refused(),
    ]
}

/// Scripts whose URL holds the secret.
fn script_rows(scripts: SocketAddr) -> [Row; 4] {
    let at = |place: &str| [format!("--proxy-script={place}")];
    let secret = format!("{PLANTED}x");
    [
        Row::new(
            "in a script's URL, which is fetched",
            &at(&format!("http://{scripts}/login.pac?token={secret}")),
        ),
        Row::new(
            "in a script's URL, which is not there",
            &at(&format!("http://{scripts}/no.pac?{secret}#{secret}")),
        )
        .untold(),
        Row::new(
            "in a script's URL as a login",
            &at(&format!("http://u:{secret}@{scripts}/login.pac")),
        )
        .untold(),
        Row::new(
            "in a script's URL that is not fetched",
            &at(&format!("HTTPX://u:{secret}@{scripts}/login.pac")),
        )
        .untold(),
    ]
}

/// In which forms a check is told.
const FORMS: [&[&str]; 9] = [
    &[],
    &["--json"],
    &["--junit"],
    &["--html"],
    &["--firewall=nftables"],
    &["--plan"],
    &["--plan", "--json"],
    &["--json", "--mask-addresses"],
    &["--html", "--mask-addresses"],
];

/// A check of the made-up product at a site with these rows' servers.
struct Ground {
    site: Site,
    folder: TempDir,
    seen: Arc<Mutex<BTreeSet<String>>>,
    rows: Vec<Row>,
}

impl Ground {
    fn new() -> Self {
        let site = Site::new(
            &[GATE, "cloud.box.test", "files.box.test"],
            Faults::default(),
        );
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("box.yaml"), MANIFEST).unwrap();
        let seen = Arc::default();
        let proxy = parrot(Arc::clone(&seen));
        let mut rows = rows(proxy, &folder);
        rows.extend(script_rows(script_server(proxy.port())));
        Self {
            site,
            folder,
            seen,
            rows,
        }
    }

    fn command(&self, row: &Row, form: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command
            .arg("check")
            .arg(self.folder.path().join("box.yaml"))
            // The authority and the name server; nothing is detoured.
            .args(&self.site.way[..4])
            .args(["--timeout=2", "--hold=0"])
            .args(&row.arguments)
            .args(form)
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .envs(row.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Everything that a check of a row says in one form.
    fn said(&self, row: &Row, form: &[&str]) -> String {
        let output = self.command(row, form).output().unwrap();
        let refused = output.status.code() == Some(2);
        assert_eq!(
            refused,
            row.refused,
            "{}: {}",
            row.what,
            everything(&output)
        );
        everything(&output)
    }

    /// Whether the proxy has been told the login since this was asked last.
    fn was_told(&self) -> bool {
        std::mem::take(&mut *self.seen.lock().unwrap()).contains(LOGIN)
    }
}

fn everything(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    both.map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

/// A proxy, over HTTP and SOCKS 5, that sends back the login that it is given in every place of its
/// answer that a report may show. It notes the logins.
fn parrot(seen: Arc<Mutex<BTreeSet<String>>>) -> SocketAddr {
    serve(move |mut stream, head| {
        let text = String::from_utf8_lossy(&head).into_owned();
        if head.first() == Some(&5) {
            let mut login = [0; 512];
            let _ = stream.write_all(&[5, 2]);
            let length = stream.read(&mut login).unwrap_or_default();
            let login = String::from_utf8_lossy(&login[..length]).into_owned();
            if LOGIN.split(':').all(|part| login.contains(part)) {
                seen.lock().unwrap().insert(LOGIN.to_owned());
            }
            let _ = stream.write_all(&[1, 1]);
            return;
        }
        let given = text.lines().find_map(|line| {
            let (name, value) = line.split_once(": Basic ")?;
            name.eq_ignore_ascii_case("proxy-authorization")
                .then(|| value.to_owned())
        });
        let base64 = given.unwrap_or_default();
        let login = BASE64_STANDARD.decode(&base64).unwrap_or_default();
        let login = String::from_utf8_lossy(&login).into_owned();
        seen.lock().unwrap().insert(login.clone());
        let token = base64.trim_end_matches('=');
        let (status, more) = if text.starts_with("CONNECT") {
            (
                "407",
                format!("Proxy-Authenticate: {token}, Basic {token}\r\n"),
            )
        } else {
            (
                "302",
                format!("Location: http://portal.test/{base64}/{ESCAPED}/{login}\r\n"),
            )
        };
        let answer = format!(
            "HTTP/1.1 {status} {login}\r\nServer: {login} {base64}\r\nVia: 1.1 {ESCAPED}\r\n\
             Content-Type: text/{token}; login=\"{login}\"\r\nContent-Length: 2\r\n{more}\
             Connection: close\r\n\r\nno"
        );
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// Where a script is that names the proxy with its login.
fn script_server(proxy: u16) -> SocketAddr {
    serve(move |mut stream, head| {
        let found = head.starts_with(b"GET /login.pac");
        let script =
            format!("function FindProxyForURL() {{ return \"PROXY {ESCAPED}@{GATE}:{proxy}\"; }}");
        let (status, body) = if found {
            ("200", script)
        } else {
            ("404", String::new())
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{body}");
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// Hands each connection on with the beginning of what came on it, until the tests end.
fn serve(answer: impl Fn(TcpStream, Vec<u8>) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = vec![0; 4096];
            let mut length = 0;
            while let Ok(more @ 1..) = stream.read(&mut head[length..]) {
                length += more;
                let is_whole = head[..length].windows(4).any(|four| four == b"\r\n\r\n");
                if is_whole || head[0] == 5 {
                    break;
                }
            }
            head.truncate(length);
            answer(stream, head);
        }
    });
    address
}

/// What a secret leaves of itself in whatever spelling: as it is, and in base64 and hexadecimal,
/// wherever in a longer text it stands.
fn traces() -> Vec<String> {
    let mut traces = vec![PLANTED.to_owned()];
    for before in 0..3 {
        let encoded = BASE64_STANDARD.encode(format!("{}{PLANTED}", &"xx"[..before]));
        let from = (8 * before).div_ceil(6);
        let to = 8 * (before + PLANTED.len()) / 6;
        traces.push(encoded[from..to].to_owned());
    }
    traces.push(PLANTED.bytes().map(|byte| format!("{byte:02x}")).collect());
    traces
}

fn holds_no_secret(text: &str, row: &Row, form: &[&str]) {
    for trace in traces() {
        assert!(
            !text.contains(&trace),
            "{} {form:?}: {trace}\n{text}",
            row.what
        );
    }
}

fn holds_no_address(text: &str, row: &Row, form: &[&str]) {
    for own in ["127.0.0.", GATE] {
        assert!(!text.contains(own), "{} {form:?}: {own}\n{text}", row.what);
    }
}

#[test]
fn the_traces_of_a_secret_are_found_in_every_spelling_of_a_login() {
    let encoded = BASE64_STANDARD.encode(LOGIN);
    for text in [LOGIN, ESCAPED, &encoded] {
        assert!(traces().iter().any(|trace| text.contains(trace)), "{text}");
    }
}

#[test]
fn no_secret_is_told_in_any_form_and_no_address_in_a_masked_one() {
    let ground = Ground::new();
    for row in &ground.rows {
        for form in FORMS {
            let said = ground.said(row, form);
            holds_no_secret(&said, row, form);
            if form.contains(&"--mask-addresses") && !row.refused {
                holds_no_address(&said, row, form);
            }
        }
        assert_eq!(ground.was_told(), row.told, "{}", row.what);
    }
}

#[test]
fn a_watch_and_its_figures_tell_no_secret_and_no_address() {
    let ground = Ground::new();
    for row in ground.rows.iter().filter(|row| !row.refused) {
        let watch = Watch::start(&mut ground.command(row, &["--mask-addresses"]));
        let figures = watch.scrape();
        let first = watch.first.clone();
        let (_, rest) = watch.end();
        for text in [figures, first, rest] {
            holds_no_secret(&text, row, &["--watch"]);
            holds_no_address(&text, row, &["--watch"]);
        }
        assert_eq!(ground.was_told(), row.told, "{}", row.what);
    }
}
