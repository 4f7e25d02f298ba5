//! A shop with three tills.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use outgate_lab::Plot;
use reqwest::Method;
use serde_json::{Value, json};

use super::device::{Device, UNHEARD};
use super::{Site, Stage};
use crate::commands::demo::step::{PATIENCE, Step, step, within};

/// What the site is called.
pub(super) const NAME: &str = "shop";

/// The tills.
const TILLS: [&str; 3] = ["till1", "till2", "till3"];

/// The site.
pub(super) const SITE: Site = Site {
    product: "open-pos",
    title: "shop with agents",
    plot: Plot {
        name: NAME,
        hosts: &TILLS,
    },
};

/// How much each till sells without a line.
const SALES: usize = 5;

/// Plays the shop.
pub(super) async fn play(stage: &Stage<'_>) -> anyhow::Result<Vec<Step>> {
    let mut shop = Shop {
        stage,
        tills: Vec::new(),
    };
    for till in TILLS {
        let configuration = shop.configuration(till).await?;
        let till = Device::start(stage, NAME, till, &configuration).await?;
        shop.tills.push(till);
    }
    let mut steps = vec![
        step("link", "all connect, outbound only", shop.link()).await,
        step("neighbours", "find each other", shop.meet()).await,
        step("numbers", "number receipts at once", shop.numbers()).await,
        step("orders", "share open orders", shop.orders()).await,
        within(
            3 * PATIENCE,
            "offline",
            "sell without a line, and catch up",
            shop.offline(),
        )
        .await,
    ];
    if stage.ground.address(NAME, TILLS[0]).is_some() {
        let apart = shop.apart();
        steps.push(step("apart", "edit while one is cut off from the others", apart).await);
    }
    Ok(steps)
}

struct Shop<'a> {
    stage: &'a Stage<'a>,
    tills: Vec<Device>,
}

impl Shop<'_> {
    /// A till's own, which knows those that have started before it.
    async fn configuration(&self, till: &str) -> anyhow::Result<String> {
        let own = self.stage.ground.address(NAME, till);
        let own = own.unwrap_or(Ipv4Addr::LOCALHOST);
        let listening = |status: &Value| status["neighbours"]["address"].is_string();
        let known = self.tills.iter().map(|till| till.is(listening));
        let known: Vec<String> = try_join_all(known)
            .await?
            .iter()
            .map(|status| status["neighbours"]["address"].to_string())
            .collect();
        let known = known.join(", ");
        Ok(format!(
            "[product]\nprofile = 'open-pos'\n{UNHEARD}\
             [neighbours]\nlisten = '{own}:0'\nknown = [{known}]\n"
        ))
    }

    async fn meet(&self) -> anyhow::Result<String> {
        let others = TILLS.len() - 1;
        let met = |status: &Value| {
            let neighbours = &status["neighbours"];
            let there = neighbours["there"].as_array().map_or(0, Vec::len);
            there == others && neighbours["coordinator"].is_string()
        };
        try_join_all(self.tills.iter().map(|till| till.is(met))).await?;
        Ok(format!("each sees {others} others, and one coordinates"))
    }

    async fn numbers(&self) -> anyhow::Result<String> {
        let numbers = self.tills.iter().flat_map(|till| {
            (0..SALES).map(move |_| till.ask(Method::POST, "/site/numbers/receipt", None))
        });
        let given = try_join_all(numbers).await?;
        let distinct: BTreeSet<String> = given.iter().map(|it| it["text"].to_string()).collect();
        ensure!(distinct.len() == given.len(), "twice: {given:?}");
        let shown: Vec<_> = distinct.iter().take(2).map(String::as_str).collect();
        Ok(format!(
            "{} numbers, none twice, as {}",
            given.len(),
            shown.join(", ")
        ))
    }

    async fn orders(&self) -> anyhow::Result<String> {
        let (first, others) = self.tills.split_first().context("there is no till")?;
        first.shares("order:17", "table", &json!(5)).await?;
        for till in others {
            till.reads("order:17", "table", &json!(5)).await?;
        }
        Ok("all read what one has written".to_owned())
    }

    /// One is unplugged; it and the others go on, and agree once it is back.
    async fn apart(&self) -> anyhow::Result<String> {
        let (last, others) = self.tills.split_last().context("there is no till")?;
        let alone = |others: usize| {
            move |status: &Value| {
                let there = status["neighbours"]["there"].as_array();
                there.map_or(0, Vec::len) == others
            }
        };
        self.stage.ground.plug(NAME, last.id, false)?;
        last.is(alone(0)).await?;
        last.shares("order:18", "table", &json!(1)).await?;
        others[0].shares("order:19", "table", &json!(2)).await?;
        self.stage.ground.plug(NAME, last.id, true)?;
        for till in &self.tills {
            till.reads("order:18", "table", &json!(1)).await?;
            till.reads("order:19", "table", &json!(2)).await?;
        }
        last.is(alone(others.len())).await?;
        Ok("what both sides have written is with all again".to_owned())
    }

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
