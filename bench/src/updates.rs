//! Updates over TLS: devices that ask what is due, as Mender's clients do, and fetch a release,
//! beside nginx, which serves the same file and asks nobody who they are.
//!
//! Each server is started anew in each round. A figure is the median of its rounds.

mod artifact;
mod contenders;

use std::path::Path;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::http::Http;
use crate::process::Measured;
use crate::report::{Figure, Report, median};
use crate::servers::{Programs, Stage};
use artifact::Artifact;
use contenders::{AGAINST, Contender, Fleet, Server};

/// How often everything is measured.
const ROUNDS: usize = 3;

/// How many devices there are.
const DEVICES: usize = 1_000;

/// How often each asks what is due.
const POLLS: usize = 20;

/// How many fetch the release at a time.
const AT_A_TIME: usize = 16;

/// Bytes of what the release installs.
const PAYLOAD: usize = 50_000_000;

const MEBIBYTE: usize = 1 << 20;

/// Measures, prints, and writes JSON to `json`.
pub(crate) async fn run(
    programs: &Programs,
    share: usize,
    json: Option<&Path>,
) -> anyhow::Result<()> {
    let artifact = Artifact::make(PAYLOAD)?;
    let mut report = Report::new(AGAINST);
    let mut measured: Vec<(&'static str, &'static str, Vec<Figure>)> = Vec::new();
    for _ in 0..if share == 1 { ROUNDS } else { 1 } {
        for contender in Contender::ALL {
            let name = contender.name();
            let stage = Stage::new()?;
            let server = contender.start(programs, &stage, &artifact).await;
            let server = server.with_context(|| format!("{name} does not start"))?;
            let figures = of(&server, &artifact, DEVICES / share).await;
            for (what, figure) in figures.with_context(|| name)? {
                let same = |(other, of, _): &&mut (&str, &str, _)| *other == what && *of == name;
                match measured.iter_mut().find(same) {
                    Some((.., figures)) => figures.push(figure),
                    None => measured.push((what, name, vec![figure])),
                }
            }
        }
    }
    for (what, of, figures) in measured {
        report.add(what, of, median(figures)?);
    }
    report.print()?;
    report.say_how_to_repeat("updates", share, "")?;
    json.map_or(Ok(()), |file| report.write_json(file))
}

/// What is measured of one server with so many devices.
async fn of(
    server: &Server,
    artifact: &Artifact,
    devices: usize,
) -> anyhow::Result<Vec<(&'static str, Figure)>> {
    let mut figures = Vec::new();
    let mut paths = vec![contenders::PATH.to_owned(); devices];
    if let Some(administration) = &server.administration {
        let mut fleet = Fleet::gather(server, administration, devices).await?;
        let measured = Measured::begin(&server.running)?;
        fleet.poll(POLLS).await?;
        let rate = measured.rate(&server.running, devices * POLLS)?;
        figures.push(("polls with nothing due", rate));
        administration.add_release(artifact).await?;
        administration.deploy_to_all().await?;
        let measured = Measured::begin(&server.running)?;
        paths = fleet.poll(POLLS).await?;
        let rate = measured.rate(&server.running, devices * POLLS)?;
        figures.push(("polls with a release due", rate));
        let held = server.running.resident_bytes()?;
        figures.push(("memory with the devices connected", Figure::bytes(held)));
    }
    ensure!(paths.len() == devices, "not every device has an address");
    server.running.forget_peak()?;
    let measured = Measured::begin(&server.running)?;
    stream::iter(paths.iter().map(|path| fetch(server, path, artifact.bytes)))
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    let mebibytes = devices * artifact.bytes / MEBIBYTE;
    let rate = measured.rate(&server.running, mebibytes)?;
    figures.push(("downloads, each over a connection of its own, MiB", rate));
    let peak = Figure::bytes(server.running.peak_bytes()?);
    figures.push(("downloads: peak of memory", peak));
    Ok(figures)
}

/// Fetches the release over a connection of its own.
async fn fetch(server: &Server, path: &str, bytes: usize) -> anyhow::Result<()> {
    let mut http = Http::open(&server.target).await?;
    http.ask(&format!("GET {path} HTTP/1.1\n")).await?;
    let answer = http.answer().await?.well()?;
    let came = http.body(&answer).await?;
    ensure!(came == bytes, "{came} bytes came");
    Ok(())
}

impl Fleet {
    /// Every device asks so many times what is due. Gives the path of the release of each that has
    /// one at last.
    async fn poll(&mut self, times: usize) -> anyhow::Result<Vec<String>> {
        let devices = self.devices.iter_mut();
        let polled = devices.map(|device| async move {
            let mut path = None;
            for _ in 0..times {
                path = device.poll().await?;
            }
            anyhow::Ok(path)
        });
        let paths = try_join_all(polled).await?;
        Ok(paths.into_iter().flatten().collect())
    }
}
