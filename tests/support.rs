//! Running the command line, and a site for it to be run at.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{ChildStderr, ChildStdout, Command, Output, Stdio};
use std::time::SystemTime;

use outgate_standin::{
    Answers, Authority, DhcpSettings, DnsFault, HttpFault, NtpFault, Place, Stage, SystemClock,
    TlsFault,
};
use outgate_testbed::Ends;
use serde_json::Value as Json;
use tempfile::TempDir;

/// Runs `outgate` with these arguments.
pub(crate) fn outgate<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(arguments)
        .env_remove("NO_COLOR")
        .output()
        .expect("outgate starts")
}

/// An `outgate check --watch` under way, which ends with the test.
pub(crate) struct Watch {
    child: Ends,
    output: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
    /// The first line that it printed.
    pub(crate) first: String,
    /// Where `/metrics` is.
    pub(crate) address: String,
}

impl Watch {
    /// Starts this command and waits until its first check is done.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.args(["--watch", "--every=5", "--metrics=127.0.0.1:0"]);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = Ends(child.expect("outgate starts"));
        let errors = BufReader::new(child.0.stderr.take().expect("a pipe"));
        let output = BufReader::new(child.0.stdout.take().expect("a pipe"));
        let mut watch = Self {
            child,
            output,
            errors,
            first: String::new(),
            address: String::new(),
        };
        let mut line = String::new();
        watch.errors.read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("metrics at http://");
        let address = url.and_then(|url| url.strip_suffix("/metrics"));
        address.expect(&line).clone_into(&mut watch.address);
        watch.output.read_line(&mut watch.first).expect("a line");
        watch
    }

    /// What `GET /metrics` answers.
    pub(crate) fn scrape(&self) -> String {
        scrape(&self.address, "*/*")
    }

    /// Tells it to end; the exit code, and what else it printed.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let id = self.child.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill").success());
        let code = self.child.0.wait().expect("ended").code();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("UTF-8");
        self.errors.read_to_string(&mut rest).expect("UTF-8");
        (code, rest)
    }
}

/// What `GET /metrics` answers at an address to somebody who accepts this.
pub(crate) fn scrape(address: &str, accept: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let question = format!("GET /metrics HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(question.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("UTF-8");
    answer
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Standard output as JSON.
pub(crate) fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

/// What is out of order at a site.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    /// A name that the name server does not know; the one outside does.
    pub(crate) missing: Option<&'static str>,
    /// What the HTTPS servers do wrong.
    pub(crate) tls: Option<TlsFault>,
    /// What the HTTP servers do wrong.
    pub(crate) http: HttpFault,
    /// Seconds that the time server is ahead.
    pub(crate) ahead: i64,
    /// Nothing listens where the HTTPS servers should be.
    pub(crate) closed: bool,
}

/// A site with a name server, a time server, and servers for every name, on loopback.
pub(crate) struct Site {
    runtime: tokio::runtime::Runtime,
    stage: Option<Stage>,
    folder: TempDir,
    /// `--resolver`, `--connect-to` and `--ca` for it.
    pub(crate) way: Vec<String>,
    /// The URL of a name server outside.
    pub(crate) doh: String,
}

impl Site {
    /// Brings up a site that serves these names.
    pub(crate) fn new(names: &[&str], faults: Faults) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let authority = Authority::new(SystemTime::now()).expect("an authority");
        let folder = TempDir::new().expect("a folder");
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).expect("the authority's file");
        let mut stage = Stage::new(authority, SystemClock);
        let known = names.iter().filter(|name| faults.missing != Some(**name));
        let answers = all_at(Ipv4Addr::LOCALHOST, known);
        let outside = all_at(Ipv4Addr::new(192, 0, 2, 1), names.iter());
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let place = Place::v4();
        let (dns, doh, https, http, ntp, dhcp) = runtime.block_on(async {
            let tls = faults.tls.unwrap_or(TlsFault::None);
            let ahead = time::Duration::seconds(faults.ahead);
            (
                stage
                    .dns(place, answers, DnsFault::None)
                    .await
                    .expect("a name server"),
                stage
                    .dns_over_https(place, &["127.0.0.1".to_owned()], outside)
                    .await
                    .expect("a name server outside"),
                stage
                    .https(place, &names, tls)
                    .await
                    .expect("an HTTPS server"),
                stage
                    .http(place, faults.http)
                    .await
                    .expect("an HTTP server"),
                stage
                    .ntp(place, ahead, NtpFault::None)
                    .await
                    .expect("a time server"),
                dhcp(&mut stage).await,
            )
        });
        let https = if faults.closed { closed_port() } else { https };
        let way = [
            "--ca".to_owned(),
            ca.display().to_string(),
            "--resolver".to_owned(),
            dns.to_string(),
            format!("--connect-to=:443::{}", https.port()),
            format!("--connect-to=:80::{}", http.port()),
            format!("--connect-to=:123:{}:{}", ntp.ip(), ntp.port()),
            format!("--connect-to=:67:{}:{}", dhcp.ip(), dhcp.port()),
            "--hold=0".to_owned(),
        ];
        Self {
            runtime,
            stage: Some(stage),
            folder,
            way: way.to_vec(),
            doh: format!("https://{doh}/dns-query"),
        }
    }

    /// Runs `outgate check` at the site and gives its report and exit code.
    pub(crate) fn check(&self, arguments: &[&str]) -> (Json, Option<i32>) {
        let arguments = arguments
            .iter()
            .map(ToString::to_string)
            .chain(self.way.iter().cloned());
        let output = outgate(
            ["check".to_owned(), "--json".to_owned()]
                .into_iter()
                .chain(arguments),
        );
        assert!(self.folder.path().exists());
        (json(&output), output.status.code())
    }
}

/// These names, all at one address.
fn all_at<'a>(address: Ipv4Addr, names: impl Iterator<Item = &'a &'a str>) -> Answers {
    names.fold(Answers::new(), |answers, name| {
        answers.address(name, address.into()).expect("a name")
    })
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(stage) = self.stage.take() {
            self.runtime.block_on(stage.stop());
        }
    }
}

/// A DHCP server that has nothing to hand out.
async fn dhcp(stage: &mut Stage) -> SocketAddr {
    let own = Ipv4Addr::LOCALHOST;
    let settings = DhcpSettings::default();
    let started = stage.dhcp(Place::v4(), own, own, settings).await;
    started.expect("a DHCP server")
}

/// An address that nothing listens at: a port that was free a moment ago.
fn closed_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// Flow, outcome and kinds of causes of each lane of a report.
pub(crate) fn outcomes(report: &Json) -> Vec<(String, String, Vec<String>)> {
    let causes = &report["causes"];
    let lanes = report["lanes"].as_array().expect("lanes");
    lanes
        .iter()
        .map(|lane| {
            let kinds = lane["causes"]
                .as_array()
                .expect("causes")
                .iter()
                .map(|place| {
                    let place = place.as_u64().and_then(|place| usize::try_from(place).ok());
                    text(&causes[place.expect("a place")]["kind"])
                });
            (
                text(&lane["lane"]["flow"]),
                text(&lane["outcome"]),
                kinds.collect(),
            )
        })
        .collect()
}

/// A JSON string.
pub(crate) fn text(value: &Json) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("text, not {value}"))
        .to_owned()
}
