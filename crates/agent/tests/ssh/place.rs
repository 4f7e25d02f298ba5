//! A device on a machine of its own: an account, keys, an agent with its switch.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use outgate_agent::agent::Agent;
use outgate_agent::config::Config;
use outgate_agent::status::{Ssh, SshState, Status};
use outgate_probe::Proxying;
use outgate_testbed::{BETWEEN_LOOKS, OwnMachine, PATIENCE, installed};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

/// Whoever may log in.
pub(crate) const ACCOUNT: &str = "technician";

/// A hub that is not there: nothing listens at the first port.
pub(crate) const NO_HUB: &str = "http://127.0.0.1:1";

/// How long it is switched on for.
pub(crate) const WHILE: Duration = Duration::from_secs(600);

/// Where everything of a test lies; only this machine has it.
const FOLDER: &str = "/run/place";

/// A device's place.
pub(crate) struct Place {
    folder: PathBuf,
    program: PathBuf,
}

impl Place {
    /// Makes the account and its key, and looks for OpenSSH's server. An ordinary user is the only
    /// one on a machine of their own, so that there the server is run as the account itself.
    pub(crate) fn new(machine: &OwnMachine) -> Self {
        let folder = PathBuf::from(FOLDER);
        let server = installed("sshd").unwrap();
        let lib = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
        let alone = is_alone();
        let owner = if alone { 0 } else { 1_000 };
        let account = format!("{ACCOUNT}:x:1000:1000::{FOLDER}/home:/bin/sh");
        machine
            .shell(&format!(
                "mkdir -p -m 755 {FOLDER}/home
                chown {owner}:{owner} {FOLDER}/home
                echo '{account}' >> /etc/passwd
                grep -q '^sshd:' /etc/passwd || echo 'sshd:x:990:65534::/run/sshd:/bin/false' >> /etc/passwd"
            ))
            .unwrap();
        let as_account = if alone {
            "unshare --user --map-user=1000 "
        } else {
            ""
        };
        let program = folder.join("sshd");
        let script = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH='{lib}' exec {as_account}{} \"$@\"\n",
            server.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let place = Self { folder, program };
        place.key("own");
        fs::copy(place.file("own.pub"), place.file("home/keys")).unwrap();
        fs::set_permissions(place.file("home/keys"), Permissions::from_mode(0o644)).unwrap();
        place
    }

    /// One that was made already.
    pub(crate) fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            program: folder.join("sshd"),
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a key of that name.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        let file = self.file(name);
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&file);
        assert!(command.status().unwrap().success());
        file
    }

    /// A configuration of an agent, with what stands under `[ssh]`.
    pub(crate) fn config(&self, name: &str, hub: &str, token: &str, ssh: &str) -> Config {
        let token_file = self.file(&format!("{name}.token"));
        fs::write(&token_file, token).unwrap();
        let text = format!(
            "hub = '{hub}'\ntoken-file = '{}'\ndata = '{}'\n[ssh]\nusers = ['{ACCOUNT}']\n\
             listen = ['127.0.0.1:0']\nprogram = '{}'\n{ssh}\n",
            token_file.display(),
            self.file(name).display(),
            self.program.display(),
        );
        Config::parse(&text).unwrap()
    }

    /// An agent without a hub, for the account's own key.
    pub(crate) async fn agent(&self) -> Agent {
        let ssh = format!("keys = '{}'", self.file("home/keys").display());
        start(&self.config("agent", NO_HUB, "token", &ssh)).await
    }

    /// An SSH client with a key, for the account; it never asks anybody.
    pub(crate) fn ssh(&self, key: &Path, to: SocketAddr, options: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ]);
        command.args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ]);
        command
            .args(["-o", "LogLevel=ERROR"])
            .args(options)
            .arg("-i")
            .arg(key);
        command.args([
            "-p",
            &to.port().to_string(),
            &format!("{ACCOUNT}@{}", to.ip()),
        ]);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// What a client with that key is answered.
    pub(crate) async fn answered(
        &self,
        key: &Path,
        to: SocketAddr,
        options: &[&str],
    ) -> (bool, String) {
        let mut command = self.ssh(key, to, options);
        command.arg("echo I am $USER");
        let (status, said) = outgate_testbed::run(&mut command.into()).await.unwrap();
        (status.success(), said.trim().to_owned())
    }

    /// A session that says that it is there and would go on for long.
    pub(crate) async fn session(&self, to: SocketAddr, options: &[&str]) -> Session {
        let mut command = self.ssh(&self.file("own"), to, options);
        command.arg("echo here; sleep 600; echo over");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        let mut client = command.kill_on_drop(true).spawn().unwrap();
        let said = BufReader::new(client.stdout.take().unwrap()).lines();
        let mut session = Session { client, said };
        assert_eq!(session.line().await.as_deref(), Some("here"));
        session
    }
}

/// Somebody who is logged in.
pub(crate) struct Session {
    client: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Session {
    async fn line(&mut self) -> Option<String> {
        let line = timeout(PATIENCE, self.said.next_line()).await;
        line.expect("a line or the end").unwrap()
    }

    /// Waits until the session is cut: the client says nothing more, and that it was.
    pub(crate) async fn ends_cut(mut self) {
        assert_eq!(self.line().await, None);
        assert_eq!(self.client.wait().await.unwrap().code(), Some(255));
    }
}

pub(crate) async fn start(config: &Config) -> Agent {
    let no_manifest = Arc::new(|| Err("there is none".to_owned()));
    let started = Agent::start(config, Proxying::default(), no_manifest);
    started.await.unwrap()
}

/// Waits until the board shows it.
pub(crate) async fn shown(agent: &Agent, wanted: impl Fn(&Ssh) -> bool) -> Status {
    let mut watch = agent.device().watch();
    let seen = watch.wait_for(|status| status.ssh.as_ref().is_some_and(&wanted));
    let seen = timeout(PATIENCE, seen).await;
    seen.expect("the board shows it").unwrap().clone()
}

/// Switches it on, and gives where it listens.
pub(crate) async fn on(agent: &Agent) -> SocketAddr {
    agent.ssh().unwrap().on(WHILE, "a test").await.unwrap();
    let status = agent.device().status().ssh.unwrap();
    assert_eq!(status.state, SshState::On);
    assert_eq!(status.by.as_deref(), Some("a test"));
    status.listen[0].parse().unwrap()
}

/// How many processes of that name run; nobody else's are on a machine of one's own.
pub(crate) fn running(name: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|one| fs::read_to_string(one.path().join("stat")).ok());
    // One that has ended and for which nobody has waited does not run (proc(5)).
    let runs = |stat: &String| {
        let (before, state) = stat.rsplit_once(") ").unwrap();
        before.ends_with(&format!("({name}")) && !state.starts_with('Z')
    };
    stats.filter(runs).count()
}

/// Waits until so many processes of that name run.
pub(crate) async fn run(name: &str, count: usize) {
    let counting = async {
        while running(name) != count {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    let counted = timeout(PATIENCE, counting).await;
    assert!(counted.is_ok(), "{} of {name} run", running(name));
}

/// Whether root is the only one on this machine.
fn is_alone() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let count = map.split_whitespace().nth(2);
    count == Some("1")
}
