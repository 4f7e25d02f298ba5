//! Assets: files that devices hold a copy of.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// How long the hub may take to get what is in an asset.
const SENT_WITHIN: Duration = Duration::from_secs(600);

/// A file that devices hold a copy of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asset {
    /// Its name, as `images/logo.png`.
    pub name: String,
    /// Whose devices it is for; those of all sites when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The SHA-256 of what is in it, in hexadecimal.
    pub sha256: String,
    /// How many bytes that is.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
    /// Since when it is as it is.
    pub changed: String,
}

impl Client {
    /// All assets that the asker sees.
    pub fn assets(&self) -> impl Stream<Item = Result<Asset, Error>> + use<> {
        pages::items(self, Ask::get(["api", "assets"]))
    }

    /// Makes an asset, or changes the one of that name, for the devices of `site` or of all.
    ///
    /// # Errors
    /// As any request.
    pub async fn put_asset(
        &self,
        name: &str,
        site: Option<&str>,
        content_type: String,
        content: Bytes,
    ) -> Result<Asset, Error> {
        let ask = Ask::put(["api", "assets", name])
            .query("site", site)
            .body(content_type, content)
            .patience(SENT_WITHIN);
        self.send(&ask).await?.json()
    }

    /// Removes an asset.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn remove_asset(&self, name: &str, site: Option<&str>) -> Result<(), Error> {
        let ask = Ask::delete(["api", "assets", name]).query("site", site);
        self.send(&ask).await?;
        Ok(())
    }
}
