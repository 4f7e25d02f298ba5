//! Who asks: made out on every request by a bearer token, and held in a session for as long as the
//! answer takes, so that a revocation ends it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use outgate_core::identity::{Actor, Claim, Principal, Role, Scope};
use outgate_core::limits::{Attempt, Share};
use outgate_core::secret::Secret;
use outgate_core::sessions::{Ending, Session};
use outgate_core::{Core, Refusal};
use outgate_door::Facts;

use crate::api::Api;
use crate::api::bounds::MAX_TOKEN;
use crate::api::problem::{Kind, Problem};

/// What sessions of the API are called among the dialects.
const VIA: &str = "api";

/// Somebody who asks, made out and still in good standing. Keeping a copy keeps their session.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Session>);

impl Caller {
    /// Makes out who holds `token`, and opens a session of theirs over `via`.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] and [`Refusal::Revoked`]; [`Refusal::Forbidden`] for a device,
    /// which has no business here; as the store.
    pub async fn sign_in(
        core: &Core,
        token: &Secret,
        via: &'static str,
        peer: SocketAddr,
    ) -> Result<Self, Refusal> {
        let claim = Claim::Token {
            token,
            device: None,
        };
        let identified = core.identity.authenticate(claim).await?;
        match &identified.principal {
            Principal::Device { .. } => Err(Refusal::forbidden("administration by a device")),
            Principal::Operator { .. } | Principal::Service { .. } => {
                let session = core.open_session(&identified, via, peer).await?;
                Ok(Self(Arc::new(session)))
            }
        }
    }

    /// The operator, about to act.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for a service.
    pub fn actor(&self) -> Result<Actor, Refusal> {
        Actor::of(&self.0)
    }

    /// What they see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.0.principal().scope()
    }

    /// Whether they may move a consumer's place: services and operators, not who only looks on.
    pub(crate) fn may_consume(&self) -> Result<(), Refusal> {
        match self.0.principal() {
            Principal::Operator { role, .. } if *role < Role::Operator => {
                Err(Refusal::forbidden("moving a consumer by a viewer"))
            }
            Principal::Operator { .. } | Principal::Service { .. } => Ok(()),
            Principal::Device { .. } => Err(Refusal::forbidden("consuming by a device")),
        }
    }

    /// Whose share of what is bounded they use.
    pub(crate) fn share(&self) -> Share {
        Share::new(self.name(), self.scope())
    }

    /// Under which name what they have is counted.
    pub(crate) fn name(&self) -> String {
        match self.0.principal() {
            Principal::Operator { operator, .. } => format!("operator/{operator}"),
            Principal::Service { service, .. } => format!("service/{service}"),
            Principal::Device { device, .. } => format!("device/{device}"),
        }
    }

    /// Their session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0
    }

    /// Waits until they may no longer ask, and says why.
    pub async fn ended(&self) -> Ending {
        self.0.ended().await
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Refusal::Internal("a route without a login was asked who asks").into())
    }
}

/// Lets only those pass who can be made out, and drops what they asked for when they are revoked.
pub(crate) async fn authenticate(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match make_out(&api, request.headers(), request.extensions().get()).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    crate::traces::follow(&tracing::Span::current(), request.headers());
    request.extensions_mut().insert(caller.clone());
    // Kept here until there is an answer: what was in the body is needed as long.
    let held = api.bodies.none_yet(&caller.share());
    request.extensions_mut().insert(held.clone());
    tokio::select! {
        response = next.run(request) => response,
        ending = caller.ended() => ended(ending).into_response(),
    }
}

/// What is told to somebody whose session ended before the answer was there.
pub(crate) fn ended(ending: Ending) -> Problem {
    match ending {
        Ending::Draining | Ending::Replaced => Refusal::Draining.into(),
        Ending::Revoked | Ending::Expired | Ending::Dismissed => {
            Problem::unauthenticated("the token no longer holds")
        }
    }
}

/// Makes out who asks by the token in `headers`.
pub(crate) async fn make_out(
    api: &Api,
    headers: &HeaderMap,
    facts: Option<&Facts>,
) -> Result<Caller, Problem> {
    let facts = facts.ok_or(Refusal::Internal(
        "a request without the facts of its connection",
    ))?;
    let core = &api.state.core;
    let attempt = Attempt::new(facts.peer.ip(), None);
    let token = bearer(headers)?;
    core.failed_logins.check(&attempt)?;
    match Caller::sign_in(core, &token, VIA, facts.peer).await {
        Ok(caller) => Ok(caller),
        Err(refusal) => {
            let problem = turned_away(refusal);
            if problem.clone().into_response().status() == StatusCode::UNAUTHORIZED {
                core.failed_logins.count(&attempt)?;
            }
            Err(problem)
        }
    }
}

/// What is told to somebody who could not be let in: no more than that to who has been revoked.
pub(crate) fn turned_away(refusal: Refusal) -> Problem {
    match Problem::from(refusal) {
        revoked if revoked.kind() == Kind::Revoked => {
            Problem::unauthenticated("the token is not accepted")
        }
        other => other,
    }
}

/// The token of an `Authorization` header (RFC 6750, section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Secret, Problem> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = all.next() else {
        return Err(Problem::unauthenticated("a bearer token is needed"));
    };
    if all.next().is_some() {
        return Err(Problem::unauthenticated("more than one Authorization"));
    }
    let token = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN)
        .ok_or_else(|| Problem::unauthenticated("Authorization: Bearer TOKEN is needed"))?;
    Ok(Secret::new(token.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_one_bearer_header_only() {
        let token = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers).map(|token| token.expose().to_vec()).ok()
        };
        assert_eq!(token(&["Bearer abc"]).unwrap(), b"abc");
        assert_eq!(token(&["bearer abc"]).unwrap(), b"abc");
        for wrong in [
            &[][..],
            &["abc"],
            &["Bearer"],
            &["Bearer "],
            &["Basic abc"],
            &["Bearer a", "Bearer b"],
            &[&format!("Bearer {}", "a".repeat(MAX_TOKEN + 1))],
        ] {
            assert!(token(wrong).is_none(), "{wrong:?}");
        }
    }
}
