//! A factory with a machine gateway.

use anyhow::{Context as _, ensure};
use outgate_client::{EventFilter, NewCommand, Payload};
use outgate_lab::Plot;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::device::{Device, UNHEARD};
use super::{Site, Stage};
use crate::commands::demo::step::{PATIENCE, Step, step, within};

/// What the site is called.
pub(super) const NAME: &str = "factory";

/// The gateway.
const CUBE: &str = "cube";

/// The technician's.
const LAPTOP: &str = "laptop";

/// The flows of the product that a technician's check finds in order.
const TO_PASS: [&str; 5] = [
    "diagnostics-page",
    "connector-page",
    "mdns",
    "llmnr",
    "ping-in",
];

/// The site.
pub(super) const SITE: Site = Site {
    product: "homag-cube",
    title: "factory with agents",
    plot: Plot {
        name: NAME,
        hosts: &[CUBE, LAPTOP],
    },
};

/// JSON's media type.
const KIND: &str = "application/json";

/// Plays the factory.
pub(super) async fn play(stage: &Stage<'_>) -> anyhow::Result<Vec<Step>> {
    let cube = Device::start(stage, NAME, CUBE, &configuration(stage)).await?;
    let cube = Cube { stage, cube };
    Ok(vec![
        step("link", "connects, outbound only", cube.link()).await,
        step("state", "says how the machine is", cube.state()).await,
        step("question", "answers its vendor", cube.question()).await,
        step(
            "settings",
            "takes and reports its settings",
            cube.settings(),
        )
        .await,
        step("page", "shows itself to a technician", cube.page()).await,
        within(
            3 * PATIENCE,
            "offline",
            "works without a line, and catches up",
            cube.offline(),
        )
        .await,
    ])
}

/// The gateway's own: on the ports of its product where it has an address to itself.
fn configuration(stage: &Stage<'_>) -> String {
    let product = "[product]\nprofile = 'homag-cube'\n";
    if stage.ground.address(NAME, CUBE).is_some() {
        return format!("{product}[names]\nhost = 'cube'\nllmnr = true\n[ping]\nlimit = true\n");
    }
    let page = "[page]\nlisten = ['127.0.0.1:0']\nconnector-listen = ['127.0.0.1:0']\n";
    format!("{product}{UNHEARD}{page}")
}

struct Cube<'a> {
    stage: &'a Stage<'a>,
    cube: Device,
}

impl Cube<'_> {
    async fn link(&self) -> anyhow::Result<String> {
        let transport = self.cube.is_connected().await?;
        Ok(transport)
    }

    async fn state(&self) -> anyhow::Result<String> {
        let state = json!({ "spindle": "running" });
        self.cube.says("machine/state", &state).await?;
        let kept = self.stage.kept(CUBE, 1).await?;
        Ok(format!("the vendor has {}", kept.join(", ")))
    }

    async fn question(&self) -> anyhow::Result<String> {
        let asked = Payload::Json(json!("spindle"));
        let called = self
            .stage
            .vendor
            .call(CUBE, "temperature", KIND, &asked, PATIENCE);
        let degrees = json!(61);
        let (answer, answered) = tokio::join!(called, self.cube.answers("temperature", &degrees));
        answered?;
        let answer = answer?;
        let expected = Payload::Json(degrees);
        ensure!(
            answer.status == 200 && answer.payload == expected,
            "{answer:?}"
        );
        Ok("200 61".to_owned())
    }

    /// Where there is a network, by a check in the place of a technician's laptop.
    async fn page(&self) -> anyhow::Result<String> {
        let Some(address) = self.stage.ground.address(NAME, CUBE) else {
            return self.shown().await;
        };
        let named = |status: &Value| {
            status["network"]["names"] == json!(["cube", "cube.local"])
                && status["network"]["ping"]["limit"] == "on"
        };
        self.cube.is(named).await?;
        let mut check = Command::from(self.stage.ground.program(NAME, LAPTOP)?);
        check
            .args(["check", "homag-cube", "--from", "technician", "--json"])
            .args(["--connect-to", &format!("device::{address}:")])
            .args(["--sample", "224.0.0.252=cube.local"])
            .kill_on_drop(true);
        let report = check.output().await.context("failed to start a check")?;
        let report: Value = serde_json::from_slice(&report.stdout)
            .with_context(|| String::from_utf8_lossy(&report.stderr).into_owned())?;
        let lanes = report["lanes"].as_array().into_iter().flatten();
        let passed: Vec<&str> = lanes
            .filter(|lane| lane["outcome"] == "pass")
            .filter_map(|lane| lane["lane"]["flow"].as_str())
            .collect();
        for flow in TO_PASS {
            ensure!(passed.contains(&flow), "{flow} does not pass: {report}");
        }
        Ok(format!("{} pass from {LAPTOP}", TO_PASS.join(", ")))
    }

    /// Both pages, on this machine.
    async fn shown(&self) -> anyhow::Result<String> {
        let status = self.cube.ask(Method::GET, "/status", None).await?;
        let places = status["page"]["places"].as_array();
        let mut shown = Vec::new();
        for place in places.into_iter().flatten() {
            let (page, address) = (&place["page"], place["address"].as_str());
            let address = address.context("a page that is nowhere")?;
            self.cube.shows(address, "WebSockets").await?;
            shown.push(page.as_str().unwrap_or_default().to_owned());
        }
        ensure!(shown.len() == 2, "{status}");
        Ok(format!("{} on loopback", shown.join(", ")))
    }

    async fn settings(&self) -> anyhow::Result<String> {
        let wanted = json!({ "interval": 5 });
        self.stage.vendor.desire(CUBE, &wanted, None).await?;
        let twin = self.twin(&wanted).await?;
        let patch = Some(&twin["desired"]["document"]);
        self.cube
            .ask(Method::PATCH, "/device/twin/reported", patch)
            .await?;
        loop {
            let reported = self.stage.vendor.twin(CUBE).await?.reported.document;
            if reported == wanted {
                return Ok(format!("desired and reported {reported}"));
            }
            self.stage.look_again().await;
        }
    }

    /// Waits until the device knows that it is wanted to be this.
    async fn twin(&self, wanted: &Value) -> anyhow::Result<Value> {
        loop {
            let twin = self.cube.ask(Method::GET, "/device/twin", None).await?;
            if twin["desired"]["document"] == *wanted {
                return Ok(twin);
            }
            self.stage.look_again().await;
        }
    }

    async fn offline(&self) -> anyhow::Result<String> {
        let before = self.stage.kept(CUBE, 0).await?.len();
        self.stage.ground.connect(NAME, false)?;
        let names = ["part/1", "part/2", "part/3"];
        for name in names {
            self.cube.says(name, &json!({ "made": true })).await?;
        }
        let new = NewCommand {
            name: "program/load".to_owned(),
            content_type: KIND.to_owned(),
            payload: Payload::Json(json!("door-7")),
            properties: std::collections::BTreeMap::new(),
            lasts: None,
        };
        let command = self.stage.vendor.send_command(CUBE, &new).await?;
        self.stage.is_cut_off(&[CUBE]).await?;
        self.stage.ground.connect(NAME, true)?;
        let kept = self.stage.kept(CUBE, before + names.len()).await?;
        let new = kept.get(before..).context("fewer than before")?;
        ensure!(new == names, "{new:?}");
        let loaded = self.cube.does("program/load").await?;
        loop {
            let command = self.stage.vendor.command(CUBE, &command.id).await?;
            if command.state == "completed" {
                break;
            }
            self.stage.look_again().await;
        }
        Ok(format!(
            "3 parts came in order and once, and {loaded} was loaded"
        ))
    }
}

impl Stage<'_> {
    /// The names of what the hub has of a device, oldest first, as soon as there are so many.
    pub(super) async fn kept(&self, device: &str, number: usize) -> anyhow::Result<Vec<String>> {
        let filter = EventFilter {
            device: Some(device.to_owned()),
            prefix: None,
        };
        loop {
            let kept = self.vendor.events(&filter, 0, 100).await?.items;
            if kept.len() >= number {
                return Ok(kept.into_iter().map(|event| event.name).collect());
            }
            self.look_again().await;
        }
    }
}
