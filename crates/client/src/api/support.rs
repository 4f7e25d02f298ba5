//! Remote support.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use reqwest::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// How long an answer may take for which the hub waits: it does for 20 seconds, and for a device
/// that makes no room longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A session of remote support.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SupportSession {
    /// Its name.
    pub id: String,
    /// With which device.
    pub device: String,
    /// Who has asked for it.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// To what it leads: `service NAME`, `shell COLUMNSxROWS`.
    pub what: String,
    /// When it was asked for.
    pub asked: String,
    /// When it ends at the latest.
    pub until: String,
    /// `asked`, `open`, `refused`, `ended`.
    pub state: String,
    /// Since when.
    pub since: String,
    /// By which port of the hub the device has come.
    pub port: Option<u16>,
    /// What the device tried before, and why it does not lead to the hub.
    pub tried: Vec<String>,
    /// Who has allowed it.
    pub allowed_by: Option<String>,
    /// By whom it has ended.
    pub ended_by: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// What was recorded, once it is over.
    pub recorded: Option<SupportRecorded>,
}

/// A whole recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SupportRecorded {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// To what a session is to lead.
#[derive(Clone, Copy, Debug)]
pub enum SupportWhat<'a> {
    /// A service that the device's configuration names.
    Service(&'a str),
    /// A shell, on a terminal of so many columns and rows.
    Shell(u16, u16),
}

/// What has come from the device.
#[derive(Clone, Debug)]
pub struct SupportTaken {
    /// The bytes; none when nothing came in time.
    pub bytes: Vec<u8>,
    /// Whether nothing follows.
    pub last: bool,
    /// Why the session is over, if it is.
    pub over: Option<String>,
}

/// A recording on its way.
#[derive(Debug)]
pub struct Recording {
    response: Response,
    client: Client,
}

#[derive(Deserialize)]
struct Taken {
    bytes_base64: String,
    last: bool,
    over: Option<String>,
}

#[derive(Deserialize)]
struct Flow {
    over: Option<String>,
}

impl Client {
    /// Asks for a session, for so many seconds.
    ///
    /// # Errors
    /// [`Error::Refused`] when the device is not connected; as any request.
    pub async fn ask_support(
        &self,
        device: &str,
        reason: &str,
        what: SupportWhat<'_>,
        lasts: u64,
    ) -> Result<SupportSession, Error> {
        let mut body = json!({ "reason": reason, "lasts": lasts });
        match what {
            SupportWhat::Service(name) => body["service"] = name.into(),
            SupportWhat::Shell(columns, rows) => {
                body["shell"] = json!({ "columns": columns, "rows": rows });
            }
        }
        let ask = Ask::create(["api", "devices", device, "support"])?.json(&body);
        self.send(&ask.patience(PATIENCE)).await?.json()
    }

    /// Sessions, the newest first; with one device only if it is given.
    pub fn support_sessions(
        &self,
        device: Option<&str>,
    ) -> impl Stream<Item = Result<SupportSession, Error>> + use<> {
        let ask = Ask::get(["api", "support"]).query("device", device);
        pages::items(self, ask)
    }

    /// A session; if a state is given, once it is no longer in that, or within half a minute.
    ///
    /// # Errors
    /// As any request.
    pub async fn support_session(
        &self,
        session: &str,
        from: Option<&str>,
    ) -> Result<SupportSession, Error> {
        let ask = Ask::get(["api", "support", session]).query("from", from);
        self.send(&ask.patience(PATIENCE)).await?.json()
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is over; as any request.
    pub async fn end_support(&self, session: &str) -> Result<SupportSession, Error> {
        let ask = Ask::post_once(["api", "support", session, "end"]);
        self.send(&ask).await?.json()
    }

    /// What has come from the device behind the first `after` bytes, or nothing within half a minute.
    ///
    /// # Errors
    /// As any request.
    pub async fn take_support(&self, session: &str, after: u64) -> Result<SupportTaken, Error> {
        let ask = Ask::get(["api", "support", session, "stream"]).query("after", Some(after));
        let reply = self.send(&ask.patience(PATIENCE)).await?;
        let taken: Taken = reply.json()?;
        let bytes = STANDARD.decode(&taken.bytes_base64);
        Ok(SupportTaken {
            bytes: bytes.map_err(|error| reply.wrong(error.to_string()))?,
            last: taken.last,
            over: taken.over,
        })
    }

    /// Sends to the device what stands behind the first `at` bytes, at most 32 KiB; `last` says that
    /// nothing follows. Tells why the session is over, if it is.
    ///
    /// # Errors
    /// As any request.
    pub async fn send_support(
        &self,
        session: &str,
        at: u64,
        bytes: &[u8],
        last: bool,
    ) -> Result<Option<String>, Error> {
        let body = json!({ "at": at, "bytes_base64": STANDARD.encode(bytes), "last": last });
        // What is sent again counts once.
        let ask = Ask::post(["api", "support", session, "stream"]).json(&body);
        let flow: Flow = self.send(&ask.patience(PATIENCE)).await?.json()?;
        Ok(flow.over)
    }

    /// Begins to get a recording: lines of JSON.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn support_recording(&self, session: &str) -> Result<Recording, Error> {
        let ask = Ask::get(["api", "support", session, "recording"]);
        Ok(Recording {
            response: self.open(&ask).await?,
            client: self.clone(),
        })
    }
}

impl Recording {
    /// What comes next of it, until there is nothing more.
    ///
    /// # Errors
    /// As any request.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let next = self.response.chunk().await;
        next.map_err(|source| self.client.unreachable(source))
    }
}
