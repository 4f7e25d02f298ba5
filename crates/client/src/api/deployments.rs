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
    /// Since when it has ended before its time, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// How many devices are how far.
    pub devices: BTreeMap<String, u64>,
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
}

/// Which devices get a release.
#[derive(Clone, Debug)]
pub enum DeployTo {
    /// These.
    Devices(Vec<String>),
    /// All that stand at a site now.
    Site(String),
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
    pub async fn deploy(&self, release: &str, to: &DeployTo) -> Result<Deployment, Error> {
        let body = match to {
            DeployTo::Devices(devices) => json!({ "release": release, "devices": devices }),
            DeployTo::Site(site) => json!({ "release": release, "site": site }),
        };
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

    /// Ends a deployment before its time.
    ///
    /// # Errors
    /// As any request.
    pub async fn abort_deployment(&self, id: &str) -> Result<Deployment, Error> {
        let ask = Ask::post(["api", "deployments", id, "abort"]);
        self.send(&ask).await?.json()
    }
}
