//! Who comes in, and as whom a connection acts.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Uri};
use outgate_core::identity::{Identified, Principal};
use outgate_core::limits::source;
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;

use crate::dialects::login::{self, Shown};

/// The most bytes of a token in a query.
const MAX_TOKEN: usize = 1_024;

/// Somebody who was made out by what a request showed.
#[derive(Debug)]
pub(super) struct Guest {
    identified: Identified,
    peer: SocketAddr,
    user: Arc<str>,
    /// Since its connection's handshake; who holds it is the conversation.
    session: OnceLock<Weak<Session>>,
}

impl Guest {
    /// Makes out who asks: by a token in `Authorization`, or in the query, where browsers put it
    /// that cannot send that; or by the certificate below.
    ///
    /// # Errors
    /// As [`login::identify`]; [`Refusal::Forbidden`] for who is no device.
    pub(super) async fn make_out(
        core: &Core,
        uri: &Uri,
        headers: &HeaderMap,
        facts: &Facts,
    ) -> Result<Self, Refusal> {
        let identified = match field(uri, "access_token") {
            Some(token) if !headers.contains_key(AUTHORIZATION) => {
                if token.len() > MAX_TOKEN {
                    return Err(Refusal::Unauthenticated);
                }
                let token = Secret::new(token.as_bytes().to_vec());
                login::identify(core, Shown::Token(&token), facts).await?
            }
            Some(_) | None => login::over_http(core, headers, facts).await?,
        };
        let user = match &identified.principal {
            Principal::Device { device, .. } => device.as_str().into(),
            Principal::Operator { .. } | Principal::Service { .. } => {
                return Err(Refusal::forbidden("a device's place for somebody else"));
            }
        };
        Ok(Self {
            identified,
            peer: facts.peer,
            user,
            session: OnceLock::new(),
        })
    }

    /// The guest whom a request was found to be of.
    pub(super) fn of(parts: &Parts) -> Option<Arc<Self>> {
        parts.extensions.get::<Arc<Self>>().cloned()
    }

    /// Whom messages to a user of that name reach.
    pub(super) fn user(&self) -> Arc<str> {
        Arc::clone(&self.user)
    }

    /// By what it is remembered which transports get through from where it is.
    pub(super) fn known_by(&self) -> Arc<str> {
        let (credential, from) = (&self.identified.credential, source(self.peer.ip()));
        format!("{credential} {from}").into()
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

/// A field of a request's query, as it is written.
pub(super) fn field<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let mut fields = uri.query().unwrap_or_default().split('&');
    fields.find_map(|field| {
        let (its, value) = field.split_once('=')?;
        its.eq_ignore_ascii_case(name).then_some(value)
    })
}
