//! Three sites: a factory with a machine gateway and a shop with tills, which run agents, and an office
//! with a terminal that speaks as Azure's do. They stand in network namespaces of their own, behind
//! routers that let nothing in, or where this user may have none, on loopback.

mod cube;
mod device;
mod ground;
mod lines;
mod office;
mod shop;

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use outgate_client::Client as Vendor;
use outgate_lab::{EnterError, Inside, Plot, Town};
use outgate_standin::Authority;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use self::ground::Ground;
use self::office::Beside;
use super::cloud::Cloud;
use super::step::Step;
use crate::commands::check::runtime;

/// The option by which this program, in namespaces of its own, is told where to tell.
pub(super) const INSIDE: &str = "--sites-to";

/// The largest file that is read of what happened inside.
const MAX_TOLD: usize = 1 << 20;

/// How often it is looked whether something has happened that nobody tells of.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long nothing comes of a site that is cut off, before that is believed.
const CUT_OFF: Duration = Duration::from_millis(500);

/// All sites, by their products.
const SITES: [Site; 3] = [cube::SITE, office::SITE, shop::SITE];

/// A site that can be played.
struct Site {
    product: &'static str,
    /// Who is there, for people.
    title: &'static str,
    plot: Plot<'static>,
}

/// A site, and what its devices did.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Played {
    pub(super) site: String,
    pub(super) product: String,
    /// Who is there, for people.
    pub(super) title: String,
    /// Where it stood: in `network namespaces`, or on `loopback`.
    pub(super) ground: String,
    /// Why not in namespaces.
    pub(super) because: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// Plays the sites of these products, if they have some.
pub(super) async fn play(products: Vec<String>) -> anyhow::Result<Vec<Played>> {
    let sites = sites_of(&products);
    if sites.is_empty() {
        return Ok(Vec::new());
    }
    let folder = folder()?;
    let told = folder.path().join("told.json");
    let entered = tokio::task::spawn_blocking({
        let told = told.clone();
        move || enter(&products, &told)
    });
    match entered.await? {
        Ok(()) => {
            let text = crate::output::read_bounded(&told, MAX_TOLD)?;
            serde_json::from_slice(&text).context("the sites told nothing that can be read")
        }
        Err(EnterOr::Enter(
            error @ (EnterError::Missing { .. } | EnterError::Forbidden { .. }),
        )) => {
            let ground = Ground::on_loopback(&sites, &error);
            on(&ground, &sites, folder.path()).await
        }
        Err(EnterOr::Enter(error @ EnterError::Start { .. })) => Err(error.into()),
        Err(EnterOr::Failed(error)) => Err(error),
    }
}

/// Why nothing was played in namespaces.
enum EnterOr {
    Enter(EnterError),
    Failed(anyhow::Error),
}

fn enter(products: &[String], told: &Path) -> Result<(), EnterOr> {
    let mut words: Vec<OsString> = vec!["demo".into()];
    words.extend(products.iter().map(OsString::from));
    words.extend([INSIDE.into(), told.into()]);
    let ended = outgate_lab::enter(words).map_err(EnterOr::Enter)?;
    if ended.success() {
        return Ok(());
    }
    Err(EnterOr::Failed(anyhow::anyhow!(
        "the sites ended early, {ended}"
    )))
}

/// As the first process of namespaces of its own: builds the networks, plays in them, and writes down
/// what happened.
pub(super) fn inside(products: &[String], told: &Path) -> anyhow::Result<()> {
    let inside = Inside::here()?;
    let sites = sites_of(products);
    let plots: Vec<Plot<'_>> = sites.iter().map(|site| site.plot).collect();
    let ground = Ground::Town(Town::build(&inside, &plots)?);
    let folder = folder()?;
    let played = std::thread::scope(|scope| {
        // The vendor's threads are born in its place.
        let vendor = scope.spawn(|| {
            ground.join_vendor()?;
            let runtime = runtime().map_err(|_| anyhow::anyhow!("no runtime"))?;
            runtime.block_on(on(&ground, &sites, folder.path()))
        });
        vendor.join().map_err(|_| anyhow::anyhow!("it panicked"))?
    })?;
    fs::write(told, serde_json::to_vec(&played)?).context("failed to tell")
}

fn sites_of(products: &[String]) -> Vec<Site> {
    let asked = |site: &Site| products.iter().any(|product| product == site.product);
    SITES.into_iter().filter(asked).collect()
}

fn folder() -> anyhow::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    let folder = folder.prefix("outgate-demo-sites-").tempdir();
    folder.context("no temporary folder")
}

/// What the sites share.
struct Stage<'a> {
    ground: &'a Ground,
    vendor: &'a Vendor,
    hub: SocketAddr,
    issuer: &'a Authority,
    authority: PathBuf,
    folder: &'a Path,
    /// What stands around the office, when it is played.
    beside: Option<Beside>,
}

/// Starts the vendor's hub, and plays all sites at once.
async fn on(ground: &Ground, sites: &[Site], folder: &Path) -> anyhow::Result<Vec<Played>> {
    let issuer = Authority::new(SystemTime::now())?;
    let listen = ground.listen();
    let with_office = sites.iter().any(|site| site.plot.name == office::NAME);
    let beside = if with_office {
        Some(Beside::start().await?)
    } else {
        None
    };
    let (mut names, mut more) = (vec![listen.ip().to_string()], String::new());
    if let Some(beside) = &beside {
        names.extend(beside.names().map(str::to_owned));
        more = beside.configured();
    }
    let cloud = Cloud::start(&issuer, &names, listen, &more).await?;
    let authority = folder.join("ca.pem");
    fs::write(&authority, issuer.pem()).context("failed to write the authority's certificate")?;
    let (vendor, _) = cloud.vendor(&issuer)?;
    let stage = Stage {
        ground,
        vendor: &vendor,
        hub: cloud.address(),
        issuer: &issuer,
        authority,
        folder,
        beside,
    };
    let plays = sites.iter().map(|site| stage.play(site));
    let played = futures_util::future::try_join_all(plays).await;
    cloud.stop().await;
    played
}

impl Stage<'_> {
    /// Waits until it is worth looking again at what nobody tells of.
    async fn look_again(&self) {
        tokio::time::sleep(LOOK_EVERY).await;
    }

    /// Makes sure that nothing more of a site comes to the hub, half a second long.
    async fn is_cut_off(&self, devices: &[&str]) -> anyhow::Result<()> {
        let count = || async {
            let kept = devices.iter().map(|device| self.kept(device, 0));
            let kept = futures_util::future::try_join_all(kept).await?;
            anyhow::Ok(kept.iter().map(Vec::len).sum::<usize>())
        };
        let before = count().await?;
        tokio::time::sleep(CUT_OFF).await;
        let after = count().await?;
        ensure!(before == after, "the line was not cut");
        Ok(())
    }

    async fn play(&self, site: &Site) -> anyhow::Result<Played> {
        let name = site.plot.name;
        self.vendor.create_site(name, name).await?;
        let steps = match name {
            // Each is far larger than a thread's stack should have to hold beside the others.
            cube::NAME => Box::pin(cube::play(self)).await?,
            office::NAME => Box::pin(office::play(self)).await?,
            shop::NAME => Box::pin(shop::play(self)).await?,
            other => bail!("nobody knows how to play {other}"),
        };
        Ok(Played {
            site: name.to_owned(),
            product: site.product.to_owned(),
            title: site.title.to_owned(),
            ground: self.ground.told().to_owned(),
            because: self.ground.because(),
            steps,
        })
    }
}
