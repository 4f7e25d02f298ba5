//! An office with a terminal of Capitech, which speaks as Azure's devices do: it is told its hub by the
//! provisioning service, talks by MQTT with tokens of its own key, gets and sends files by addresses
//! with a key in them, and looks things up by the fleet's key and its own.

mod beside;
mod files;
mod messages;
mod place;
mod support;
mod terminal;
mod withdrawal;

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outgate_azure::bag::Bag;
use outgate_azure::provisioning::device_key;
use outgate_client::{Event, EventFilter, NewCommand, NewFleetKey, Payload};
use outgate_lab::Plot;
use outgate_mqtt::packet::ReasonCode;
use reqwest::StatusCode;
use serde_json::{Value, json};

pub(super) use self::beside::Beside;
use self::messages::{Message, Messages};
use self::place::Place;
use self::terminal::{By, Fleet, Terminal};
use super::{Site, Stage};
use crate::commands::demo::step::{PATIENCE, Step, step, within};

/// What the site is called.
pub(super) const NAME: &str = "office";

/// The terminal.
const TERMINAL: &str = "T7";

/// The site.
pub(super) const SITE: Site = Site {
    product: "capitech",
    title: "office with a terminal",
    plot: Plot {
        name: NAME,
        hosts: &[TERMINAL],
    },
};

/// JSON's media type.
const KIND: &str = "application/json";

/// Where messages come from the cloud.
const DEVICEBOUND: &str = "devices/T7/messages/devicebound/";

/// What the terminal is to show.
const NEWS: &str = "The canteen is closed today";

/// Plays the office.
pub(super) async fn play(stage: &Stage<'_>) -> anyhow::Result<Vec<Step>> {
    let mut office = Office::open(stage).await?;
    let mut steps = Vec::new();
    let mut note = |step| steps.push(step);
    let provisioning = office.provisioning();
    note(
        step(
            "provisioning",
            "is told its hub by its group's key",
            provisioning,
        )
        .await,
    );
    note(step("messages", "connects by MQTT with a token", office.link()).await);
    note(step("clocking", "sends a clocking", office.clocking()).await);
    note(step("method", "answers a direct method", office.method()).await);
    let message = office.message();
    note(step("message", "takes a message of while it was away", message).await);
    note(step("twin", "is told a change, and reports", office.twin()).await);
    let employees = office.employees();
    note(step("file", "fetches by URL and key, cut once", employees).await);
    note(step("log", "delivers its log when asked", office.log()).await);
    let lookup = office.look_up();
    note(
        step(
            "look-up",
            "asks live by the fleet's key, then its own",
            lookup,
        )
        .await,
    );
    note(
        within(
            support::PATIENCE,
            "support",
            "lets the vendor in once it is asked",
            office.support(),
        )
        .await,
    );
    note(
        step(
            "withdrawal",
            "is cut off at once, and stays out",
            office.withdrawal(),
        )
        .await,
    );
    let restoration = office.restoration();
    note(step("restoration", "comes back by new keys alone", restoration).await);
    Ok(steps)
}

/// The terminal, its fleet, and what they share with the vendor.
struct Office<'a> {
    stage: &'a Stage<'a>,
    beside: &'a Beside,
    fleet: Fleet,
    terminal: Terminal,
    /// Its connection for messages, from the step on that opens it.
    messages: Option<Messages>,
    /// The address with a key of a file that it was told of.
    address: Option<String>,
}

impl<'a> Office<'a> {
    /// The vendor makes a key for the fleet, and a terminal is put up.
    async fn open(stage: &'a Stage<'a>) -> anyhow::Result<Self> {
        let beside = stage.beside.as_ref().context("nothing is around")?;
        let new = NewFleetKey {
            site: NAME.to_owned(),
            ids: "T*".to_owned(),
            uses: 1,
            lasts: 3_600,
            from: Vec::new(),
            key: None,
        };
        let made = stage.vendor.create_fleet_key(&new).await?;
        let place = Place::of(stage.ground, NAME, TERMINAL)?;
        let hub = stage.ground.way(NAME, stage.hub).await?;
        Ok(Self {
            stage,
            beside,
            fleet: Fleet {
                id: made.fleet_key.id,
                key: STANDARD.decode(made.key.expose())?,
            },
            terminal: Terminal::new(stage, &beside.names, place, hub)?,
            messages: None,
            address: None,
        })
    }

    async fn provisioning(&mut self) -> anyhow::Result<String> {
        let other = self.terminal.register(b"the key of another group").await?;
        ensure!(other.is_err(), "a key of another group is let in");
        let told = self.terminal.register(&self.fleet.key).await?;
        let told = told.map_err(|reason| anyhow::anyhow!("refused: {reason}"))?;
        ensure!(told["status"] == "assigned", "{told}");
        let (hub, device) = (
            &told["registrationState"]["assignedHub"],
            &told["registrationState"]["deviceId"],
        );
        ensure!(*hub == self.beside.names.messages.as_str(), "{told}");
        ensure!(*device == TERMINAL, "{told}");
        self.terminal.key = device_key(&self.fleet.key, TERMINAL);
        Ok(format!(
            "{} is assigned to a hub; another group's key is refused",
            text(device)
        ))
    }

    async fn link(&mut self) -> anyhow::Result<String> {
        let wrong = device_key(b"the key of another group", TERMINAL);
        let Err(reason) = self.terminal.connect(&wrong, By::Tls).await? else {
            bail!("a token of another key is let in");
        };
        ensure!(reason == ReasonCode::NotAuthorized, "{reason}");
        for by in [By::WebSocket, By::Tls] {
            let messages = self.terminal.connect(&self.terminal.key, by).await?;
            let messages = messages.map_err(|reason| anyhow::anyhow!("refused: {reason}"))?;
            // The newest wins, so the one before ends with it.
            self.messages = Some(messages);
        }
        Ok("over WebSocket and TLS; a token of another key is refused".to_owned())
    }

    async fn clocking(&mut self) -> anyhow::Result<String> {
        let clocking = json!({ "card": 17, "in": "07:58" });
        self.says(&clocking).await?;
        let kept = self.said().await?;
        ensure!(kept.payload == Payload::Json(clocking), "{kept:?}");
        let kind = kept.properties.get("kind").map(String::as_str);
        ensure!(kind == Some("clocking"), "{kept:?}");
        Ok("the vendor has the clocking of card 17 at 07:58".to_owned())
    }

    async fn method(&mut self) -> anyhow::Result<String> {
        let (vendor, asked) = (self.stage.vendor, json!({ "seconds": 3 }));
        let messages = self.connected()?;
        messages.subscribe("$iothub/methods/POST/#").await?;
        let payload = Payload::Json(asked.clone());
        let called = vendor.call(TERMINAL, "unlock", KIND, &payload, PATIENCE);
        let answering = async {
            let Message { topic, payload } = messages.take().await?;
            let request = topic.strip_prefix("$iothub/methods/POST/unlock/?$rid=");
            let request = request.with_context(|| format!("another method: {topic}"))?;
            let heard: Value = serde_json::from_slice(&payload)?;
            ensure!(heard == asked, "asked {heard}");
            let topic = format!("$iothub/methods/res/200/?$rid={request}");
            let done = json!({ "unlocked": true });
            messages.publish(&topic, done.to_string()).await
        };
        let (answer, answered) = tokio::join!(called, answering);
        answered?;
        let answer = answer?;
        let done = Payload::Json(json!({ "unlocked": true }));
        ensure!(answer.status == 200 && answer.payload == done, "{answer:?}");
        Ok("unlock: 200 {\"unlocked\":true}".to_owned())
    }

    async fn message(&mut self) -> anyhow::Result<String> {
        self.messages = None;
        let new = NewCommand {
            name: "show".to_owned(),
            content_type: "text/plain".to_owned(),
            payload: Payload::new("text/plain", NEWS.as_bytes()),
            properties: BTreeMap::new(),
            lasts: None,
        };
        let sent = self.stage.vendor.send_command(TERMINAL, &new).await?;
        ensure!(sent.state == "queued", "it is {}", sent.state);
        let messages = self.reconnected().await?;
        messages.subscribe(&format!("{DEVICEBOUND}#")).await?;
        let (about, shown) = self.devicebound().await?;
        ensure!(about == "show", "it is about {about}");
        self.completed(&sent.id).await?;
        ensure!(shown == NEWS.as_bytes(), "another text");
        Ok(format!("`{NEWS}`, and the vendor knows it has come"))
    }

    async fn twin(&mut self) -> anyhow::Result<String> {
        let wanted = json!({ "language": "nb" });
        let vendor = self.stage.vendor;
        let messages = self.connected()?;
        for answers in ["res", "PATCH/properties/desired"] {
            messages
                .subscribe(&format!("$iothub/twin/{answers}/#"))
                .await?;
        }
        vendor.desire(TERMINAL, &wanted, None).await?;
        let told = messages.take().await?;
        let desired = "$iothub/twin/PATCH/properties/desired/?$version=1";
        ensure!(told.topic == desired, "{}", told.topic);
        let told: Value = serde_json::from_slice(&told.payload)?;
        ensure!(told["language"] == "nb", "{told}");
        let report = "$iothub/twin/PATCH/properties/reported/?$rid=7";
        messages.publish(report, wanted.to_string()).await?;
        let answer = messages.take().await?.topic;
        let right = "$iothub/twin/res/204/?$rid=7";
        ensure!(answer.starts_with(right), "{answer}");
        let reported = vendor.twin(TERMINAL).await?.reported.document;
        ensure!(reported == wanted, "{reported}");
        Ok(format!("desired and reported {reported}"))
    }

    async fn look_up(&mut self) -> anyhow::Result<String> {
        let mut wrong = Fleet {
            id: self.fleet.id.clone(),
            key: self.fleet.key.clone(),
        };
        wrong.key.reverse();
        let refused = self.terminal.show_fleet_key(&wrong).await?.status();
        ensure!(refused == StatusCode::UNAUTHORIZED, "{refused}");
        let token = self.terminal.come_in(&self.fleet).await?;
        let token = token.map_err(|status| anyhow::anyhow!("its own key is told {status}"))?;
        let ask = |what| self.terminal.ask(self.terminal.look_up(&token, what));
        let beside = ask("flow/salaries/17").await?.status();
        ensure!(beside == StatusCode::NOT_FOUND, "{beside}");
        let told: Value = ask("flow/balances/17").await?.json().await?;
        let right = json!({
            "card": "17", "balance": "+2:30", "asked by": TERMINAL, "shown a key": false,
        });
        ensure!(told == right, "{told}");
        Ok("card 17 has +2:30; a wrong fleet key and another path lead nowhere".to_owned())
    }

    /// Its connection for messages.
    fn connected(&mut self) -> anyhow::Result<&mut Messages> {
        let messages = self.messages.as_mut();
        messages.context("the terminal is not connected")
    }

    /// The same, opened anew.
    async fn reconnected(&mut self) -> anyhow::Result<&mut Messages> {
        let messages = self.terminal.connect(&self.terminal.key, By::Tls).await?;
        let messages = messages.map_err(|reason| anyhow::anyhow!("refused: {reason}"))?;
        Ok(self.messages.insert(messages))
    }

    /// Says something to the cloud.
    async fn says(&mut self, what: &Value) -> anyhow::Result<()> {
        let mut bag = Bag::default();
        bag.push("$.ct", KIND);
        bag.push("kind", "clocking");
        let topic = format!("devices/{TERMINAL}/messages/events/{bag}");
        self.connected()?.publish(&topic, what.to_string()).await
    }

    /// What the vendor has heard of it last.
    async fn said(&self) -> anyhow::Result<Event> {
        let filter = EventFilter {
            device: Some(TERMINAL.to_owned()),
            prefix: None,
        };
        let mut kept = self.stage.vendor.events(&filter, 0, 100).await?.items;
        kept.pop().context("the vendor has heard nothing")
    }

    /// The next message from the cloud: what it is about, and its content.
    async fn devicebound(&mut self) -> anyhow::Result<(String, Vec<u8>)> {
        let Message { topic, payload } = self.connected()?.take().await?;
        let bag = topic.strip_prefix(DEVICEBOUND);
        let bag = Bag::parse(bag.with_context(|| format!("another message: {topic}"))?)?;
        let about = bag.value("outgate-command").unwrap_or_default().to_owned();
        Ok((about, payload.to_vec()))
    }

    /// Waits until the vendor knows that a command has come.
    async fn completed(&self, id: &str) -> anyhow::Result<()> {
        loop {
            let command = self.stage.vendor.command(TERMINAL, id).await?;
            match command.state.as_str() {
                "queued" | "delivered" => self.stage.look_again().await,
                "completed" => return Ok(()),
                other => bail!("the command is {other}"),
            }
        }
    }
}

/// A text within JSON, or nothing.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
