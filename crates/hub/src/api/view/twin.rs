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
