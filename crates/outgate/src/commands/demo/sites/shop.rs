//! A shop with three tills.

use anyhow::ensure;
use futures_util::future::try_join_all;
use outgate_lab::Plot;
use serde_json::json;

use super::device::Device;
use super::{Site, Stage};
use crate::commands::demo::step::{PATIENCE, Step, step, within};

/// What the site is called.
pub(super) const NAME: &str = "shop";

/// The tills.
const TILLS: [&str; 3] = ["till1", "till2", "till3"];

/// The site.
pub(super) const SITE: Site = Site {
    product: "open-pos",
    plot: Plot {
        name: NAME,
        hosts: &TILLS,
    },
};

/// How much each till sells without a line.
const SALES: usize = 5;

/// Plays the shop.
pub(super) async fn play(stage: &Stage<'_>) -> anyhow::Result<Vec<Step>> {
    let product = "[product]\nprofile = 'open-pos'\n";
    let starts = TILLS.map(|till| Device::start(stage, NAME, till, product));
    let shop = Shop {
        stage,
        tills: try_join_all(starts).await?,
    };
    Ok(vec![
        step("link", "all connect, outbound only", shop.link()).await,
        within(
            3 * PATIENCE,
            "offline",
            "sell without a line, and catch up",
            shop.offline(),
        )
        .await,
    ])
}

struct Shop<'a> {
    stage: &'a Stage<'a>,
    tills: Vec<Device>,
}

impl Shop<'_> {
    async fn link(&self) -> anyhow::Result<String> {
        let transports = try_join_all(self.tills.iter().map(Device::is_connected)).await?;
        Ok(transports.join(", "))
    }

    async fn offline(&self) -> anyhow::Result<String> {
        self.stage.ground.connect(NAME, false)?;
        for sale in 0..SALES {
            for till in &self.tills {
                let cents = json!({ "cents": 2_500 });
                till.says(&format!("sale/{sale}"), &cents).await?;
            }
        }
        self.stage.is_cut_off(&TILLS).await?;
        self.stage.ground.connect(NAME, true)?;
        let expected: Vec<String> = (0..SALES).map(|sale| format!("sale/{sale}")).collect();
        for till in &self.tills {
            let kept = self.stage.kept(till.id, SALES).await?;
            ensure!(kept == expected, "{}: {kept:?}", till.id);
        }
        let all = SALES * self.tills.len();
        Ok(format!("{all} sales came, each in order and once"))
    }
}
