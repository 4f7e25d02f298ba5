//! OpenSSH's server: its configuration, its key, and a process of it for each connection.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::io::{AsyncRead, AsyncReadExt as _, copy};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::SwitchError;
use super::files::make_folder;
use super::processes::Processes;
use super::trust;
use crate::config::{self, Certificates};
use crate::disk;

/// Its files in the folder.
const CONFIGURATION: &str = "sshd_config";
const HOST_KEY: &str = "host_key";
/// The same while it is made.
const NEW_KEY: &str = "host_key.new";
const HOST_KEY_PUBLIC: &str = "host_key.pub";

/// Where it wants a folder that is empty, when it is run by root; Debian's is made with its service,
/// which is not used here.
const SEPARATION: &str = "/run/sshd";

/// How long a session may take to end in good order.
const GRACE: Duration = Duration::from_secs(2);

/// How long a program may take that only looks or makes a key.
const SOON: Duration = Duration::from_secs(30);

/// The most bytes that are read of what a server writes at a time, and shown of what it complains of.
const MAX_SAID: usize = 4_096;

/// OpenSSH's server, as the agent has it.
#[derive(Debug)]
pub(super) struct Sshd {
    config: config::Ssh,
    folder: PathBuf,
}

impl Sshd {
    pub(super) fn new(config: config::Ssh, folder: PathBuf) -> Self {
        Self { config, folder }
    }

    pub(super) fn config(&self) -> &config::Ssh {
        &self.config
    }

    /// What the device's key is known by, if it was made already.
    pub(super) fn host_key(&self) -> Option<String> {
        let line = fs::read_to_string(self.folder.join(HOST_KEY_PUBLIC)).ok()?;
        let key = outgate_wire::ssh::PublicKey::read(&line).ok()?;
        let digest = ring::digest::digest(&ring::digest::SHA256, key.bytes());
        Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(digest)))
    }

    /// Whether the hub has told whose certificates count; nothing where it is not asked.
    pub(super) fn has_hubs_word(&self) -> Option<bool> {
        (self.config.certificates == Certificates::Hub)
            .then(|| self.folder.join(trust::FILE).exists())
    }

    /// Writes what it needs, and has it say whether it can be used.
    pub(super) async fn prepare(&self) -> Result<(), SwitchError> {
        let failed = |source| SwitchError::Folder(Arc::new(source));
        make_folder(&self.folder).map_err(failed)?;
        if rustix::process::geteuid().is_root() {
            // It says by itself if it still misses something.
            let _ = DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(SEPARATION);
        }
        let key = self.folder.join(HOST_KEY);
        if !key.exists() {
            self.make_key(&key).await?;
        }
        let configuration = self.folder.join(CONFIGURATION);
        disk::write(&configuration, self.configuration().as_bytes()).map_err(failed)?;
        let mut test = self.command();
        let tested = within(test.arg("-t")).await;
        let tested = tested.map_err(|error| {
            let program = self.config.program.display();
            SwitchError::Server(format!("{program} does not start: {error}"))
        })?;
        match tested.status.success() {
            true => Ok(()),
            false => Err(SwitchError::Server(said(&tested))),
        }
    }

    async fn make_key(&self, key: &Path) -> Result<(), SwitchError> {
        // Beside its place, so that it is there whole or not at all, whenever the power fails.
        let new = self.folder.join(NEW_KEY);
        let _ = fs::remove_file(&new);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", "outgate", "-f"]);
        let made = within(command.arg(&new)).await;
        match made {
            Ok(made) if made.status.success() => {
                let public = self.folder.join(HOST_KEY_PUBLIC);
                let placed = place(&self.folder.join(format!("{NEW_KEY}.pub")), &public);
                let placed = placed.and_then(|()| place(&new, key));
                placed.map_err(|source| SwitchError::Folder(Arc::new(source)))
            }
            Ok(made) => Err(SwitchError::Server(said(&made))),
            Err(error) => Err(SwitchError::Server(format!(
                "ssh-keygen, which makes its key, does not start: {error}"
            ))),
        }
    }

    /// Its configuration. Everything that lets somebody in, or lets them do more than work at a
    /// terminal and carry files, is said, whatever the server was built with.
    fn configuration(&self) -> String {
        let config = &self.config;
        let own = |name: &str| quoted(&self.folder.join(name));
        let keys = config.keys.as_deref().map_or_else(none, quoted);
        let authority = match &config.certificates {
            Certificates::Hub => own(trust::FILE),
            Certificates::File(file) => quoted(file),
            Certificates::Nobodys => none(),
        };
        let root = match config.users.iter().any(|user| user == "root") {
            true => "prohibit-password",
            false => "no",
        };
        let forwarding = match config.forwarding {
            true => "yes",
            false => "no",
        };
        let (host_key, users) = (own(HOST_KEY), config.users.join(" "));
        format!(
            "# Written anew by the agent whenever SSH is switched on.
HostKey {host_key}
PidFile none
AllowUsers {users}
PermitRootLogin {root}
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
PermitEmptyPasswords no
UsePAM no
AuthorizedKeysFile {keys}
TrustedUserCAKeys {authority}
AuthorizedPrincipalsFile none
StrictModes yes
LoginGraceTime 30
MaxAuthTries 4
MaxSessions 8
ClientAliveInterval 15
ClientAliveCountMax 4
AllowTcpForwarding {forwarding}
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
GatewayPorts no
PermitUserEnvironment no
PermitUserRC no
UseDNS no
LogLevel VERBOSE
Subsystem sftp internal-sftp
"
        )
    }

    /// The server with its configuration, and none of the agent's environment but the way to programs.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.config.program);
        command
            .arg("-e")
            .arg("-f")
            .arg(self.folder.join(CONFIGURATION));
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }

    /// Has it speak with whoever is at the other end of `stream`, until one of them ends that or
    /// `over` is true. Nothing of the session is left then, unless who was logged in has detached it
    /// from the session.
    pub(super) async fn serve(
        &self,
        stream: TcpStream,
        over: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let (mut child, ours) = self.spawn()?;
        let complaints = child.stderr.take();
        let serving = carry(&mut child, stream, ours, over);
        let processes = tokio::select! {
            processes = serving => processes,
            never = log(complaints) => match never {},
        };
        // It has lost its connection, and ends what it has begun.
        let ended = tokio::time::timeout(GRACE, child.wait()).await;
        if let Some(processes) = processes {
            // It waits; one that the kernel holds up ends later.
            let _ = tokio::task::spawn_blocking(move || processes.kill(GRACE)).await;
        }
        if ended.is_err() {
            child.kill().await?;
        }
        Ok(())
    }

    /// A process that serves one connection, and its end of that. It knows no address: it does not
    /// have the connection itself.
    fn spawn(&self) -> io::Result<(Child, UnixStream)> {
        let (ours, its) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = self
            .command()
            .arg("-i")
            .stdin(OwnedFd::from(its.try_clone()?))
            .stdout(OwnedFd::from(its))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok((child, UnixStream::from_std(ours)?))
    }
}

/// Puts a file that was made beside its place there, and on the disk.
fn place(made: &Path, at: &Path) -> io::Result<()> {
    fs::File::open(made)?.sync_all()?;
    fs::rename(made, at)?;
    at.parent()
        .map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Carries what both ends say. When that is to be over, gives the processes of the session, and both
/// have lost their connection; likewise when the other end has gone.
async fn carry(
    child: &mut Child,
    mut stream: TcpStream,
    mut ours: UnixStream,
    mut over: watch::Receiver<bool>,
) -> Option<Processes> {
    let number = child.id();
    let is_over = async {
        // The switch is there for longer than its connections.
        let _ = over.wait_for(|over| *over).await;
        number.map(Processes::below)
    };
    let ((mut heard, mut told), (mut said, mut asked)) = (stream.split(), ours.split());
    let mut up = pin!(copy(&mut heard, &mut asked));
    let mut down = pin!(copy(&mut said, &mut told));
    tokio::select! {
        // Looked at before it learns that nobody is there any more: what it leaves behind then has
        // no parent by which it would be found.
        _ = &mut up => number.map(Processes::below),
        _ = &mut down => None,
        processes = is_over => processes,
        _ = child.wait() => {
            // For its last words.
            let _ = tokio::time::timeout(GRACE, &mut down).await;
            None
        }
    }
}

/// Passes on what it complains of, for ever.
async fn log(from: Option<impl AsyncRead + Unpin>) -> std::convert::Infallible {
    let mut bytes = vec![0; MAX_SAID];
    if let Some(mut from) = from {
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
            for line in text.lines() {
                tracing::info!("sshd: {}", line.trim_end());
            }
        }
    }
    std::future::pending().await
}

/// Runs a program to its end, which must come soon.
async fn within(command: &mut Command) -> io::Result<Output> {
    let ran = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let late = |_| io::Error::new(ErrorKind::TimedOut, "it does not end");
    tokio::time::timeout(SOON, ran).await.map_err(late)?
}

/// What a program has complained of, in one line.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let text = lines.join("; ");
    let text: String = text.chars().filter(|sign| !sign.is_control()).collect();
    match text.is_empty() {
        true => format!("it ended, {}", output.status),
        false => text.chars().take(MAX_SAID).collect(),
    }
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

fn none() -> String {
    "none".to_owned()
}
