//! Tables that devices look things up in.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// How long the hub may take to get a table and keep it.
const LOADED_WITHIN: Duration = Duration::from_secs(120);

/// A table that devices look things up in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Whose devices may ask it; those of all sites when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// By which column its rows are known, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes they and their keys have.
    pub bytes: u64,
    /// When it was loaded.
    pub loaded: String,
}

/// A table to be loaded.
#[derive(Clone, Debug)]
pub struct NewTable<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whose devices may ask it; those of all sites when there is none.
    pub site: Option<&'a str>,
    /// By which column, or by which name of a list's objects, its rows are known.
    pub key: Option<&'a str>,
    /// `text/csv` or `application/json`.
    pub content_type: String,
    /// What is in it.
    pub content: Bytes,
}

impl Client {
    /// All tables that the asker sees.
    pub fn tables(&self) -> impl Stream<Item = Result<Table, Error>> + use<> {
        pages::items(self, Ask::get(["api", "tables"]))
    }

    /// Loads a table, which takes the place of the one of that name.
    ///
    /// # Errors
    /// As any request.
    pub async fn load_table(&self, new: NewTable<'_>) -> Result<Table, Error> {
        let ask = Ask::put(["api", "tables", new.name])
            .query("site", new.site)
            .query("key", new.key)
            .body(new.content_type, new.content)
            .patience(LOADED_WITHIN);
        self.send(&ask).await?.json()
    }

    /// Removes a table.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn remove_table(&self, name: &str, site: Option<&str>) -> Result<(), Error> {
        let ask = Ask::delete(["api", "tables", name]).query("site", site);
        self.send(&ask).await?;
        Ok(())
    }
}
