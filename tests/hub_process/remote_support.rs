//! Remote support from an operator's command line to a service or a shell behind an agent, and how it
//! ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc;

use outgate_testbed::{Ends, free};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::agent::{Agent, events};
use crate::process::{Hub, PATIENCE};

/// A hub, an agent that is connected to it, and a service that says in capitals what it hears.
struct Site {
    hub: Hub,
    agent: Agent,
    /// A line for each connection to the service: that it has come, and that it has gone.
    service: mpsc::Receiver<&'static str>,
    /// A port at which nobody listens, which is tried before the hub's.
    gone: u16,
    folder: TempDir,
}

/// `outgate support open` under way.
struct Opening {
    process: Ends,
    errors: BufReader<ChildStderr>,
    /// The session's name.
    session: String,
}

impl Site {
    fn new(support: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let hub = Hub::start(folder.path());
        hub.site("s");
        let token = hub.device("till");
        let (service, told) = capitals();
        let gone = free().unwrap().port();
        let more = format!(
            "[names]\nmdns = false\n[support]\n{support}\nports = [{gone}, {}]\n\
             [support.services]\npos = '{service}'\n",
            hub.port
        );
        let agent = Agent::start_with(folder.path(), hub.port, &token, &more);
        // The hub has heard it, so it can be asked.
        agent.says("started");
        events(&hub, 1);
        Self {
            hub,
            agent,
            service: told,
            gone,
            folder,
        }
    }

    /// The command line of the operator.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command
            .args(words)
            .env("OUTGATE_HUB", format!("http://127.0.0.1:{}", self.hub.port))
            .env("OUTGATE_TOKEN_FILE", self.hub.token())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn json(&self, words: &[&str]) -> Json {
        let said = self.run(&[words, &["--json"]].concat());
        assert!(said.status.success(), "{words:?}: {}", text(&said.stderr));
        serde_json::from_slice(&said.stdout).unwrap()
    }

    fn session(&self, id: &str) -> Json {
        self.json(&["support", "show", id])["session"].clone()
    }

    /// Asks for a session, to a service or a shell.
    fn open(&self, what: &[&str]) -> Opening {
        let words = [
            &["support", "open", "till", "--reason", "the till is slow"],
            what,
        ]
        .concat();
        let mut process = self
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        Opening {
            process: Ends(process),
            errors,
            session: String::new(),
        }
    }

    /// What whoever is at the device says.
    fn decides(&self, decision: &str, session: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_outgate"))
            .args(["agent", "support", decision, session, "--by", "cashier"])
            .arg("--config")
            .arg(self.agent.config())
            .output()
            .unwrap()
    }

    fn service_says(&self, what: &str) {
        assert_eq!(self.service.recv_timeout(PATIENCE).unwrap(), what);
    }
}

impl Opening {
    fn child(&mut self) -> &mut Child {
        &mut self.process.0
    }

    /// What it says until a line has that in it, which names the session first.
    fn until(&mut self, part: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            let read = self.errors.read_line(&mut line).unwrap();
            assert!(read > 0, "{said}");
            said.push_str(&line);
            if line.contains(part) {
                self.session = line.split(':').next().unwrap().to_owned();
                return said;
            }
        }
    }

    fn says(&mut self, bytes: &[u8]) {
        let input = self.child().stdin.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    fn hears(&mut self, size: usize) -> Vec<u8> {
        let mut heard = vec![0; size];
        let output = self.child().stdout.as_mut().unwrap();
        output.read_exact(&mut heard).unwrap();
        heard
    }

    /// Its end: the exit code, and what it has said on standard error.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        (self.child().wait().unwrap().code(), said)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A service that says in capitals what it hears, and tells of each connection.
fn capitals() -> (SocketAddr, mpsc::Receiver<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Nobody may want to know any more.
            let _ = tell.send("come");
            answer(stream.unwrap());
            let _ = tell.send("gone");
        }
    });
    (address, told)
}

fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(size @ 1..) = stream.read(&mut buffer) {
        let said = buffer[..size].to_ascii_uppercase();
        if stream.write_all(&said).is_err() {
            break;
        }
    }
}

#[test]
fn a_stream_to_a_service_is_allowed_at_the_device_opened_by_the_first_port_and_recorded() {
    let site = Site::new("allow = 'ask'");
    let mut opening = site.open(&["--service", "pos", "--for", "10m"]);
    opening.until("waiting until it is allowed at till");
    assert_eq!(site.session(&opening.session)["state"], "asked");
    let listed = site.agent.json("/support");
    let shown = ["session", "state", "reason", "what"].map(|name| listed[0][name].clone());
    let wanted = [
        opening.session.as_str(),
        "asked",
        "the till is slow",
        "service pos",
    ];
    assert_eq!(shown, wanted.map(Json::from));
    let allowed = site.decides("allow", &opening.session);
    assert!(allowed.status.success(), "{}", text(&allowed.stderr));
    let said = opening.until("allowed by cashier");
    assert!(said.contains(&format!("tcp {}: ", site.gone)), "{said}");
    site.service_says("come");
    opening.says(b"hello");
    assert_eq!(opening.hears(5), b"HELLO");
    let large: Vec<u8> = (0..300_000_u32).map(|at| b'a' + (at % 26) as u8).collect();
    // At once: there need not be room on the way for all of it.
    let mut input = opening.child().stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| input.write_all(&large).unwrap());
        assert_eq!(opening.hears(large.len()), large.to_ascii_uppercase());
    });
    drop(input);
    let session = opening.session.clone();
    let (code, said) = opening.ended();
    assert_eq!(code, Some(0), "{said}");
    site.service_says("gone");
    let found = site.session(&session);
    assert_eq!(
        (&found["state"], &found["port"]),
        (&json!("ended"), &json!(site.hub.port))
    );
    let sent = site.run(&["support", "recording", &session, "--as", "sent"]);
    assert!(
        sent.stdout == [b"hello", &large[..]].concat(),
        "what was sent is not recorded"
    );
    let received = site.run(&["support", "recording", &session, "--as", "received"]);
    assert_eq!(received.stdout.len(), sent.stdout.len());
}

#[test]
fn a_shell_runs_on_a_terminal_and_its_recording_is_an_asciicast() {
    let site = Site::new("allow = 'always'\nshell = ['/bin/sh']");
    let mut opening = site.open(&["--shell"]);
    opening.until("allowed by the device's policy");
    opening.says(b"tty; echo $((40 + 2)); exit\n");
    let mut said = String::new();
    let output = opening.child().stdout.as_mut().unwrap();
    output.read_to_string(&mut said).unwrap();
    assert!(
        said.contains("/dev/pts/") && said.contains("\r\n42\r\n"),
        "{said}"
    );
    let session = opening.session.clone();
    assert_eq!(opening.ended().0, Some(0));
    let cast = site.run(&["support", "recording", &session]);
    let cast = text(&cast.stdout);
    let head: Json = serde_json::from_str(cast.lines().next().unwrap()).unwrap();
    assert_eq!((&head["version"], &head["width"]), (&json!(2), &json!(80)));
    assert!(cast.contains("42\\r\\n"), "{cast}");
}

#[test]
fn either_side_ends_a_session_at_once_and_a_revocation_does() {
    let site = Site::new("allow = 'always'");
    let open = || {
        let mut opening = site.open(&["--service", "pos"]);
        opening.until("it is recorded");
        opening.says(b"a");
        assert_eq!(opening.hears(1), b"A");
        site.service_says("come");
        opening
    };
    let at_device = open();
    let ended = site.decides("end", &at_device.session);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let (code, said) = at_device.ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("ended at the device (device/till: cashier)"),
        "{said}"
    );
    site.service_says("gone");

    let by_operator = open();
    site.json(&["support", "end", &by_operator.session]);
    let (code, said) = by_operator.ended();
    assert_eq!(code, Some(3), "{said}");
    site.service_says("gone");

    let by_revocation = open();
    let revoked = site.run(&["device", "revoke", "till", "--yes"]);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    let session = by_revocation.session.clone();
    let (code, said) = by_revocation.ended();
    assert_eq!(code, Some(3), "{said}");
    site.service_says("gone");
    assert_eq!(site.session(&session)["state"], "ended");
}

#[test]
fn what_is_refused_or_not_recorded_is_never_opened() {
    let site = Site::new("allow = 'ask'");
    let (code, said) = site.open(&["--service", "other"]).ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("names no service other"), "{said}");
    let (code, said) = site.open(&["--shell"]).ended();
    assert_eq!(code, Some(3), "{said}");

    let mut opening = site.open(&["--service", "pos"]);
    opening.until("waiting");
    let refused = site.decides("refuse", &opening.session);
    assert!(refused.status.success(), "{}", text(&refused.stderr));
    let (code, said) = opening.ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("not allowed at the device"), "{said}");

    // A file stands where recordings should.
    let recordings = site.folder.path().join("data/support");
    std::fs::remove_dir_all(&recordings).unwrap();
    std::fs::write(&recordings, "").unwrap();
    let mut opening = site.open(&["--service", "pos"]);
    opening.until("waiting");
    site.decides("allow", &opening.session);
    let (code, said) = opening.ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("nothing can be recorded"), "{said}");
    assert!(site.service.try_recv().is_err(), "the service was reached");
}
