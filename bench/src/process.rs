//! What the system says of a running server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

use crate::report::Figure;

/// The core that servers run on, and that which the load runs on.
pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// A server of ours to stop. It is killed when this is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `program` on the servers' core.
    pub(crate) fn start(program: &std::path::Path, arguments: &[String]) -> anyhow::Result<Self> {
        Self::writing_to(
            [Stdio::null(), Stdio::inherit()],
            SERVER_CORE,
            program,
            arguments,
        )
    }

    /// Starts `program`, a part of the load, on the load's core.
    pub(crate) fn beside_the_load(
        program: &std::path::Path,
        arguments: &[String],
    ) -> anyhow::Result<Self> {
        Self::writing_to(
            [Stdio::null(), Stdio::inherit()],
            LOAD_CORE,
            program,
            arguments,
        )
    }

    /// As [`Running::start`], with the lines that it writes to its standard error.
    pub(crate) fn told(
        program: &std::path::Path,
        arguments: &[String],
    ) -> anyhow::Result<(
        Self,
        impl Iterator<Item = std::io::Result<String>> + Send + use<>,
    )> {
        let outputs = [Stdio::null(), Stdio::piped()];
        let mut running = Self::writing_to(outputs, SERVER_CORE, program, arguments)?;
        let told = running.0.stderr.take().context("no standard error")?;
        Ok((running, BufReader::new(told).lines()))
    }

    /// As [`Running::start`], with what it writes to its standard output.
    pub(crate) fn heard(
        program: &std::path::Path,
        arguments: &[String],
    ) -> anyhow::Result<(Self, ChildStdout)> {
        let outputs = [Stdio::piped(), Stdio::inherit()];
        let mut running = Self::writing_to(outputs, SERVER_CORE, program, arguments)?;
        let output = running.0.stdout.take().context("no standard output")?;
        Ok((running, output))
    }

    fn writing_to(
        [output, errors]: [Stdio; 2],
        core: usize,
        program: &std::path::Path,
        arguments: &[String],
    ) -> anyhow::Result<Self> {
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        Ok(Self(child))
    }

    /// Seconds of processor time used so far.
    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        seconds_of(&self.0.id().to_string(), OWN)
    }

    /// Bytes of memory that it holds now.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most bytes of memory that it has held, since it began or since [`Self::forget_peak`].
    pub(crate) fn peak_bytes(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
    }

    /// Counts what it holds now as the most that it has held (proc(5), `clear_refs`).
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        let file = format!("/proc/{}/clear_refs", self.0.id());
        std::fs::write(file, "5").context("failed to forget the peak of memory")
    }

    fn memory(&self, what: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(what))
            .with_context(|| format!("no {what}"))?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kibibytes * 1024)
    }
}

/// A measurement that has begun.
pub(crate) struct Measured {
    since: Instant,
    processor: f64,
}

impl Measured {
    pub(crate) fn begin(server: &Running) -> anyhow::Result<Self> {
        Ok(Self {
            since: Instant::now(),
            processor: server.processor_seconds()?,
        })
    }

    /// So many things since the beginning, a second, and the processor's time for each.
    pub(crate) fn rate(&self, server: &Running, things: usize) -> anyhow::Result<Figure> {
        let took = self.since.elapsed();
        Ok(Figure::rate(things, took, self.processor_seconds(server)?))
    }

    /// Seconds of processor time that the server has used since the beginning.
    pub(crate) fn processor_seconds(&self, server: &Running) -> anyhow::Result<f64> {
        Ok(server.processor_seconds()? - self.processor)
    }
}

/// Where a process's own time and that of its ended children stand in `/proc/…/stat`, after the
/// name: in user mode and in the kernel (proc(5)).
const OWN: usize = 11;
const CHILDREN: usize = 13;

/// Seconds of processor time that the ended children of this process have used so far.
pub(crate) fn children_seconds() -> anyhow::Result<f64> {
    seconds_of("self", CHILDREN)
}

fn seconds_of(process: &str, field: usize) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold blanks; what follows it does not.
    let after = stat.rsplit_once(')').context("an odd /proc/…/stat")?.1;
    let ticks: f64 = after
        .split_whitespace()
        .skip(field)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux that this runs on.
    Ok(ticks / 100.0)
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keeps this process on the load's core, and lets it and its children open many files.
pub(crate) fn settle() -> anyhow::Result<()> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(LOAD_CORE);
    rustix::thread::sched_setaffinity(None, &cores).context("failed to choose a core")?;
    let resource = rustix::process::Resource::Nofile;
    let mut limit = rustix::process::getrlimit(resource);
    limit.current = limit.maximum;
    rustix::process::setrlimit(resource, limit).context("failed to raise the limit of files")?;
    Ok(())
}
