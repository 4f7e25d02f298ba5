//! `outgate demo`.

mod cloud;
mod stage;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Args;
use futures_util::future::join_all;
use indicatif::MultiProgress;
use outgate_check::{Heading, Language, MAX_CONCURRENT, Plan, Report, Verdict};
use outgate_manifest::view::NEWEST;
use outgate_probe::{ConnectTo, Path, PathConfig, Roots};
use outgate_standin::{Authority, Stage, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::check::table::report_tables;
use crate::commands::check::{exercise, runtime};
use crate::commands::demo::cloud::Cloud;
use crate::commands::demo::stage::{Scene, names, props};
use crate::library;
use crate::output::{Failure, print, say};
use crate::progress::Progress;

/// `outgate demo`: play all servers on this machine and check products against them.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate demo
  outgate demo open-pos homag-cube --once

The cloud end is a hub, the rest are stand-ins, all on loopback, with certificates of an authority
made on the spot. Nothing leaves this machine. Without --once they stay up after the tables, until
Ctrl-C.")]
pub(crate) struct DemoArgs {
    /// The products to play [default: all that are built in]
    #[arg(value_name = "PROFILE")]
    profiles: Vec<String>,
    /// End after the tables, with the exit code of the checks
    #[arg(long)]
    once: bool,
}

impl DemoArgs {
    pub(crate) fn run(mut self) -> Result<ExitCode, Failure> {
        if self.profiles.is_empty() {
            self.profiles = library::ids().map(str::to_owned).collect();
        }
        let mut manifests = Vec::new();
        for profile in &self.profiles {
            manifests.push((profile, library::load(profile)?));
        }
        runtime()?.block_on(async {
            let internal = |error| Failure::Internal(error);
            let authority = Authority::new(SystemTime::now())
                .context("failed to make a certificate authority")
                .map_err(internal)?;
            let pem = authority.pem();
            let mut stage = Stage::new(authority, SystemClock);
            let (mut scenes, mut plans) = (Vec::new(), Vec::new());
            for (profile, manifest) in &manifests {
                let (scene, plan) = Scene::set(profile, manifest).map_err(internal)?;
                scenes.push(scene);
                plans.push(plan);
            }
            let mut known: Vec<String> = plans.iter().flat_map(names).collect();
            known.push("localhost".to_owned());
            known.sort();
            known.dedup();
            let cloud = Cloud::start(stage.authority(), &known)
                .await
                .context("failed to start the hub")
                .map_err(internal)?;
            for (scene, plan) in scenes.iter_mut().zip(&plans) {
                scene
                    .play(plan, cloud.address(), &mut stage)
                    .await
                    .map_err(internal)?;
            }
            let lines = MultiProgress::new();
            let acts = scenes.iter().zip(plans);
            let plays = acts.map(|(scene, plan)| play(scene, plan, &pem, &lines));
            let mut verdicts = Vec::new();
            for report in join_all(plays).await {
                let report = report?;
                print(&format!("{}\n", report_tables(&report, &mut str::to_owned)))?;
                verdicts.push(report.verdict);
            }
            if !self.once {
                let props = props(&pem, &scenes).map_err(internal)?;
                linger(&props, &scenes, &cloud).await?;
                cloud.stop().await;
                return Ok(ExitCode::SUCCESS);
            }
            stage.stop().await;
            cloud.stop().await;
            Ok(ExitCode::from(Verdict::worst(verdicts).exit_code()))
        })
    }
}

/// Checks one product against its servers.
async fn play(
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
