//! From an empty folder to a hub that listens, with its own authority, its store and its first
//! operator made on the way.

use std::io::{BufRead as _, BufReader, Write as _};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::process::Running;
use crate::report::percentile;
use crate::servers::Programs;

/// How often it is started.
const ROUNDS: usize = 200;

/// What it says once it listens.
const LISTENING: &str = "listening on ";

/// Measures and prints.
pub(crate) fn run(programs: &Programs, share: usize) -> anyhow::Result<()> {
    let rounds = ROUNDS / share;
    let mut times = (0..rounds)
        .map(|_| once(programs))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    writeln!(
        std::io::stdout().lock(),
        "{rounds} starts; from an empty folder to the line that says where it listens: \
         p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        milliseconds(percentile(&mut times, 50)),
        milliseconds(percentile(&mut times, 99)),
        milliseconds(percentile(&mut times, 100)),
    )?;
    Ok(())
}

/// How long one start takes.
fn once(programs: &Programs) -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("hub.toml");
    std::fs::write(
        &config,
        "[[listen]]\naddress = '127.0.0.1:0'\n[logs]\nfilter = 'warn'\n",
    )?;
    let data = folder.path().join("data");
    let arguments = ["hub", "--config", &config.display().to_string(), "--data"]
        .map(str::to_owned)
        .into_iter()
        .chain([data.display().to_string()]);
    let arguments: Vec<String> = arguments.collect();
    let began = Instant::now();
    let (_running, output) = Running::heard(&programs.outgate, &arguments)?;
    for line in BufReader::new(output).lines() {
        if line?.starts_with(LISTENING) {
            return Ok(began.elapsed());
        }
    }
    None.context("the hub ended before it listened; start it by hand to see why")
}
