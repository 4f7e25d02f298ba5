//! `outgate demo`.

mod cloud;
mod day;
mod sites;
mod stage;
mod step;
mod till;
mod told;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Args;
use futures_util::future::join_all;
use indicatif::MultiProgress;
use outgate_check::{Heading, Language, MAX_CONCURRENT, Plan, Report};
use outgate_manifest::view::NEWEST;
use outgate_probe::{ConnectTo, Path, PathConfig, Roots};
use outgate_standin::{Authority, Stage, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::check::{exercise, runtime};
use crate::commands::demo::cloud::Cloud;
use crate::commands::demo::stage::{Scene, names, props};
use crate::commands::demo::till::Names;
use crate::commands::demo::told::Told;
use crate::library;
use crate::output::{Failure, say};
use crate::progress::Progress;

/// The product whose device has a day at the hub, beside the check of its lanes.
const WITH_TILL: &str = "open-pos";

/// `outgate demo`: play all servers on this machine and check products against them.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate demo
  outgate demo open-pos homag-cube --once
  outgate demo open-pos --once --json

The cloud end is a hub, the rest are stand-ins, all on loopback, with certificates of an authority
made on the spot. Nothing leaves this machine. Of Open POS only another till is a stand-in: all lanes
of its cloud lead to the hub, which a till and its vendor use too, step by step. A factory with a
HOMAG CUBE and a shop with three tills run agents, and an office has a terminal of Capitech, which
speaks as Azure's devices do: in network namespaces behind routers that let nothing in, where this
user may have some, otherwise on loopback.
Without --once the servers stay up after the tables, until Ctrl-C.

Exit codes with --once: those of `outgate check`; 1 when a step failed")]
pub(crate) struct DemoArgs {
    /// The products to play [default: all that are built in]
    #[arg(value_name = "PROFILE")]
    profiles: Vec<String>,
    /// End after the tables, with the exit code of the checks
    #[arg(long)]
    once: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// This process is in namespaces of its own, plays the sites, and tells what happened there
    #[arg(long, hide = true, value_name = "FILE")]
    sites_to: Option<PathBuf>,
}

impl DemoArgs {
    pub(crate) fn run(mut self) -> Result<ExitCode, Failure> {
        if let Some(told) = &self.sites_to {
            sites::inside(&self.profiles, told).map_err(Failure::Internal)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.profiles.is_empty() {
            self.profiles = library::ids().map(str::to_owned).collect();
        }
        let (mut scenes, mut plans) = (Vec::new(), Vec::new());
        for profile in &self.profiles {
            let manifest = library::load(profile)?;
            let (scene, plan) = Scene::set(profile, &manifest).map_err(Failure::Internal)?;
            scenes.push(scene);
            plans.push(plan);
        }
        runtime()?.block_on(self.play(scenes, plans))
    }

    /// Starts the servers, and does with them what there is to do.
    async fn play(&self, mut scenes: Vec<Scene>, plans: Vec<Plan>) -> Result<ExitCode, Failure> {
        let authority = Authority::new(SystemTime::now())
            .context("failed to make a certificate authority")
            .map_err(Failure::Internal)?;
        let pem = authority.pem();
        let mut stage = Stage::new(authority, SystemClock);
        let mut known: Vec<String> = plans.iter().flat_map(names).collect();
        known.push("localhost".to_owned());
        known.sort();
        known.dedup();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let cloud = Cloud::start(stage.authority(), &known, listen, "")
            .await
            .context("failed to start the hub")
            .map_err(Failure::Internal)?;
        for (scene, plan) in scenes.iter_mut().zip(&plans) {
            let played = scene.play(plan, cloud.address(), &mut stage).await;
            played.map_err(Failure::Internal)?;
        }
        let told = exercised(&scenes, plans, &cloud, stage.authority()).await?;
        told.print(self.json)?;
        let code = told.finished();
        if !self.once && code.is_ok() {
            let props = props(&pem, &scenes).map_err(Failure::Internal)?;
            linger(&props, &scenes, &cloud).await?;
            cloud.stop().await;
            return Ok(ExitCode::SUCCESS);
        }
        stage.stop().await;
        cloud.stop().await;
        code
    }
}

/// Checks all products at once, and plays their sites meanwhile; then a till of Open POS has its day,
/// if it is among them.
async fn exercised(
    scenes: &[Scene],
    plans: Vec<Plan>,
    cloud: &Cloud,
    authority: &Authority,
) -> Result<Told, Failure> {
    let mut products = scenes.iter().zip(&plans);
    let till = products.find(|(scene, _)| scene.product == WITH_TILL);
    let names = till.map(|(_, plan)| Names::of(plan)).transpose();
    let names = names.map_err(Failure::Internal)?;
    let (lines, pem) = (MultiProgress::new(), authority.pem());
    let acts = scenes.iter().zip(plans);
    let plays = acts.map(|(scene, plan)| check(scene, plan, &pem, &lines));
    let products = scenes.iter().map(|scene| scene.product.clone()).collect();
    let (reports, sites) = tokio::join!(join_all(plays), sites::play(products));
    let reports = reports.into_iter().collect::<Result<_, _>>()?;
    let sites = sites.context("the sites cannot be played");
    let sites = sites.map_err(Failure::Internal)?;
    let till = match names {
        Some(names) => day::play(cloud, authority, names)
            .await
            .context("the till's day cannot begin")
            .map_err(Failure::Internal)?,
        None => Vec::new(),
    };
    Ok(Told::new(reports, till, sites))
}

/// Checks one product against its servers.
async fn check(
    scene: &Scene,
    plan: Plan,
    pem: &str,
    lines: &MultiProgress,
) -> Result<Report, Failure> {
    let roots = Roots::mozilla()
        .give_pem(pem.as_bytes())
        .map_err(|error| Failure::Internal(error.into()))?;
    let connect_to: Result<Vec<ConnectTo>, _> =
        scene.detours.iter().map(|detour| detour.parse()).collect();
    let connect_to = connect_to.map_err(|error| {
        Failure::Internal(
            anyhow::Error::new(error).context("failed to point the check at a server"),
        )
    })?;
    let config = PathConfig {
        connect_to,
        roots,
        timeout: Duration::from_secs(5),
        ..PathConfig::default()
    };
    let path = Path::new(config).map_err(|error| Failure::Internal(error.into()))?;
    let heading = Heading {
        product: scene.product.clone(),
        version: NEWEST.to_owned(),
        from: "all parties".to_owned(),
        netns: None,
        user: None,
        language: Language::default(),
    };
    let progress = Progress::new(&plan, lines);
    Ok(exercise(plan, heading, &path, MAX_CONCURRENT, progress).await)
}

/// Leaves the servers up until somebody ends it.
async fn linger(props: &tempfile::TempDir, scenes: &[Scene], cloud: &Cloud) -> Result<(), Failure> {
    // Before anybody is told of the servers, so that the folder goes away however early it ends.
    let signal = |kind| signal(kind).map_err(|error| Failure::Internal(error.into()));
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let program = std::env::args().next().unwrap_or_else(|| "outgate".into());
    say("The servers stay up until Ctrl-C. A check of your own against them:");
    for scene in scenes {
        let file = props.path().join(format!("{}.args", scene.product));
        say(&format!(
            "  xargs -a {} {program} check {}",
            file.display(),
            scene.profile
        ));
    }
    let ca = props.path().join("ca.pem");
    say(&format!(
        "The hub's console: https://localhost:{}/ (its certificate is signed by {})",
        cloud.address().port(),
        ca.display()
    ));
    if let Some(token) = cloud.token() {
        say(&format!("  log in with the token in {}", token.display()));
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
