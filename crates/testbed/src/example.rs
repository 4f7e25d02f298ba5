//! Examples of a package, as somebody would run them at a terminal.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::PATIENCE;

/// How many times [`PATIENCE`] an example may take for a line: it may have to be built first.
const BUILDING: u32 = 5;

/// An example that runs; ended when dropped.
#[derive(Debug)]
pub struct Example {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    input: Option<ChildStdin>,
}

impl Example {
    /// Starts the example `name` of the package in `folder`.
    ///
    /// # Errors
    /// As the system.
    pub fn start(folder: &Path, name: &str, arguments: &[&str]) -> io::Result<Self> {
        // Cargo becomes the example, so that it ends with it.
        let mut child = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--example", name, "--"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("an example without pipes");
        let output = child.stdout.take().ok_or_else(missing)?;
        let input = child.stdin.take();
        Ok(Self {
            child,
            lines: BufReader::new(output).lines(),
            input,
        })
    }

    /// The next line that it prints.
    ///
    /// # Errors
    /// There is none, or not in time.
    pub async fn line(&mut self) -> io::Result<String> {
        let line = timeout(BUILDING * PATIENCE, self.lines.next_line()).await??;
        line.ok_or_else(|| io::Error::other("the example has ended"))
    }

    /// Types a line.
    ///
    /// # Errors
    /// It does not read.
    pub async fn say(&mut self, line: &str) -> io::Result<()> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(format!("{line}\n").as_bytes()).await?;
        input.flush().await
    }

    /// Types nothing more, and waits until it ends; whether that was well.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn end(&mut self) -> io::Result<bool> {
        self.input = None;
        Ok(timeout(PATIENCE, self.child.wait()).await??.success())
    }
}
