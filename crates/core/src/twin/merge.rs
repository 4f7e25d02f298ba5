//! Merge patches (RFC 7396), and the bounds of what comes of them.

use outgate_wire::merge_patch::{self, Unfit};
use serde_json::Value;

use crate::refusal::Refusal;

pub use merge_patch::{MAX_DEPTH, MAX_DOCUMENT};

pub(super) use merge_patch::merge;

/// Checks a patch before it is merged, or a document: it is an object within the bounds.
pub(super) fn check(patch: &Value) -> Result<(), Refusal> {
    let too_large = |what, limit: usize| Refusal::TooLarge {
        what,
        limit: limit as u64,
    };
    merge_patch::check(patch).map_err(|unfit| match unfit {
        Unfit::NoObject => Refusal::invalid("patch", "a JSON object"),
        Unfit::Deep => too_large("depth of the document", MAX_DEPTH),
        Unfit::Large => too_large("bytes of the document", MAX_DOCUMENT),
    })
}
