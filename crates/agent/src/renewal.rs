//! Another certificate for the device's key in time, or, after a long time without a network, when
//! the one that it has is over.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use outgate_probe::{Path as Way, PathConfig};
use rcgen::{CertificateParams, KeyPair};
use serde::Deserialize;
use tokio::sync::watch;

use crate::chain::chain;
use crate::clock::Keeper;
use crate::disk;
use crate::hub_http::{asked, exchange};
use crate::link::driver::Changer;
use crate::proof::{Held, Proof};
use crate::status::{Board, LinkState, Status, Trouble};

/// Where the hub gives it.
const PATH: &str = "/device/certificate";
/// The most bytes of an answer.
const ANSWER_MAX: usize = 64 * 1024;
/// How long the hub may take, names and connection aside.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether it is time.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long to wait after a failure at first; twice as long each time, up to [`LOOK_EVERY`].
const WAIT_MIN: Duration = Duration::from_secs(30);

/// What is needed for it.
pub(crate) struct Renewal {
    pub(crate) proof: Proof,
    /// The hub's address.
    pub(crate) hub: String,
    pub(crate) way: PathConfig,
    pub(crate) clock: Keeper,
    pub(crate) board: Board,
}

/// What a look came to.
enum Looked {
    /// It is not time, or there is no certificate.
    NotDue,
    /// There is another.
    Renewed,
}

/// What the hub answers.
#[derive(Deserialize)]
struct Answer {
    certificate: String,
}

impl Renewal {
    /// Looks again and again, and whenever the hub has begun to refuse the device. The link is
    /// told of each that was got.
    pub(crate) async fn keep(self, link: Changer) {
        let mut board = self.board.watch();
        let mut wait = WAIT_MIN;
        // Whether there is one that the link has not been refused with yet.
        let mut is_fresh = false;
        loop {
            let next = match self.look().await {
                Ok(Looked::NotDue) => LOOK_EVERY,
                Ok(Looked::Renewed) => {
                    wait = WAIT_MIN;
                    is_fresh = true;
                    link.on_change().await;
                    LOOK_EVERY
                }
                Err(why) => {
                    self.trouble(&why);
                    let now = wait;
                    wait = (wait * 2).min(LOOK_EVERY);
                    now
                }
            };
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = refused(&mut board) => {
                    // A link that stands goes on by the one before, until that is over.
                    if std::mem::take(&mut is_fresh) {
                        link.on_change().await;
                    }
                }
            }
        }
    }

    async fn look(&self) -> Result<Looked, String> {
        let held = self.proof.held().map_err(|error| chain(&error))?;
        match held {
            Some(held) if held.life.is_due(self.clock.time()) => {
                self.renew(&held).await?;
                Ok(Looked::Renewed)
            }
            Some(_) | None => Ok(Looked::NotDue),
        }
    }

    async fn renew(&self, held: &Held) -> Result<(), String> {
        let request = request(&held.key)?;
        let uri: Uri = self.hub.parse().map_err(|_| "the hub's address is none")?;
        let (ask, secure) = asked(&uri)?;
        let way = Way::new(PathConfig {
            client_identity: Some(held.identity.clone()),
            ..self.way.clone()
        });
        let way = way.map_err(|error| chain(&error))?;
        let stream = outgate_probe::open(&ask, &way, secure).await;
        let stream = stream.map_err(|trouble| trouble.to_string())?;
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let folder = uri.path().trim_end_matches('/');
        let request = Request::post(format!("{folder}{PATH}"))
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/x-pem-file")
            .body(Full::new(Bytes::from(request)))
            .map_err(|error| chain(&error))?;
        let answer = tokio::time::timeout(PATIENCE, exchange(stream, request, ANSWER_MAX)).await;
        let answer = answer.map_err(|_| "the hub does not answer in time")??;
        if answer.status() != StatusCode::OK {
            return Err(format!("the hub answers {}", answer.status()));
        }
        let answer: Answer = serde_json::from_slice(answer.body())
            .map_err(|_| "the hub does not answer with a certificate")?;
        outgate_probe::ClientIdentity::from_pem(answer.certificate.as_bytes(), held.key.as_bytes())
            .map_err(|error| format!("what the hub gives is of no use: {}", chain(&error)))?;
        disk::write(self.proof.renewed(), answer.certificate.as_bytes())
            .map_err(|error| chain(&error))
    }

    fn trouble(&self, why: &str) {
        self.board.trouble(Trouble {
            at: self.clock.time(),
            part: "certificate",
            text: format!("the device's certificate is not renewed: {why}"),
            cause: None,
        });
    }
}

/// Waits until the hub begins to refuse the device.
async fn refused(board: &mut watch::Receiver<Status>) {
    let is_refused = |status: &Status| status.link.state == LinkState::Refused;
    // Whoever writes the board is as long there as this is.
    let _ = board.wait_for(|status| !is_refused(status)).await;
    let _ = board.wait_for(is_refused).await;
}

/// A request for the key.
fn request(key: &str) -> Result<String, String> {
    let key = KeyPair::from_pem(key).map_err(|error| chain(&error))?;
    let request = CertificateParams::default().serialize_request(&key);
    let request = request.and_then(|request| request.pem());
    request.map_err(|error| chain(&error))
}
