//! Deployments: releases on their way to devices.

use std::collections::BTreeMap;

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// A release on its way to some devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    /// Its name.
    pub id: String,
    /// Of what.
    pub release: String,
    /// Who made it.
    pub by: String,
    /// Since when it is there.
    pub created: String,
    /// `running`, `paused`, `stopped`, `aborted` or `ended`.
    pub state: String,
    /// Since when it is paused, stopped or aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why it is paused or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// To which tag, if to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whether devices that get the tag later are meant as well.
    pub stands: bool,
    /// Which of its phases is under way, the first being 1.
    pub phase: u32,
    /// How many of the devices it is for, in each of its phases.
    pub phases: Vec<String>,
    /// How many devices of a phase must have ended well before the next begins.
    pub next_at: String,
    /// When devices are offered the release; always when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// At how many failures it stops, if at any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_at_failures: Option<String>,
    /// How many devices are how far.
    pub devices: BTreeMap<String, u64>,
}

/// Ranges of local time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Windows {
    /// The zone, by its name in IANA's database.
    pub zone: String,
    /// Each of them, as `mon-fri 22:00-04:00`.
    pub windows: Vec<String>,
}

/// A device of a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployed {
    /// Which.
    pub device: String,
    /// How far it is.
    pub progress: String,
    /// What exactly it does, in words of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// Since when.
    pub changed: String,
    /// Whether it has sent a log.
    pub has_log: bool,
    /// In which phase it is, the first being 1.
    pub phase: u32,
}

/// Which devices get a release.
#[derive(Clone, Debug)]
pub enum DeployTo {
    /// These.
    Devices(Vec<String>),
    /// All that stand at a site now.
    Site(String),
    /// All that have a tag, also those that get it later if it stands.
    Tag {
        /// Which.
        tag: String,
        /// Whether devices that get it later are meant as well.
        stands: bool,
    },
}

/// How a deployment is to go; what is left out is as the hub has it.
#[derive(Clone, Debug, Default)]
pub struct DeployPlan {
    /// How many of the devices it is for, in each of its phases.
    pub phases: Vec<String>,
    /// How many devices of a phase must have ended well before the next begins.
    pub next_at: Option<String>,
    /// When devices are offered the release.
    pub windows: Option<Windows>,
    /// At how many failures it stops.
    pub stop_at_failures: Option<String>,
}

#[derive(Deserialize)]
struct Log {
    log: String,
}

impl Client {
    /// All deployments that the asker sees, the newest first.
    pub fn deployments(&self) -> impl Stream<Item = Result<Deployment, Error>> + use<> {
        pages::items(self, Ask::get(["api", "deployments"]))
    }

    /// Deploys a release.
    ///
    /// # Errors
    /// As any request.
    pub async fn deploy(
        &self,
        release: &str,
        to: &DeployTo,
        plan: &DeployPlan,
    ) -> Result<Deployment, Error> {
        let mut body = json!({ "release": release });
        match to {
            DeployTo::Devices(devices) => body["devices"] = json!(devices),
            DeployTo::Site(site) => body["site"] = json!(site),
            DeployTo::Tag { tag, stands } => {
                body["tag"] = json!(tag);
                body["stands"] = json!(stands);
            }
        }
        if !plan.phases.is_empty() {
            body["phases"] = json!(plan.phases);
        }
        if let Some(next_at) = &plan.next_at {
            body["next_at"] = json!(next_at);
        }
        if let Some(windows) = &plan.windows {
            body["windows"] = json!(windows);
        }
        if let Some(failures) = &plan.stop_at_failures {
            body["stop_at_failures"] = json!(failures);
        }
        let ask = Ask::create(["api", "deployments"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// A deployment.
    ///
    /// # Errors
    /// As any request.
    pub async fn deployment(&self, id: &str) -> Result<Deployment, Error> {
        let ask = Ask::get(["api", "deployments", id]);
        self.send(&ask).await?.json()
    }

    /// The devices of a deployment that the asker sees.
    pub fn deployed(&self, id: &str) -> impl Stream<Item = Result<Deployed, Error>> + use<> {
        pages::items(self, Ask::get(["api", "deployments", id, "devices"]))
    }

    /// What a device had to say of a deployment.
    ///
    /// # Errors
    /// [`Error::Refused`] when it has said nothing; as any request.
    pub async fn deployment_log(&self, id: &str, device: &str) -> Result<String, Error> {
        let ask = Ask::get(["api", "deployments", id, "devices", device, "log"]);
        let log: Log = self.send(&ask).await?.json()?;
        Ok(log.log)
    }

    /// Pauses a deployment: nobody is offered anything by it until it is resumed.
    ///
    /// # Errors
    /// [`Error::Refused`] when it has ended; as any request.
    pub async fn pause_deployment(&self, id: &str) -> Result<Deployment, Error> {
        self.send(&Ask::post(["api", "deployments", id, "pause"]))
            .await?
            .json()
    }

    /// Has a deployment go on that was paused or has stopped.
    ///
    /// # Errors
    /// As [`Client::pause_deployment`].
    pub async fn resume_deployment(&self, id: &str) -> Result<Deployment, Error> {
        self.send(&Ask::post(["api", "deployments", id, "resume"]))
            .await?
            .json()
    }

    /// Begins the next phase of a deployment.
    ///
    /// # Errors
    /// As [`Client::pause_deployment`]; [`Error::Refused`] also when the last one is under way.
    pub async fn advance_deployment(&self, id: &str) -> Result<Deployment, Error> {
        // Sent twice it would begin the one after it as well.
        self.send(&Ask::post_once(["api", "deployments", id, "advance"]))
            .await?
            .json()
    }

    /// Ends a deployment before its time.
    ///
    /// # Errors
    /// As any request.
    pub async fn abort_deployment(&self, id: &str) -> Result<Deployment, Error> {
        let ask = Ask::post(["api", "deployments", id, "abort"]);
        self.send(&ask).await?.json()
    }
}
