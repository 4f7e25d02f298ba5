//! Files of single devices, and grants for them.

use std::io;
use std::time::Duration;

use futures_util::Stream;
use reqwest::header::ETAG;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::devices::Revoked;
use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// How long the hub may take to get what is in a file.
const SENT_WITHIN: Duration = Duration::from_secs(6 * 3_600);

/// A file of a device's drop folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    /// Its name, as `logs/today.txt`.
    pub name: String,
    /// The SHA-256 of what is in it, in hexadecimal.
    pub sha256: String,
    /// How many bytes that is.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
    /// Since when there is a file of that name.
    pub created: String,
    /// Since when it is as it is.
    pub changed: String,
}

/// The right to do one thing to one file for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub id: String,
    /// Whose file.
    pub device: String,
    /// Which file.
    pub name: String,
    /// `read`, `write` or `delete`.
    pub verb: String,
    /// Who gave it.
    pub by: String,
    /// Since when.
    pub created: String,
    /// Until when.
    pub expires: String,
    /// When it was first used.
    pub used: Option<String>,
    /// When it was revoked.
    pub revoked: Option<String>,
}

/// A grant as it is given.
#[derive(Clone, Serialize, Deserialize)]
pub struct GrantIssued {
    /// The grant.
    pub grant: Grant,
    /// Where the file is put or got, with the key in it; absent when the device was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The command by which the device was told, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A grant as it is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewFileGrant<'a> {
    /// For which file.
    pub name: &'a str,
    /// `read`, `write` or `delete`.
    pub verb: &'static str,
    /// For how many seconds; as long as may be when absent.
    pub lasts: Option<u64>,
    /// Whether the device is told.
    pub deliver: bool,
}

/// What is in a file, as it comes.
pub struct Download {
    response: reqwest::Response,
    client: Client,
    hash: Context,
}

impl Client {
    /// The files of a device, by name.
    pub fn files(&self, device: &str) -> impl Stream<Item = Result<File, Error>> + use<> {
        pages::items(self, Ask::get(["api", "devices", device, "files"]))
    }

    /// The grants for files of a device, the newest first.
    pub fn grants(&self, device: &str) -> impl Stream<Item = Result<Grant, Error>> + use<> {
        pages::items(self, Ask::get(["api", "devices", device, "grants"]))
    }

    /// Puts `size` bytes into a file of a device.
    ///
    /// # Errors
    /// As any request.
    pub async fn put_file(
        &self,
        (device, name): (&str, &str),
        content_type: &str,
        size: u64,
        content: impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
    ) -> Result<File, Error> {
        let ask = Ask::put(["api", "devices", device, "files", name]).patience(SENT_WITHIN);
        let body = reqwest::Body::wrap_stream(content);
        let sent = self.send_once(&ask, (content_type, size), body);
        sent.await?.json()
    }

    /// Begins to get a file of a device.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn file(&self, device: &str, name: &str) -> Result<Download, Error> {
        let ask = Ask::get(["api", "devices", device, "files", name]);
        Ok(Download {
            response: self.open(&ask).await?,
            client: self.clone(),
            hash: Context::new(&SHA256),
        })
    }

    /// Removes a file of a device.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn remove_file(&self, device: &str, name: &str) -> Result<(), Error> {
        let ask = Ask::delete(["api", "devices", device, "files", name]);
        self.send(&ask).await?;
        Ok(())
    }

    /// Grants the use of a file.
    ///
    /// # Errors
    /// As any request.
    pub async fn grant_file(
        &self,
        device: &str,
        new: NewFileGrant<'_>,
    ) -> Result<GrantIssued, Error> {
        let mut body = json!({"name": new.name, "verb": new.verb, "deliver": new.deliver});
        if let (Some(lasts), Some(members)) = (new.lasts, body.as_object_mut()) {
            members.insert("lasts".into(), lasts.into());
        }
        let ask = Ask::create(["api", "devices", device, "grants"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// Revokes a grant, and breaks off whatever goes on by it.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn revoke_grant(&self, device: &str, grant: &str) -> Result<Revoked, Error> {
        let ask = Ask::post(["api", "devices", device, "grants", grant, "revoke"]);
        self.send(&ask).await?.json()
    }
}

impl Download {
    /// How many bytes there are, if the hub says so.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes of it, or none after the last.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it breaks off; [`Error::Answer`] after the last when what came is
    /// not what the hub says is in the file.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let chunk = self.response.chunk().await;
        let chunk = chunk.map_err(|source| self.client.unreachable(source))?;
        let Some(chunk) = chunk else {
            return self.check().map(|()| None);
        };
        self.hash.update(&chunk);
        Ok(Some(chunk.into()))
    }

    fn check(&self) -> Result<(), Error> {
        let tag = self.response.headers().get(ETAG);
        let tag = tag.and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        let digest = self.hash.clone().finish();
        let digest = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        if tag.trim_matches('"') == digest.collect::<String>() {
            return Ok(());
        }
        Err(Error::Answer {
            hub: self.client.hub().to_owned(),
            why: "the file that came has another SHA-256 than the hub says".to_owned(),
        })
    }
}
