//! What devices are to do.

use std::collections::BTreeMap;

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::payload::Payload;
use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// A command in a device's queue, or one that has left it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// Its name.
    pub id: String,
    /// Its place among the device's commands.
    pub seq: u64,
    /// For whom.
    pub device: String,
    /// What to do.
    pub name: String,
    /// A media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// `queued`, `delivered`, `completed`, `rejected`, `expired` or `cancelled`.
    pub state: String,
    /// How often it was given to a session.
    pub deliveries: u32,
    /// Since when.
    pub created: String,
    /// Until when.
    pub expires: String,
    /// When it was settled, expired or cancelled.
    pub ended: Option<String>,
    /// The payload.
    #[serde(flatten)]
    pub payload: Payload,
}

/// What a device is to do.
#[derive(Clone, Debug)]
pub struct NewCommand {
    /// What to do.
    pub name: String,
    /// A media type, or empty.
    pub content_type: String,
    /// The payload.
    pub payload: Payload,
    /// Named texts beside the payload.
    pub properties: BTreeMap<String, String>,
    /// For how many seconds it is worth doing.
    pub lasts: Option<u64>,
}

impl Client {
    /// A device's commands, newest first.
    pub fn commands(&self, device: &str) -> impl Stream<Item = Result<Command, Error>> + use<> {
        pages::items(self, Ask::get(["api", "devices", device, "commands"]))
    }

    /// One command.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn command(&self, device: &str, id: &str) -> Result<Command, Error> {
        let ask = Ask::get(["api", "devices", device, "commands", id]);
        self.send(&ask).await?.json()
    }

    /// Puts a command in a device's queue.
    ///
    /// # Errors
    /// As any request.
    pub async fn send_command(&self, device: &str, new: &NewCommand) -> Result<Command, Error> {
        let mut body = Map::new();
        body.insert("name".into(), new.name.clone().into());
        body.insert("content_type".into(), new.content_type.clone().into());
        if !new.properties.is_empty() {
            let properties = new.properties.iter();
            let properties = properties.map(|(name, text)| (name.clone(), text.clone().into()));
            body.insert("properties".into(), Value::Object(properties.collect()));
        }
        if let Some(lasts) = new.lasts {
            body.insert("lasts".into(), lasts.into());
        }
        new.payload.put(&mut body);
        let path = ["api", "devices", device, "commands"];
        let ask = Ask::create(path)?.json(&Value::Object(body));
        self.send(&ask).await?.json()
    }

    /// Takes back a command that is not settled.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is settled; as any request.
    pub async fn cancel_command(&self, device: &str, id: &str) -> Result<Command, Error> {
        let ask = Ask::post(["api", "devices", device, "commands", id, "cancel"]);
        self.send(&ask).await?.json()
    }
}
