//! Files of devices, as clients of Azure's Blob storage put and get them: `/files/DEVICE/NAME`.
//!
//! An address holds for one file and one verb, by a grant of the core's; its signature is that of a
//! service of Azure's, made with the grant's key. So every client of Azure's that takes an address
//! with a signature can use it. What is sent either way is broken off when the grant, its device or
//! its site is revoked.

mod admission;
mod answer;
mod pace;
mod reading;
mod removing;
mod writing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use outgate_azure::storage::operation::Operation;
use outgate_azure::storage::problem::Problem;
use outgate_azure::storage::sas::{Resource, Sas, Terms, sign};
use outgate_core::Core;
use outgate_core::files::{Access, Files, Issued, Verb};
use outgate_door::Facts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::answer::{Refused, Told};
use super::caller::{Caller, guarded};
use crate::api::{Place, Places};
use crate::http::Cut;

/// The account and the container that signatures name. Addresses have only the latter.
const ACCOUNT: &str = "outgate";
pub(super) const CONTAINER: &str = "files";

/// The most files that are coming at a time, and from one device: each holds two parts of its body
/// in memory.
const MAX_COMING: usize = 64;
const MAX_COMING_EACH: usize = 16;

/// The most files that are sent at a time, and to one device.
const MAX_SENT: usize = 256;
const MAX_SENT_EACH: usize = 32;

/// The most bytes of a body that are taken from who is not let in: two blocks as Azure's clients
/// send them; and from who is let in and refused then: as much as those send at once. And for how
/// long.
const MAX_PASSED_OVER: usize = 8 << 20;
const MAX_PASSED_OVER_LET_IN: usize = 64 << 20;
const PASSED_OVER_WITHIN: Duration = Duration::from_secs(10);

/// What is left as it is in the path of an address.
const STEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// What requests share.
#[derive(Debug)]
struct Blobs {
    core: Core,
    coming: Places,
    sent: Places,
}

/// A request that has been let in.
struct Asked {
    files: Files,
    access: Access,
    sas: Sas,
    headers: HeaderMap,
    /// Its place among those that are served.
    place: Place,
}

/// The routes.
pub(crate) fn router(core: Core) -> Router {
    Router::new()
        .route("/files/{device}/{*name}", any(serve))
        .with_state(Arc::new(Blobs {
            core,
            coming: Places::new(MAX_COMING),
            sent: Places::new(MAX_SENT),
        }))
}

/// Where the file of a grant that has just been issued is put or got, with the signature.
pub(super) struct Signed {
    /// The blob in its container, not encoded.
    pub(super) blob: String,
    /// The query: whoever has it may use the grant.
    pub(super) query: String,
}

/// The path and query at which the file of a grant that has just been issued is put or got.
#[must_use]
pub fn address(issued: &Issued) -> String {
    let Signed { blob, query } = signed(issued);
    format!("/{CONTAINER}/{}?{query}", utf8_percent_encode(&blob, STEP))
}

/// The same in its parts.
pub(super) fn signed(issued: &Issued) -> Signed {
    let grant = &issued.grant;
    let blob = format!("{}/{}", grant.device, grant.name);
    let terms = Terms {
        starts: grant.created.as_millis().div_euclid(1_000),
        ends: grant.ends.as_millis().div_euclid(1_000),
        permissions: match grant.verb {
            Verb::Read => "r",
            Verb::Write => "cw",
            Verb::Delete => "d",
        },
        policy: grant.id.as_str(),
    };
    let query = sign(terms, resource(&blob), issued.key.expose());
    Signed { blob, query }
}

fn resource(blob: &str) -> Resource<'_> {
    Resource {
        account: ACCOUNT,
        container: CONTAINER,
        blob,
    }
}

async fn serve(
    State(blobs): State<Arc<Blobs>>,
    Extension(facts): Extension<Facts>,
    cut: Cut,
    request: Request,
) -> Response {
    let told = Told::of(request.headers(), &blobs.core.clock);
    match blobs.answered(facts.peer, cut, request).await {
        Ok(response) => told.answered(response),
        Err(refused) => told.refused(refused),
    }
}

impl Blobs {
    async fn answered(
        &self,
        peer: SocketAddr,
        cut: Cut,
        request: Request,
    ) -> Result<Response, Refused> {
        let (parts, mut body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        let operation = Operation::parse(parts.method.as_str(), query)?;
        let let_in = match admission::admit(&self.core, peer, &parts.uri, &operation).await {
            Ok(let_in) => let_in,
            Err(refused) => {
                pass_over(&mut body, MAX_PASSED_OVER).await;
                return Err(refused);
            }
        };
        let asked = Asked {
            files: self.core.files.clone(),
            place: self.place(let_in.admitted.access.place().device.as_str(), &operation)?,
            access: let_in.admitted.access,
            sas: let_in.sas,
            headers: parts.headers,
        };
        let caller = Caller::from(let_in.admitted.session);
        let answer = async move {
            let done = asked.done(operation, &mut body).await;
            if done.is_err() {
                pass_over(&mut body, MAX_PASSED_OVER_LET_IN).await;
            }
            done
        };
        guarded(caller, cut, answer).await
    }

    /// A place for what a device asks for.
    fn place(&self, device: &str, operation: &Operation) -> Result<Place, Problem> {
        let (places, each) = match operation {
            Operation::PutBlob | Operation::PutBlock(_) | Operation::PutBlockList => {
                (&self.coming, MAX_COMING_EACH)
            }
            Operation::GetBlockList(_)
            | Operation::GetBlob
            | Operation::GetProperties
            | Operation::Delete => (&self.sent, MAX_SENT_EACH),
        };
        let place = places.take(vec![(device.to_owned(), each)]);
        place.ok_or(Problem::ServerBusy)
    }
}

/// Takes what still comes of a request that is refused, and does nothing with it: most clients
/// send all of a body before they look at the answer, and a connection that is closed on them
/// takes the answer with it.
async fn pass_over(body: &mut Body, most: usize) {
    let passed = async {
        let mut passed = 0;
        while let Some(Ok(frame)) = body.frame().await {
            passed += frame.data_ref().map_or(0, Bytes::len);
            if passed > most {
                return;
            }
        }
    };
    // Then the connection is closed on them after all.
    let _ = tokio::time::timeout(PASSED_OVER_WITHIN, passed).await;
}

impl Asked {
    async fn done(self, operation: Operation, body: &mut Body) -> Result<Response, Refused> {
        match operation {
            Operation::PutBlob => writing::put_blob(self, body).await,
            Operation::PutBlock(id) => writing::put_block(self, &id, body).await,
            Operation::PutBlockList => writing::put_block_list(self, body).await,
            Operation::GetBlockList(which) => reading::block_list(self, which).await,
            Operation::GetBlob => reading::blob(self).await,
            Operation::GetProperties => reading::properties(self).await,
            Operation::Delete => removing::delete(self).await,
        }
    }

    /// A header, if it is there and a text.
    fn header(&self, name: &'static str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
