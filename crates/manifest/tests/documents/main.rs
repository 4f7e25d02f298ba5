//! The shipped manifests against the documents that they say the same as.
//!
//! `<product>.txt` lists every row and sentence of a product's document that demands something,
//! with what carries it. Nothing on the list may be missing in the manifest, and nothing may be in
//! the manifest that is not on the list.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod completeness;
mod facts;
mod promises;
mod shelf;
mod table;
mod wording;
