//! Tables.

use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::{Timestamp, tables};

/// A table that devices look things up in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Table {
    /// Its name.
    #[schema(example = "cards")]
    name: String,
    /// Whose devices may ask it; those of all sites when absent.
    #[schema(value_type = Option<crate::api::names::Name>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// By which column its rows are known, if that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// How many rows it has.
    rows: u64,
    /// How many bytes they and their keys have.
    bytes: u64,
    /// When it was loaded.
    #[schema(value_type = String, format = DateTime)]
    loaded: Timestamp,
}

impl From<tables::Table> for Table {
    fn from(table: tables::Table) -> Self {
        Self {
            name: table.name.into(),
            site: table.site.map(Into::into),
            key: table.key,
            rows: table.rows,
            bytes: table.bytes,
            loaded: table.loaded,
        }
    }
}
