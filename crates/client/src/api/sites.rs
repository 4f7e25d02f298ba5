//! Sites: customers' places where devices stand.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::devices::Revoked;
use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// A customer's place where devices stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Site {
    /// Its name.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Since when.
    pub created: String,
    /// When it was revoked, if it was.
    pub revoked: Option<String>,
    /// Goes up by one with each change.
    pub version: u64,
}

impl Client {
    /// All sites that the asker sees.
    pub fn sites(&self) -> impl Stream<Item = Result<Site, Error>> + use<> {
        pages::items(self, Ask::get(["api", "sites"]))
    }

    /// One site.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn site(&self, id: &str) -> Result<Site, Error> {
        self.send(&Ask::get(["api", "sites", id])).await?.json()
    }

    /// Makes a site.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is one already; as any request.
    pub async fn create_site(&self, id: &str, title: &str) -> Result<Site, Error> {
        let body = json!({ "id": id, "title": title });
        let ask = Ask::create(["api", "sites"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// Gives a site another title, if its version is still `if_version`.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 412 when it is not; as any request.
    pub async fn rename_site(
        &self,
        id: &str,
        title: &str,
        if_version: Option<u64>,
    ) -> Result<Site, Error> {
        let ask = Ask::patch(["api", "sites", id])
            .json(&json!({ "title": title }))
            .if_version(if_version);
        self.send(&ask).await?.json()
    }

    /// Revokes a site: none of its devices may come in, none stays in.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_site(&self, id: &str) -> Result<Revoked, Error> {
        let ask = Ask::post(["api", "sites", id, "revoke"]);
        self.send(&ask).await?.json()
    }

    /// Lets a site's devices in again.
    ///
    /// # Errors
    /// As any request.
    pub async fn restore_site(&self, id: &str) -> Result<Site, Error> {
        let ask = Ask::post(["api", "sites", id, "restore"]);
        self.send(&ask).await?.json()
    }
}
