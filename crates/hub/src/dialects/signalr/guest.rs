//! Who comes in, and as whom a connection acts.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Uri};
use outgate_core::id::{ServiceId, SiteId};
use outgate_core::identity::{Identified, Principal, Scope};
use outgate_core::limits::source;
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use percent_encoding::percent_decode_str;

use super::signed;
use crate::config::SignalRHub;
use crate::dialects::login::{self, Shown};

/// The most bytes of one of the hub's own tokens in a query.
const MAX_TOKEN: usize = 1_024;

/// The path at which clients of Azure SignalR Service find their hub.
const CLIENT: &str = "/client";

/// Somebody who was made out by what a request showed.
#[derive(Debug)]
pub(super) struct Guest {
    identified: Identified,
    peer: SocketAddr,
    user: Option<Arc<str>>,
    who: Who,
    /// What its token says beside, as `name: value`.
    claims: Vec<String>,
    /// What it was asked with, without what must stay secret.
    query: String,
    /// Since its connection's handshake; who holds it is the conversation.
    session: OnceLock<Weak<Session>>,
}

/// What a guest is.
#[derive(Debug)]
enum Who {
    /// A device at this site.
    Device(SiteId),
    /// A client for whom this service's back end has signed a token.
    Client(ServiceId),
}

/// A service that sends.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) service: ServiceId,
    pub(super) scope: Scope,
}

impl Guest {
    /// Makes out who asks for the hub of those settings: by a token in `Authorization`, or in the
    /// query, where browsers put it that cannot send that; or by the certificate below.
    ///
    /// # Errors
    /// As [`login::identify`] and [`signed::verify`]; [`Refusal::Forbidden`] for who is neither a
    /// device nor a client of a service's.
    pub(super) async fn make_out(
        core: &Core,
        settings: &SignalRHub,
        parts: &Parts,
        facts: &Facts,
    ) -> Result<Self, Refusal> {
        let in_query = || field(&parts.uri, "access_token");
        let headers = &parts.headers;
        let shown = bearer(headers).or_else(in_query);
        if let Some(text) = shown.filter(|text| signed::may_be(text)) {
            let asked = |audience: &Uri| is_of(audience, settings);
            let (identified, claims) = signed::verify(core, text, parts, facts, asked).await?;
            let user = claims.user().map(str::to_owned);
            return Self::new(identified, parts, facts, (user, claims.told()));
        }
        let identified = match in_query() {
            Some(token) if !headers.contains_key(AUTHORIZATION) => {
                if token.len() > MAX_TOKEN {
                    return Err(Refusal::Unauthenticated);
                }
                let token = Secret::new(token.as_bytes().to_vec());
                login::identify(core, Shown::Token(&token), facts).await?
            }
            Some(_) | None => login::over_http(core, headers, facts).await?,
        };
        if let Principal::Service { .. } = &identified.principal {
            return Err(Refusal::forbidden("a client's place for a back end"));
        }
        Self::new(identified, parts, facts, (None, Vec::new()))
    }

    fn new(
        identified: Identified,
        parts: &Parts,
        facts: &Facts,
        (user, claims): (Option<String>, Vec<String>),
    ) -> Result<Self, Refusal> {
        let (who, user) = match &identified.principal {
            Principal::Device { device, site, .. } => {
                (Who::Device(site.clone()), Some(device.to_string()))
            }
            Principal::Service { service, .. } => (Who::Client(service.clone()), user),
            Principal::Operator { .. } => {
                return Err(Refusal::forbidden("a device's place for an operator"));
            }
        };
        Ok(Self {
            user: user.map(Arc::from),
            identified,
            peer: facts.peer,
            who,
            claims,
            query: open_query(&parts.uri),
            session: OnceLock::new(),
        })
    }

    /// The guest whom a request was found to be of.
    pub(super) fn of(parts: &Parts) -> Option<Arc<Self>> {
        parts.extensions.get::<Arc<Self>>().cloned()
    }

    /// Whom messages to a user of that name reach.
    pub(super) fn user(&self) -> Option<Arc<str>> {
        self.user.clone()
    }

    /// What its token says beside whom it is of, as `name: value`.
    pub(super) fn claims(&self) -> &[String] {
        &self.claims
    }

    /// What it was asked with when it came, without what must stay secret.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// Whether a service's messages reach it: those of any that sees the device's site, or of the
    /// service whose client it is.
    pub(super) fn is_reached_by(&self, sender: &Sender) -> bool {
        match &self.who {
            Who::Device(site) => sender.scope.sees(site),
            Who::Client(service) => *service == sender.service,
        }
    }

    /// Whether it is a device, rather than a client of a back end's.
    pub(super) fn is_device(&self) -> bool {
        matches!(self.who, Who::Device(_))
    }

    /// By what it is remembered which transports get through from where it is.
    pub(super) fn known_by(&self) -> Arc<str> {
        let (credential, from) = (&self.identified.credential, source(self.peer.ip()));
        let user = self.user.as_deref().unwrap_or_default();
        format!("{credential} {from} {user}").into()
    }

    /// Opens the session of its connection, which lasts as long as whoever asked keeps it.
    ///
    /// # Errors
    /// As [`Core::open_session`].
    pub(super) async fn open_session(
        &self,
        core: &Core,
        via: &'static str,
    ) -> Result<Arc<Session>, Refusal> {
        let opened = core.open_session(&self.identified, via, self.peer).await?;
        let opened = Arc::new(opened);
        // A connection has one handshake.
        let _ = self.session.set(Arc::downgrade(&opened));
        Ok(opened)
    }

    /// The session of its connection.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when it is over.
    pub(super) fn session(&self) -> Result<Arc<Session>, Refusal> {
        let session = self.session.get().and_then(Weak::upgrade);
        session.ok_or(Refusal::Revoked)
    }
}

/// The query of a request without the secrets of a client and its connection.
fn open_query(uri: &Uri) -> String {
    let fields = uri.query().unwrap_or_default().split('&');
    let open = fields.filter(|field| {
        let name = field.split('=').next().unwrap_or_default();
        !name.eq_ignore_ascii_case("access_token") && !name.eq_ignore_ascii_case("id")
    });
    let open: Vec<&str> = open.filter(|field| !field.is_empty()).collect();
    match open.is_empty() {
        true => String::new(),
        false => format!("?{}", open.join("&")),
    }
}

/// Whether a token's audience is where a hub is found.
fn is_of(audience: &Uri, settings: &SignalRHub) -> bool {
    if signed::same(audience.path(), CLIENT) {
        let name = field(audience, "hub");
        return name.is_some_and(|name| name.eq_ignore_ascii_case(&settings.name));
    }
    let path = settings.path.as_ref();
    path.is_some_and(|path| signed::same(audience.path(), path))
}

/// The bearer token of a request (RFC 6750), if it shows one.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The first field of that name in a request's query, as it is written.
pub(super) fn field<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    named(uri, name).next()
}

/// The fields of that name in a request's query, without what protects them.
pub(super) fn fields<'a>(uri: &'a Uri, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    named(uri, name).map(|value| {
        let value = value.replace('+', " ");
        let decoded = percent_decode_str(&value).decode_utf8_lossy();
        Cow::Owned(decoded.into_owned())
    })
}

fn named<'a>(uri: &'a Uri, name: &str) -> impl Iterator<Item = &'a str> {
    let fields = uri.query().unwrap_or_default().split('&');
    fields.filter_map(move |field| {
        let (its, value) = field.split_once('=')?;
        its.eq_ignore_ascii_case(name).then_some(value)
    })
}
