//! A file is to go.

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use outgate_azure::storage::condition::{Conditions, Current, Verdict};
use outgate_azure::storage::problem::Problem;
use outgate_core::Refusal;
use outgate_core::files::{Condition, File};

use super::Asked;
use super::answer::{Refused, empty, tag, unsigned_seconds};

/// What else is to go of a blob: its past, of which there is none here.
const SNAPSHOTS: &str = "x-ms-delete-snapshots";

/// Headers by which the going would depend on something that is not looked at here.
const UNSUPPORTED: [&str; 2] = ["x-ms-if-tags", "x-ms-lease-id"];

/// That nothing of the blob is kept for later.
const FOR_GOOD: HeaderName = HeaderName::from_static("x-ms-delete-type-permanent");

/// Removes the file.
pub(super) async fn delete(asked: Asked) -> Result<Response, Refused> {
    let has = |name: &&str| asked.headers.contains_key(*name);
    if UNSUPPORTED.iter().any(has) {
        return Err(Problem::UnsupportedHeader.into());
    }
    match asked.header(SNAPSHOTS) {
        None | Some("include") => {}
        // Only those: the file would have to stay.
        Some("only") => return Err(Problem::UnsupportedHeader.into()),
        Some(_) => return Err(Problem::InvalidHeaderValue.into()),
    }
    asked.files.delete(&asked.access, asked.may_go()).await?;
    let mut response = empty(StatusCode::ACCEPTED);
    let headers = response.headers_mut();
    headers.insert(FOR_GOOD, HeaderValue::from_static("true"));
    Ok(response)
}

impl Asked {
    /// Whether what is there may go, by the conditions of the request.
    fn may_go(&self) -> Condition {
        let conditions = Conditions::parse(|name| self.header(name));
        Box::new(move |there: Option<&File>| {
            let tag = there.map(tag);
            let current = there.zip(tag.as_deref()).map(|(file, tag)| Current {
                tag,
                changed: unsigned_seconds(file.changed),
            });
            match conditions.on_deleting(current) {
                Verdict::Go => Ok(()),
                Verdict::Exists | Verdict::Failed | Verdict::NotModified => {
                    Err(Refusal::Conflict { what: "the file" })
                }
            }
        })
    }
}
