//! `outgate demo`.

mod stage;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Args;
use outgate_check::{Heading, MAX_CONCURRENT, Plan, Verdict};
use outgate_manifest::view::NEWEST;
use outgate_probe::{ConnectTo, DEFAULT_HOLD, Path, PathConfig, Roots};
use outgate_standin::{Authority, Stage, SystemClock};

use crate::commands::check::table::report_tables;
use crate::commands::check::{exercise, runtime};
use crate::commands::demo::stage::{Scene, props};
use crate::library;
use crate::output::{Failure, print, say};

/// `outgate demo`: play all servers on this machine and check products against them.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate demo
  outgate demo open-pos homag-cube --once

The servers are stand-ins on loopback, with certificates of an authority made on the spot. Nothing
leaves this machine. Without --once they stay up after the tables, until Ctrl-C.")]
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
            let mut scenes = Vec::new();
            for (profile, manifest) in &manifests {
                let scene = Scene::set(profile, manifest, &mut stage)
                    .await
                    .map_err(internal)?;
                scenes.push(scene);
            }
            let mut verdicts = Vec::new();
            for scene in &scenes {
                verdicts.push(play(scene, &pem).await?);
            }
            if !self.once {
                let props = props(&pem, &scenes).map_err(internal)?;
                linger(&props, &scenes).await?;
                return Ok(ExitCode::SUCCESS);
            }
            stage.stop().await;
            Ok(ExitCode::from(Verdict::worst(verdicts).exit_code()))
        })
    }
}

/// Checks one product against its servers and prints the tables.
async fn play(scene: &Scene, pem: &str) -> Result<Verdict, Failure> {
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
    };
    let plan = Plan::new(scene.lanes.clone(), &scene.samples, DEFAULT_HOLD);
    let concurrent = u16::try_from(MAX_CONCURRENT).unwrap_or(u16::MAX);
    let report = exercise(plan, heading, &path, concurrent).await;
    print(&format!("{}\n", report_tables(&report)))?;
    Ok(report.verdict)
}

/// Leaves the servers up until somebody ends it.
async fn linger(props: &tempfile::TempDir, scenes: &[Scene]) -> Result<(), Failure> {
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
    let internal = |error: std::io::Error| Failure::Internal(error.into());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(internal)?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended.map_err(internal)?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
