//! What makes a message believed: signatures by RFC 9421 over what was said, to whom, and at whose
//! challenge.
//!
//! Clocks on a local network may be years off, so nothing here leans on them: who is spoken to names
//! a challenge, a random number that counts for a minute at the most and is told in every answer. A
//! message that shows it is not old, and that it is not there for the second time its nonce shows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use outgate_neighbours::{MemberId, NotBelieved, Roster};
use outgate_signed_http::{
    Component, Cover, Message, Nonces, Policy, Refused, Replayed, Request, Response, Signer,
    Verified, VerifyingKey, check_content, content_digest,
};
use parking_lot::{Mutex, RwLock};

use super::{Settings, StartError};

/// Where messages are posted to.
pub(super) const PATH: &str = "/neighbours/v1";
/// Where rosters are posted to, by anybody.
pub(super) const ROSTER_PATH: &str = "/neighbours/v1/roster";

/// Where it is said which file is wanted.
pub(super) const FILE_PATH: &str = "/neighbours/v1/file";
/// Where it is said what is for the hub.
pub(super) const RELAY_PATH: &str = "/neighbours/v1/relay";

pub(super) const SITE: HeaderName = HeaderName::from_static("outgate-site");
/// Whom a request is for.
const TO: HeaderName = HeaderName::from_static("outgate-to");
/// Where the sender of a request listens.
const PORT: HeaderName = HeaderName::from_static("outgate-port");
pub(super) const MEMBER: HeaderName = HeaderName::from_static("outgate-member");
pub(super) const CHALLENGE: HeaderName = HeaderName::from_static("outgate-challenge");
const DIGEST: HeaderName = HeaderName::from_static("content-digest");

const TAG: &str = "outgate-neighbours-1";
const LABEL: &str = "neighbours";
const OF_REQUESTS: [&str; 7] = [
    "@method",
    "@path",
    "content-digest",
    "outgate-site",
    "outgate-to",
    "outgate-port",
    "outgate-challenge",
];
const OF_RESPONSES: [&str; 4] = [
    "@status",
    "content-digest",
    "outgate-challenge",
    "\"signature\";req;key=\"neighbours\"",
];
/// A challenge is given out for so long, and counts for as long again.
const CHALLENGE_FOR: Duration = Duration::from_secs(30);
/// `created` of a signature may be anything: challenges say what is new.
const ANY_TIME: Duration = Duration::from_secs(200 * 365 * 86_400);

/// Why a message is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotHeard {
    #[error("not signed, or not as it must be: {0}")]
    Signature(#[from] Refused),
    #[error("changed on the way")]
    Changed,
    #[error("for another site or member")]
    Misdirected,
    #[error("seen before")]
    Replayed(#[from] Replayed),
    #[error("made for a challenge that is over")]
    Stale,
    #[error("no message")]
    Unreadable,
    #[error("another file than it was asked for")]
    OtherFile,
    #[error(transparent)]
    NotBelieved(#[from] NotBelieved),
}

impl NotHeard {
    /// Under which name it is counted.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Signature(Refused::UnknownKey(_)) => "signed by nobody of this site",
            Self::Signature(Refused::Forged(_)) | Self::Changed => "changed on the way, or forged",
            Self::Signature(_) => "not signed as it must be",
            Self::Misdirected => "for another site or member",
            Self::Replayed(_) => "seen before",
            Self::Stale => "made for a challenge that is over",
            Self::Unreadable => "no message",
            Self::NotBelieved(NotBelieved::Revoked) => "it was revoked",
            Self::NotBelieved(NotBelieved::Expired) => "its membership is over",
            Self::NotBelieved(NotBelieved::Unknown) => "signed by nobody of this site",
            Self::OtherFile => "another file than was asked for",
        }
    }
}

/// Signs what is said, and verifies what is heard.
#[derive(Debug)]
pub(super) struct Envelope {
    site: HeaderValue,
    me: HeaderValue,
    port: HeaderValue,
    signer: Signer,
    of_requests: Vec<Component>,
    of_responses: Vec<Component>,
    roster: RwLock<Arc<Roster>>,
    door: Mutex<Door>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

/// What is remembered of requests.
#[derive(Debug)]
struct Door {
    begun: Instant,
    nonces: Nonces,
    challenge: HeaderValue,
    before: HeaderValue,
    changed: Instant,
}

/// A request whose signature holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) from: MemberId,
    /// Where it listens.
    pub(super) port: u16,
}

impl Envelope {
    pub(super) fn new(settings: &Settings, port: u16, roster: &Roster) -> Result<Self, StartError> {
        let now = Instant::now();
        Ok(Self {
            site: value(settings.site.as_str()),
            me: value(settings.id.as_str()),
            port: HeaderValue::from(port),
            signer: settings.key.signer(&settings.id)?,
            of_requests: components(&OF_REQUESTS),
            of_responses: components(&OF_RESPONSES),
            roster: RwLock::new(Arc::new(roster.clone())),
            door: Mutex::new(Door {
                begun: now,
                nonces: Nonces::default(),
                challenge: random().ok_or(StartError::Random)?,
                before: HeaderValue::from_static(""),
                changed: now,
            }),
            refused: Mutex::default(),
        })
    }

    /// The site and this member.
    pub(super) fn names(&self) -> (HeaderValue, HeaderValue) {
        (self.site.clone(), self.me.clone())
    }

    pub(super) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read())
    }

    pub(super) fn set_roster(&self, roster: &Roster) {
        *self.roster.write() = Arc::new(roster.clone());
    }

    /// Counts what was not believed.
    pub(super) fn count(&self, why: &NotHeard) {
        *self.refused.lock().entry(why.kind()).or_default() += 1;
    }

    /// What was not believed so far.
    pub(super) fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().clone()
    }

    /// The challenge that requests must show now.
    pub(super) fn challenge(&self) -> HeaderValue {
        let mut door = self.door.lock();
        let now = Instant::now();
        let age = now.duration_since(door.changed);
        if age >= CHALLENGE_FOR
            && let Some(new) = random()
        {
            // After a long silence the one before is over as well.
            let before = std::mem::replace(&mut door.challenge, new);
            door.before = if age < 2 * CHALLENGE_FOR {
                before
            } else {
                HeaderValue::from_static("")
            };
            door.changed = now;
        }
        door.challenge.clone()
    }

    /// The fields of a request to `to` at a path, signed.
    pub(super) fn request(
        &self,
        path: &str,
        to: &MemberId,
        challenge: HeaderValue,
        content: &[u8],
    ) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(DIGEST, content_digest(content));
        fields.insert(SITE, self.site.clone());
        fields.insert(TO, value(to.as_str()));
        fields.insert(PORT, self.port.clone());
        fields.insert(CHALLENGE, challenge);
        let request = request(path, &fields);
        let signed = self.sign(&Message::Request(request), &self.of_requests);
        if let Some(signed) = signed {
            signed.put(&mut fields);
        }
        fields
    }

    /// Whether a request at a path is new, and signed by somebody for this member.
    pub(super) fn open_request(
        &self,
        path: &str,
        fields: &HeaderMap,
        content: &[u8],
    ) -> Result<Heard, NotHeard> {
        let verified = self.proved(path, fields)?;
        check_content(fields, content).map_err(|_| NotHeard::Changed)?;
        self.taken(&verified, fields)
    }

    /// As [`Self::open_request`], before the content is there: it is then to be held against its
    /// digest.
    pub(super) fn open_head(&self, path: &str, fields: &HeaderMap) -> Result<Heard, NotHeard> {
        self.taken(&self.proved(path, fields)?, fields)
    }

    /// Whether the head of a request at a path is signed by somebody.
    fn proved(&self, path: &str, fields: &HeaderMap) -> Result<Verified, NotHeard> {
        let message = Message::Request(request(path, fields));
        Ok(self.verify(&message, &self.of_requests, true)?)
    }

    /// Whether it is for this member, and there for the first time.
    fn taken(&self, verified: &Verified, fields: &HeaderMap) -> Result<Heard, NotHeard> {
        if fields.get(SITE) != Some(&self.site) || fields.get(TO) != Some(&self.me) {
            return Err(NotHeard::Misdirected);
        }
        let current = self.challenge();
        let mut door = self.door.lock();
        let shown = fields.get(CHALLENGE);
        let counts = shown
            .is_some_and(|shown| *shown == current || (*shown == door.before && !shown.is_empty()));
        if !counts {
            return Err(NotHeard::Stale);
        }
        // By the clock that never goes back, told as the other kind.
        let passed = SystemTime::UNIX_EPOCH + door.begun.elapsed();
        let nonce = verified.parameters.nonce().unwrap_or_default();
        let until = passed + 2 * CHALLENGE_FOR;
        door.nonces.take(&verified.keyid, nonce, until, passed)?;
        let port = fields
            .get(PORT)
            .and_then(|port| port.to_str().ok()?.parse().ok());
        Ok(Heard {
            from: verified.keyid.parse().map_err(|_| NotHeard::Unreadable)?,
            port: port.ok_or(NotHeard::Unreadable)?,
        })
    }

    /// The fields of the response to a request, signed.
    pub(super) fn response(
        &self,
        status: StatusCode,
        asked: &HeaderMap,
        content: &[u8],
    ) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(DIGEST, content_digest(content));
        fields.insert(CHALLENGE, self.challenge());
        let response = Message::Response(Response {
            status,
            fields: &fields,
            request: Some(request(PATH, asked)),
        });
        if let Some(signed) = self.sign(&response, &self.of_responses) {
            signed.put(&mut fields);
        }
        fields
    }

    /// Whether the head of a response is by `from` and answers this request. Its content is then to
    /// be held against its digest.
    pub(super) fn open_response(
        &self,
        from: &MemberId,
        status: StatusCode,
        fields: &HeaderMap,
        asked: &HeaderMap,
    ) -> Result<(), NotHeard> {
        let message = Message::Response(Response {
            status,
            fields,
            request: Some(request(PATH, asked)),
        });
        let verified = self.verify(&message, &self.of_responses, false)?;
        if verified.keyid == from.as_str() {
            Ok(())
        } else {
            Err(NotHeard::Misdirected)
        }
    }

    fn sign(
        &self,
        message: &Message<'_>,
        components: &[Component],
    ) -> Option<outgate_signed_http::Signed> {
        let nonce = random()?;
        let cover = Cover {
            label: LABEL,
            components,
            tag: TAG,
            created: SystemTime::now(),
            expires: None,
            nonce: nonce.to_str().ok(),
        };
        self.signer.sign(message, &cover).ok()
    }

    fn verify(
        &self,
        message: &Message<'_>,
        components: &[Component],
        nonce: bool,
    ) -> Result<Verified, Refused> {
        let policy = Policy {
            tag: TAG,
            components,
            max_age: ANY_TIME,
            skew: ANY_TIME,
            nonce,
        };
        let roster = self.roster();
        // Keys of former members as well: what becomes of them is the member's to say, and to count.
        let key = |keyid: &str| -> Option<VerifyingKey> {
            keyid
                .parse()
                .ok()
                .and_then(|id| roster.author(&id).copied())
        };
        policy.verify(message, SystemTime::now(), key)
    }
}

fn request<'a>(path: &'a str, fields: &'a HeaderMap) -> Request<'a> {
    Request {
        method: "POST",
        scheme: "http",
        authority: "",
        path,
        query: None,
        fields,
    }
}

fn components(names: &[&str]) -> Vec<Component> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// 128 bits that nobody can guess, as text.
fn random() -> Option<HeaderValue> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(value(&URL_SAFE_NO_PAD.encode(bytes)))
}

/// Names and random text have only letters that fit.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
