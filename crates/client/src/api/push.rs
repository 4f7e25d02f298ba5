//! Reaching a device that may be away.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::transport::{Ask, Client};

/// How much longer than the deadline the hub's own answer may take.
const MARGIN: Duration = Duration::from_secs(10);

/// What to push.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewPush {
    /// What is shown: a title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is shown below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Named texts for the application.
    pub data: BTreeMap<String, String>,
    /// Whether a sleeping device is woken.
    pub urgent: bool,
    /// For how many seconds it is worth delivering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts: Option<u64>,
    /// A later message of the same name takes the place of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pushed {
    /// To how many registrations it was sent.
    pub sent: u64,
    /// How many registrations are no more, and have been forgotten.
    pub gone: u64,
    /// Why it was not sent to the others, one each.
    pub failed: Vec<String>,
}

/// Where a device is reached by push.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registration {
    /// What it is called.
    pub id: String,
    /// Since when it is known.
    pub since: String,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Registration>,
}

impl Client {
    /// Pushes a message to a device, and tries for `deadline`. Asked once: whoever does not hear
    /// the answer cannot know whether it was sent.
    ///
    /// # Errors
    /// As any request.
    pub async fn push(
        &self,
        device: &str,
        new: &NewPush,
        deadline: Duration,
    ) -> Result<Pushed, Error> {
        let ask = Ask::post_once(["api", "devices", device, "push"])
            .query("deadline", Some(deadline.as_secs()))
            .json(&serde_json::to_value(new).unwrap_or_default())
            .patience(deadline + MARGIN);
        self.send(&ask).await?.json()
    }

    /// Where a device is reached by push.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none such; as any request.
    pub async fn registrations(&self, device: &str) -> Result<Vec<Registration>, Error> {
        let ask = Ask::get(["api", "devices", device, "push"]);
        let list: List = self.send(&ask).await?.json()?;
        Ok(list.items)
    }
}
