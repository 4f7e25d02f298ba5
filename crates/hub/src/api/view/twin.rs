//! Twins.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use outgate_core::{Timestamp, twin};

/// One half of a twin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Half {
    /// The document.
    #[schema(value_type = Object)]
    document: Value,
    /// Goes up by one with each change; 0 before the first.
    pub(crate) version: u64,
    /// When it last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    changed: Option<Timestamp>,
}

impl From<twin::Half> for Half {
    fn from(half: twin::Half) -> Self {
        Self {
            document: half.document,
            version: half.version,
            changed: half.changed,
        }
    }
}

/// What a device is wanted to be, and what it says it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Twin {
    /// Whose.
    #[schema(example = "till-7")]
    device: String,
    /// What operators want.
    desired: Half,
    /// What the device says.
    reported: Half,
}

impl From<twin::Twin> for Twin {
    fn from(twin: twin::Twin) -> Self {
        Self {
            device: twin.device.into(),
            desired: twin.desired.into(),
            reported: twin.reported.into(),
        }
    }
}

/// What operators say of a device to each other, and find it by.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tags {
    /// Its tags.
    #[schema(example = json!(["canary", "ring=first"]), max_items = 64)]
    tags: Vec<String>,
    /// All of it, also what makes no tag.
    #[schema(value_type = Object, example = json!({"canary": true, "ring": "first"}))]
    document: Value,
    /// Goes up by one with each change; 0 before the first.
    version: u64,
}

impl From<twin::Half> for Tags {
    fn from(half: twin::Half) -> Self {
        let tags = twin::tags_of(&half.document);
        Self {
            tags: tags.into_iter().map(Into::into).collect(),
            document: half.document,
            version: half.version,
        }
    }
}
