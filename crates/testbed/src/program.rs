//! Running other people's programs.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;

/// The longest that a server may take to start and a client to answer: far more than any needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The longest that a client may take from its start to its end, which is more than most do at once.
const RUN_MAX: Duration = Duration::from_secs(180);

/// Time between two looks at what a server does.
pub const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// What to do about a program that is not there.
const ADVICE: &str = "`cargo xtask test` installs it";

/// A process that does not outlive its test.
#[derive(Debug)]
pub struct Ends(pub Child);

impl Ends {
    /// Waits until it ends by itself, and gives how.
    ///
    /// # Errors
    /// As the system.
    pub fn ended(mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that runs and writes a log; ended when dropped.
#[derive(Debug)]
pub struct Program {
    process: Ends,
    log: PathBuf,
}

impl Program {
    /// Starts `command` in `folder`, where its log lies too, and waits until it answers at
    /// `address`.
    ///
    /// # Errors
    /// It is not installed, ends by itself, or does not answer within [`PATIENCE`]; then with
    /// what it has written.
    pub async fn start(
        command: &mut Command,
        folder: &Path,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let mut program = Self::spawn(command, folder, address)?;
        let give_up = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            program.go_on(give_up)?;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(program)
    }

    /// As [`Program::start`], on this thread, and until `ready` says that it answers.
    ///
    /// # Errors
    /// As [`Program::start`].
    pub fn start_until(
        command: &mut Command,
        folder: &Path,
        address: SocketAddr,
        ready: impl Fn(SocketAddr) -> bool,
    ) -> io::Result<Self> {
        let mut program = Self::spawn(command, folder, address)?;
        let give_up = Instant::now() + PATIENCE;
        while !ready(address) {
            program.go_on(give_up)?;
            std::thread::sleep(BETWEEN_LOOKS);
        }
        Ok(program)
    }

    fn spawn(command: &mut Command, folder: &Path, address: SocketAddr) -> io::Result<Self> {
        let name = command.get_program().to_owned();
        let stem = Path::new(&name).file_name().unwrap_or(&name);
        let log = folder.join(format!("{}-{}.log", stem.display(), address.port()));
        let file = File::create(&log)?;
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| io::Error::other(format!("{name:?}: {error}; {ADVICE}")))?;
        Ok(Self {
            process: Ends(child),
            log,
        })
    }

    /// Whether to wait on for its answer.
    fn go_on(&mut self, give_up: Instant) -> io::Result<()> {
        let trouble = match self.process.0.try_wait()? {
            Some(status) => format!("it ended, {status}"),
            None if Instant::now() > give_up => "it does not answer".to_owned(),
            None => return Ok(()),
        };
        Err(io::Error::other(format!("{trouble}: {}", self.log())))
    }

    /// What it has written.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Runs a client to its end, without input and in English, and gives how it ended and what it
/// wrote: first to its output, then to its errors. It is killed when the test ends first.
///
/// # Errors
/// It is not installed, or does not end within three minutes; then with what it has written.
pub async fn run(command: &mut tokio::process::Command) -> io::Result<(ExitStatus, String)> {
    let name = command.as_std().get_program().to_owned();
    let child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child =
        child.map_err(|error| io::Error::other(format!("{name:?}: {error}; {ADVICE}")))?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let (mut written, mut complained) = (Vec::new(), Vec::new());
    let ending = async {
        let read = (read(output, &mut written), read(errors, &mut complained));
        let (status, ..) = tokio::try_join!(child.wait(), read.0, read.1)?;
        Ok(status)
    };
    let ended = tokio::time::timeout(RUN_MAX, ending).await;
    written.append(&mut complained);
    let text = String::from_utf8_lossy(&written).into_owned();
    let late = |_| io::Error::other(format!("{name:?} does not end; it has written: {text}"));
    let ended: io::Result<ExitStatus> = ended.map_err(late)?;
    Ok((ended?, text))
}

/// Reads all that comes.
async fn read(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(into).await?;
    }
    Ok(())
}

/// What a program wrote: first to its output, then to its errors.
#[must_use]
pub fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Where a program of other people's lies.
///
/// # Errors
/// It is not installed.
pub fn installed(name: &str) -> io::Result<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&folders).map(|folder| folder.join(name));
    let missing = || io::Error::other(format!("{name} is missing; {ADVICE}"));
    files.find(|file| file.is_file()).ok_or_else(missing)
}

/// The folder of the Python and Node packages that tests use.
///
/// # Errors
/// Nobody has said where it is.
pub fn packages() -> io::Result<PathBuf> {
    let peers = std::env::var_os("OUTGATE_PEERS").map(PathBuf::from);
    let advice = "OUTGATE_PEERS is not set: run `cargo xtask test`, which sets it";
    peers.ok_or_else(|| io::Error::other(advice))
}

/// The Python that has the packages of most tests.
///
/// # Errors
/// As [`packages`].
pub fn python() -> io::Result<PathBuf> {
    Ok(packages()?.join("python/bin/python"))
}

/// A program of the Python environment that has packages of its own versions: `python` or
/// `mitmdump`, of `aws`, `azure` or `mitmproxy`.
///
/// # Errors
/// As [`packages`].
pub fn python_program(environment: &str, program: &str) -> io::Result<PathBuf> {
    Ok(packages()?.join(format!("python-{environment}/bin/{program}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::free;

    #[tokio::test]
    async fn a_program_that_ends_is_not_waited_for_and_what_it_said_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option >&2; exit 3"]);
        let started = Program::start(&mut command, folder.path(), free().unwrap()).await;
        let error = started.unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("no such option"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("outgate-no-such-program");
        let address = free().unwrap();
        let started = Program::start_until(&mut command, folder.path(), address, |_| true);
        let error = started.unwrap_err().to_string();
        assert!(error.contains("outgate-no-such-program"), "{error}");
        assert!(error.contains("cargo xtask test"), "{error}");
    }

    #[test]
    fn a_program_is_gone_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        let address = free().unwrap();
        let sleep = command.arg("600");
        let program = Program::start_until(sleep, folder.path(), address, |_| true).unwrap();
        let process = PathBuf::from(format!("/proc/{}", program.process.0.id()));
        assert!(process.exists());
        drop(program);
        assert!(!process.exists());
    }

    #[tokio::test]
    async fn what_a_client_wrote_is_given_with_how_it_ended() {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 4"]);
        let (status, text) = run(&mut command).await.unwrap();
        assert_eq!((status.code(), &*text), (Some(4), "out\nerr\n"));
    }
}
