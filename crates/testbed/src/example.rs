//! Examples of a package, as somebody would run them at a terminal.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

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
        let mut command = if let Some(program) = built(name) {
            Command::new(program)
        } else {
            // Cargo becomes the example, so that it ends with it.
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "--quiet", "--example", name, "--"]);
            cargo
        };
        let mut child = command
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

/// The example as it was built with the tests, if it was since its sources changed: building it beside
/// them takes from them, and from tests that run at the same time, what they need.
fn built(name: &str) -> Option<PathBuf> {
    // Tests lie in `deps`, beside `examples`.
    let tests = std::env::current_exe().ok()?;
    let program = tests.parent()?.parent()?.join("examples").join(name);
    let since = changed(&program)?;
    let sources = std::fs::read_to_string(program.with_extension("d")).ok()?;
    is_newer(since, &sources).then_some(program)
}

/// Whether nothing has changed since then of what a list of sources names, as Make reads it. Spaces in
/// names are escaped there; such a name is not found, and so is nothing that has not changed.
fn is_newer(since: SystemTime, sources: &str) -> bool {
    let Some((_, sources)) = sources.split_once(": ") else {
        return false;
    };
    sources
        .split_whitespace()
        .all(|source| changed(Path::new(source)).is_some_and(|changed| changed <= since))
}

fn changed(file: &Path) -> Option<SystemTime> {
    file.metadata().ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_example_is_as_it_was_built_until_a_source_of_it_changes_or_goes() {
        let folder = tempfile::tempdir().unwrap();
        let sources: Vec<_> = ["a.rs", "b.rs"].map(|name| folder.path().join(name)).into();
        for source in &sources {
            std::fs::write(source, "").unwrap();
        }
        let list = format!("chat: {} {}\n", sources[0].display(), sources[1].display());
        let last = sources.iter().filter_map(|source| changed(source)).max();
        let last = last.unwrap();
        assert!(is_newer(last, &list));
        assert!(!is_newer(last - Duration::from_secs(1), &list));
        assert!(!is_newer(last, ""));
        std::fs::remove_file(&sources[1]).unwrap();
        assert!(!is_newer(last, &list));
    }
}
