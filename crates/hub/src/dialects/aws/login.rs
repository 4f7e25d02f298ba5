//! Who comes in by a signature of version 4: a device, by one of its symmetric keys or by one that
//! does not last.
//!
//! A key's name is its access key's, and its text in base 64 is the secret.

use axum::extract::Request;
use http::HeaderMap;
use http::header::HOST;
use http::request::Parts;
use outgate_aws::sigv4::{self, Signed};
use outgate_core::Core;
use outgate_core::id::CredentialId;
use outgate_core::identity::{Identified, Principal};
use outgate_core::limits::Attempt;
use outgate_core::refusal::Refusal;
use outgate_door::Facts;

use crate::dialects::azure::login::Entrance;

/// The service for which WebSockets are opened, and for which HTTPS may be signed.
pub(in crate::dialects) const DEVICE_GATEWAY: &str = "iotdevicegateway";

/// The service of AWS's clients for the data plane, over HTTPS.
pub(in crate::dialects) const DATA: &str = "iotdata";

/// What requests may be signed for.
#[derive(Clone, Copy, Debug)]
pub(in crate::dialects) struct For<'a> {
    /// The names of the hub.
    pub(in crate::dialects) entrance: &'a Entrance,
    /// The region; none lets nobody in.
    pub(in crate::dialects) region: Option<&'a str>,
    /// The services.
    pub(in crate::dialects) services: &'a [&'a str],
}

/// A request as it was signed.
#[derive(Clone, Debug)]
pub(in crate::dialects) struct Asked {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body_sha256: [u8; 32],
}

impl Asked {
    /// A request without a body, if it is signed in its query.
    pub(in crate::dialects) fn by_address(request: &Request) -> Option<Self> {
        let query = request.uri().query()?;
        let is_signature = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default();
            name.eq_ignore_ascii_case("X-Amz-Signature")
        };
        if !query.split('&').any(is_signature) {
            return None;
        }
        Some(Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: query.to_owned(),
            headers: texts(request.headers(), request.uri()),
            body_sha256: sigv4::no_body(),
        })
    }

    /// A request whose body has this digest.
    pub(in crate::dialects) fn with_body(parts: &Parts, body_sha256: [u8; 32]) -> Self {
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: texts(&parts.headers, &parts.uri),
            body_sha256,
        }
    }

    fn host(&self) -> Option<&str> {
        let mut hosts = self
            .headers
            .iter()
            .filter(|(name, _)| name == HOST.as_str());
        match (hosts.next(), hosts.next()) {
            (Some((_, host)), None) => Some(host),
            (_, _) => None,
        }
    }

    /// Does `with` the request as it is verified.
    fn read<T>(&self, with: impl FnOnce(&sigv4::Request<'_>) -> T) -> T {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        with(&sigv4::Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            body_sha256: self.body_sha256,
        })
    }
}

/// Makes out which device has signed `asked`.
///
/// # Errors
/// [`Refusal::Unauthenticated`] for whatever proves nothing, or is for something else;
/// [`Refusal::Limited`] when too many logins by that access key, or from there, have failed;
/// [`Refusal::Forbidden`] for who is no device; as
/// [`outgate_core::identity::Identity::by_named_key`].
pub(in crate::dialects) async fn by_signature(
    core: &Core,
    whom: For<'_>,
    asked: Asked,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let signed = asked.read(Signed::of).map_err(|error| {
        tracing::debug!(%error, "a signature of version 4 cannot be read");
        Refusal::Unauthenticated
    });
    let name = signed
        .as_ref()
        .ok()
        .map(|signed| signed.access_key().to_owned());
    let attempt = Attempt::new(facts.peer.ip(), name.as_deref());
    core.failed_logins.check(&attempt)?;
    let identified = match signed {
        Ok(signed) if is_for(&signed, whom, &asked, core) => verified(core, signed, asked).await,
        Ok(_) => Err(Refusal::Unauthenticated),
        Err(refusal) => Err(refusal),
    };
    if let Err(Refusal::Unauthenticated) = &identified {
        core.failed_logins.count(&attempt)?;
    }
    let identified = identified?;
    match &identified.principal {
        Principal::Device { .. } => Ok(identified),
        Principal::Service { .. } | Principal::Operator { .. } => {
            Err(Refusal::forbidden("coming in as a device"))
        }
    }
}

/// Whether something is signed for this hub, and now.
fn is_for(signed: &Signed, whom: For<'_>, asked: &Asked, core: &Core) -> bool {
    let named = asked.host().map(without_port);
    let ours = named.is_some_and(|host| whom.entrance.names.contains(&host.to_ascii_lowercase()));
    let seconds = u64::try_from(core.clock.now().as_millis() / 1_000).unwrap_or(0);
    let wrong = if !ours {
        "host"
    } else if whom.region != Some(signed.region()) {
        "region"
    } else if !whom.services.contains(&signed.service()) {
        "service"
    } else if signed.in_time(seconds).is_err() {
        "time"
    } else {
        return true;
    };
    tracing::debug!(wrong, "a signature of version 4 is for something else");
    false
}

async fn verified(core: &Core, signed: Signed, asked: Asked) -> Result<Identified, Refusal> {
    let token = signed.security_token().map(str::to_owned);
    let access_key = signed.access_key().to_owned();
    let proves = move |secret: &[u8]| asked.read(|request| signed.is_signed_with(secret, request));
    match token {
        Some(token) => {
            core.identity
                .by_passing_key(&access_key, &token, proves)
                .await
        }
        None => {
            let key: CredentialId = access_key.parse().map_err(|_| Refusal::Unauthenticated)?;
            core.identity.by_named_key(&key, proves).await
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// Headers that are texts; over HTTP/2 the host stands in the address.
fn texts(headers: &HeaderMap, uri: &http::Uri) -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    if let (None, Some(authority)) = (headers.get(HOST), uri.authority()) {
        texts.push((HOST.to_string(), authority.to_string()));
    }
    texts
}
