//! Assets.

use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::{Timestamp, assets};

/// A file that devices hold a copy of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Asset {
    /// Its name.
    #[schema(example = "images/logo.png")]
    name: String,
    /// Whose devices it is for; those of all sites when absent.
    #[schema(value_type = Option<crate::api::names::Name>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// The SHA-256 of what is in it, in hexadecimal.
    #[schema(min_length = 64, max_length = 64)]
    sha256: String,
    /// How many bytes that is.
    size: u64,
    /// Its media type.
    #[schema(example = "image/png")]
    content_type: String,
    /// Since when it is as it is.
    #[schema(value_type = String, format = DateTime)]
    changed: Timestamp,
}

impl From<assets::Asset> for Asset {
    fn from(asset: assets::Asset) -> Self {
        Self {
            name: asset.name.into(),
            site: asset.site.map(Into::into),
            sha256: asset.digest.to_string(),
            size: asset.size,
            content_type: asset.content_type,
            changed: asset.changed,
        }
    }
}
