//! How Mender's clients come in.
//!
//! A client signs its request with a key of its own, which says who it is by some attributes. It is
//! let in when the certificate that it shows below is a device's; or when its key is known to be
//! the device's that it names; or when it shows the key of its fleet as its tenant token,
//! `FLEET-KEY:KEY`, and is taken up by that. All others are told to come again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use outgate_core::id::DeviceId;
use outgate_core::identity::{
    Enrolled, Identified, KeyEnrolment, MAX_TICKET_LIFE, Principal, TicketFor,
};
use outgate_core::limits::{Attempt, source};
use outgate_core::secret::Secret;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_mender::device::{AuthRequest, MAX_AUTH_REQUEST, SIGNATURE_HEADER};

use super::answer::Refused;
use super::{Desk, VIA, read};
use crate::dialects::caller::Caller;
use crate::dialects::login::{self, Shown};

/// By which of its attributes a device is named, the first that it has.
const NAMES: [&str; 5] = ["device", "id", "serial", "SerialNumber", "mac"];

/// The most bytes of an `Authorization` header.
const MAX_AUTHORIZATION: usize = 2_048;

/// The most requests to be let in that are read at a time from one source.
const MAX_ASKING_EACH: usize = 16;

/// Answers a request to be let in with a ticket.
pub(super) async fn ask(
    State(desk): State<Arc<Desk>>,
    Extension(facts): Extension<Facts>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let from = source(facts.peer.ip()).to_string();
    let place = desk.asking.take(vec![(from, MAX_ASKING_EACH)]);
    let _place = place.ok_or(Refusal::Limited {
        what: "requests to be let in",
        retry_after: Duration::from_secs(5),
    })?;
    let core = &desk.core;
    let body = read(body, MAX_AUTH_REQUEST).await?;
    let identified = made_out(core, &headers, &body, &facts).await?;
    // So that a device that is let in has been seen, and one that has just been revoked is not.
    core.open_session(&identified, VIA, facts.peer).await?;
    let identity = &core.identity;
    let ticket = identity.ticket(TicketFor::Updates, &identified, "", MAX_TICKET_LIFE)?;
    Ok(ticket.text.expose().to_vec().into_response())
}

/// Who shows a ticket, and their session.
pub(super) async fn known(
    core: &Core,
    headers: &HeaderMap,
    facts: &Facts,
) -> Result<(Identified, Caller), Refusal> {
    let header = headers.get(AUTHORIZATION).ok_or(Refusal::Unauthenticated)?;
    if header.len() > MAX_AUTHORIZATION {
        return Err(Refusal::Unauthenticated);
    }
    let text = header.to_str().map_err(|_| Refusal::Unauthenticated)?;
    let (scheme, ticket) = text.split_once(' ').ok_or(Refusal::Unauthenticated)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Unauthenticated);
    }
    let ticket = ticket.trim().as_bytes();
    let shown = core.identity.by_ticket(TicketFor::Updates, ticket).await?;
    let session = core
        .open_session(&shown.identified, VIA, facts.peer)
        .await?;
    Ok((shown.identified, session.into()))
}

async fn made_out(
    core: &Core,
    headers: &HeaderMap,
    body: &[u8],
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let signature = headers.get(SIGNATURE_HEADER);
    let signature = signature.and_then(|value| value.to_str().ok());
    let asks = AuthRequest::read(body, signature.unwrap_or_default());
    let asks = asks.map_err(|why| {
        tracing::debug!(error = %why, "an authentication request of a Mender client");
        Refusal::Unauthenticated
    })?;
    let certified = facts.tls.as_ref();
    if certified.is_some_and(|tls| !tls.client_chain.is_empty()) {
        return device(login::identify(core, Shown::Name(""), facts).await?);
    }
    let named = name(&asks.identity).ok_or(Refusal::Unauthenticated)?;
    let print = *asks.key.thumbprint();
    match core.identity.by_public_key(&named, print).await {
        Err(Refusal::Unauthenticated) => {}
        known => return known,
    }
    let enrolment = enrolment(&asks, named.clone(), facts)?;
    // Only a fleet's key can be guessed: who has a key that nobody knows asks on and on.
    let attempt = Attempt::new(facts.peer.ip(), None);
    core.failed_logins.check(&attempt)?;
    let enrolled = core.identity.enrol_key(enrolment).await;
    if let Err(Refusal::Unauthenticated) = &enrolled {
        core.failed_logins.count(&attempt)?;
    }
    match enrolled? {
        Enrolled::Welcome(_) => core.identity.by_public_key(&named, print).await,
        Enrolled::AwaitsApproval(_) => Err(Refusal::AwaitsApproval),
    }
}

/// What a device shows that has its fleet's key as its tenant token.
fn enrolment(asks: &AuthRequest, device: DeviceId, facts: &Facts) -> Result<KeyEnrolment, Refusal> {
    let token = asks.tenant_token.expose();
    let (fleet_key, shown) = token.split_once(':').ok_or(Refusal::Unauthenticated)?;
    Ok(KeyEnrolment {
        fleet_key: fleet_key.parse().map_err(|_| Refusal::Unauthenticated)?,
        shown: Secret::from_base64(shown).ok_or(Refusal::Unauthenticated)?,
        device,
        thumbprint: *asks.key.thumbprint(),
        peer: facts.peer.ip(),
    })
}

fn device(identified: Identified) -> Result<Identified, Refusal> {
    match &identified.principal {
        Principal::Device { .. } => Ok(identified),
        Principal::Service { .. } | Principal::Operator { .. } => Err(Refusal::Unauthenticated),
    }
}

/// The device that some attributes name.
fn name(identity: &BTreeMap<String, String>) -> Option<DeviceId> {
    let mut named = NAMES.iter().filter_map(|name| identity.get(*name));
    named.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_the_first_of_its_attributes_that_names_one() {
        let named = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(name, text)| ((*name).into(), (*text).into()));
            name(&owned.collect()).map(String::from)
        };
        let mac = ("mac", "52:54:00:12:34:56");
        assert_eq!(named(&[mac]).as_deref(), Some("52:54:00:12:34:56"));
        assert_eq!(
            named(&[mac, ("device", "fort-1")]).as_deref(),
            Some("fort-1")
        );
        assert_eq!(named(&[("colour", "red")]), None);
        assert_eq!(named(&[("device", "../etc")]), None);
    }
}
