//! The pages of `outgate agent` on site: where they are, who sees them, who may change something, and
//! what Chromium makes of them.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use outgate_testbed::Ends;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::support::{json, outgate, stderr, stdout};

mod browser;
#[cfg(feature = "namespaces")]
mod network;

/// An agent that runs, with its pages.
struct Agent {
    folder: TempDir,
    /// Where its pages are: which, and the URL.
    pages: Vec<(String, String)>,
    _process: Ends,
}

impl Agent {
    /// Starts one with this at the end of its configuration, and waits until it listens. `before` is
    /// put before the command.
    fn start(more: &str, before: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let at = folder.path().display();
        std::fs::write(folder.path().join("token"), "x").unwrap();
        std::fs::write(folder.path().join("box.yaml"), BOX).unwrap();
        let text = format!(
            "hub = 'http://127.0.0.1:1'\ntoken-file = '{at}/token'\ndata = '{at}/agent'\n\
             [proxy]\nurl = 'none'\n[local]\nsocket = '{at}/agent.sock'\n{more}"
        );
        let config = folder.path().join("agent.toml");
        std::fs::write(&config, text.replace("FOLDER", &at.to_string())).unwrap();
        let log = std::fs::File::create(folder.path().join("agent.log")).unwrap();
        let program = env!("CARGO_BIN_EXE_outgate");
        let mut words = before
            .iter()
            .copied()
            .chain([program, "agent", "run", "--config"]);
        let mut process = Command::new(words.next().unwrap())
            .args(words)
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut pages = Vec::new();
        let mut listens = false;
        // The pages are told before the socket.
        for line in lines.map_while(Result::ok) {
            if let Some((page, url)) = line.split_once(" page on ") {
                pages.push((page.to_owned(), url.to_owned()));
            }
            listens = line.starts_with("listening on");
            if listens {
                break;
            }
        }
        let told = std::fs::read_to_string(folder.path().join("agent.log")).unwrap();
        assert!(listens, "the agent does not listen: {told}");
        Self {
            folder,
            pages,
            _process: Ends(process),
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    fn url(&self, page: &str) -> &str {
        let mut found = self.pages.iter();
        &found.find(|(kind, _)| kind == page).unwrap().1
    }

    /// What a command of the agent's says.
    fn says(&self, command: &[&str]) -> Output {
        let mut words = vec!["agent"];
        words.extend(command);
        let config = self.config().display().to_string();
        words.extend(["--config", &config]);
        outgate(words)
    }

    fn status(&self) -> Json {
        json(&self.says(&["status", "--json"]))["agent"].clone()
    }

    /// A fresh one-time code.
    fn code(&self) -> String {
        let said = self.says(&["code"]);
        assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
        stdout(&said).trim().to_owned()
    }

    /// Sets the password.
    fn set_password(&self, password: &str) {
        let given = self.folder.path().join("given");
        std::fs::write(&given, format!("{password}\n")).unwrap();
        let set = Command::new(env!("CARGO_BIN_EXE_outgate"))
            .args(["agent", "password", "--config"])
            .arg(self.config())
            .stdin(std::fs::File::open(given).unwrap())
            .output()
            .unwrap();
        assert_eq!(set.status.code(), Some(0), "{}", stderr(&set));
    }
}

/// What curl says: the status and the answer, with its head.
fn curl(words: &[&str], url: &str) -> (u16, String) {
    let answer = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--noproxy", "*"])
        .args(["--max-time", "60", "--write-out", "\n%{http_code}"])
        .args(words)
        .arg(url)
        .output()
        .unwrap();
    assert!(answer.status.success(), "{url}: {}", stderr(&answer));
    let said = stdout(&answer);
    let (said, status) = said.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), said.to_owned())
}

/// A form as a browser would send it from the page itself.
fn post(words: &[&str], at: &str, path: &str) -> (u16, String) {
    let origin = format!("origin: {at}");
    let mut all = vec!["--header", &origin, "--request", "POST"];
    all.extend(words);
    curl(&all, &format!("{at}{path}"))
}

/// Pages on loopback, of a product without servers, so that a check sends nothing anywhere.
const PAGES: &str = "[product]\nprofile = 'FOLDER/box.yaml'\n\
    [page]\nlisten = ['127.0.0.1:0']\nconnector-listen = ['127.0.0.1:0']\n\
    password-file = 'FOLDER/password'\n";

/// A product whose check finds one fault: nobody listens there.
const BOX: &str = "manifest: 1
product: { id: box, name: Box of Boxes, vendor: Boxes }
source: { document: box, language: en }
parties: { device: { at: site, name: { en: Box } } }
flows:
  cloud: { from: device, to: [127.0.0.1], speaks: { http: 1 }, need: required, why: { en: x } }
";

/// An agent with pages on loopback.
fn box_agent() -> Agent {
    Agent::start(PAGES, &[])
}

#[test]
fn who_knows_neither_the_password_nor_a_code_changes_nothing_and_is_slowed() {
    let agent = box_agent();
    let code = format!("secret={}", agent.code());
    let at = agent.url("diagnostics");
    let (status, said) = post(&[], at, "/check");
    assert_eq!(status, 303, "{said}");
    assert!(said.to_lowercase().contains("location: /login"), "{said}");
    let never = curl(&[], &format!("{at}/check")).1;
    assert!(never.contains("has not been run"), "{never}");
    for _ in 0..5 {
        let (status, said) = post(&["--data", "secret=0000-0000"], at, "/login");
        assert_eq!(status, 401, "{said}");
        assert!(!said.to_lowercase().contains("set-cookie"), "{said}");
    }
    // What is right does not count any more either.
    let (status, said) = post(&["--data", &code], at, "/login");
    assert_eq!(status, 429, "{said}");
    assert!(said.to_lowercase().contains("retry-after: "), "{said}");
}

#[test]
fn forms_of_other_pages_are_refused_whoever_is_logged_in() {
    let agent = box_agent();
    let at = agent.url("diagnostics").to_owned();
    let jar = agent.folder.path().join("jar").display().to_string();
    let kept = ["--cookie", &jar, "--cookie-jar", &jar];
    let code = format!("secret={}", agent.code());
    let mut words = kept.to_vec();
    words.extend(["--data", &code]);
    assert_eq!(post(&words, &at, "/login").0, 303);
    let jarred = std::fs::read_to_string(&jar).unwrap();
    assert!(jarred.contains("#HttpOnly_127.0.0.1"), "{jarred}");
    let other = agent.url("connector");
    for origin in ["http://evil.example", other, "null", ""] {
        let header = format!("origin: {origin}");
        let mut words = kept.to_vec();
        if !origin.is_empty() {
            words.extend(["--header", &header]);
        }
        words.extend(["--request", "POST"]);
        let (status, said) = curl(&words, &format!("{at}/check"));
        assert_eq!(status, 403, "{origin}: {said}");
    }
    let mut rebound = kept.to_vec();
    rebound.extend(["--header", "host: evil.example"]);
    rebound.extend([
        "--header",
        "origin: http://evil.example",
        "--request",
        "POST",
    ]);
    assert_eq!(curl(&rebound, &format!("{at}/check")).0, 421);
    // Nothing of all that has begun a check, and the page itself may.
    let never = curl(&kept, &format!("{at}/check")).1;
    assert!(never.contains("has not been run"), "{never}");
    let (status, said) = post(&kept, &at, "/check");
    assert!(
        status == 303 && said.to_lowercase().contains("location: /check"),
        "{said}"
    );
}

#[test]
fn a_code_is_good_for_one_login() {
    let agent = box_agent();
    let at = agent.url("diagnostics");
    let code = format!("secret={}", agent.code());
    assert_eq!(post(&["--data", &code], at, "/login").0, 303);
    assert_eq!(post(&["--data", &code], at, "/login").0, 401);
}

#[test]
fn the_password_is_written_for_nobody_to_read() {
    let agent = box_agent();
    agent.set_password("correct horse");
    let kept = std::fs::read_to_string(agent.folder.path().join("password")).unwrap();
    assert!(kept.starts_with("$pbkdf2-sha256$i="), "{kept}");
    assert!(!kept.contains("horse"), "{kept}");
    let at = agent.url("diagnostics");
    let tried = |entry: &str| post(&["--data", entry], at, "/login").0;
    assert_eq!(tried("secret=wrong+horse"), 401);
    assert_eq!(tried("secret=correct+horse"), 303);
}
