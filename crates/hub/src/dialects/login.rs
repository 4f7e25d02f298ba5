//! Who comes in over a dialect: what a name, a password or token, and the certificate below it prove.
//!
//! A device shows its name as the user name and as the password a token or one of its symmetric
//! keys in base 64; or nothing but its certificate. A service shows `service/NAME` and its token.
//! Operators have nothing to say in most dialects; who lets them in asks for [`anyone`].
//!
//! Over HTTP a token comes as `Authorization: Bearer TOKEN` (RFC 6750) and a name with its password
//! as `Authorization: Basic …` (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use outgate_core::Core;
use outgate_core::id::{DeviceId, ServiceId};
use outgate_core::identity::{Claim, Identified, Issued, Principal};
use outgate_core::limits::Attempt;
use outgate_core::refusal::Refusal;
use outgate_core::secret::Secret;
use outgate_door::{Facts, TlsFacts};
use zeroize::Zeroizing;

/// What a service's user name begins with.
const SERVICE: &str = "service/";

/// What every token begins with; no base 64 has an underscore.
const TOKEN: &[u8] = b"og_";

/// The most bytes of an `Authorization` header: a name, a key or a token, in base 64.
const MAX_AUTHORIZATION: usize = 1_024;

/// What somebody shows of themselves, beside a certificate.
pub(crate) enum Shown<'a> {
    /// A name, and a certificate below; the name may be empty.
    Name(&'a str),
    /// A name and a password: a token, or a symmetric key in base 64.
    Password(&'a str, &'a [u8]),
    /// A token, which says whose it is.
    Token(&'a Secret),
}

/// Makes out which device or service comes in.
///
/// # Errors
/// As [`anyone`]; [`Refusal::Forbidden`] for an operator.
pub(crate) async fn identify(
    core: &Core,
    shown: Shown<'_>,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    no_operator(anyone(core, shown, facts).await?)
}

/// Makes out which device or service asks over HTTP by their `Authorization`, or by the certificate
/// below when there is none.
///
/// # Errors
/// As [`identify`].
pub(crate) async fn over_http(
    core: &Core,
    headers: &HeaderMap,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    no_operator(anyone_over_http(core, headers, facts).await?)
}

/// Makes out who comes in, be it an operator.
///
/// # Errors
/// [`Refusal::Unauthenticated`] for whatever proves nothing; [`Refusal::Limited`] when too many
/// logins of this name, or from there, have failed; what
/// [`outgate_core::identity::Identity::authenticate`] refuses with.
pub(crate) async fn anyone(
    core: &Core,
    shown: Shown<'_>,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let user = match &shown {
        Shown::Name(user) | Shown::Password(user, _) => Some(*user),
        Shown::Token(_) => None,
    };
    let attempt = Attempt::new(facts.peer.ip(), user);
    core.failed_logins.check(&attempt)?;
    let identified = match shown {
        Shown::Password(user, password) => by_password(core, user, password).await,
        Shown::Name(user) => by_certificate(core, user, facts).await,
        Shown::Token(token) => {
            let claim = Claim::Token {
                token,
                device: None,
            };
            core.identity.authenticate(claim).await
        }
    };
    if let Err(Refusal::Unauthenticated) = &identified {
        core.failed_logins.count(&attempt)?;
    }
    identified
}

/// Makes out who asks over HTTP, be it an operator.
///
/// # Errors
/// As [`anyone`].
pub(crate) async fn anyone_over_http(
    core: &Core,
    headers: &HeaderMap,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let header = match (all.next(), all.next()) {
        (None, _) if has_certificate(facts) => {
            return anyone(core, Shown::Name(""), facts).await;
        }
        // Nothing was tried, so nothing has failed.
        (None, _) => return Err(Refusal::Unauthenticated),
        (Some(header), None) if header.len() <= MAX_AUTHORIZATION => header,
        (Some(_), _) => return Err(Refusal::Unauthenticated),
    };
    let parts = header.to_str().ok().and_then(|text| text.split_once(' '));
    let (scheme, value) = parts.ok_or(Refusal::Unauthenticated)?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        let token = Secret::new(value.as_bytes().to_vec());
        return anyone(core, Shown::Token(&token), facts).await;
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::Unauthenticated);
    }
    let decoded = STANDARD.decode(value).map(Zeroizing::new);
    let decoded = decoded.map_err(|_| Refusal::Unauthenticated)?;
    // Names of devices may hold colons; keys and tokens do not.
    let colon = decoded.iter().rposition(|byte| *byte == b':');
    let colon = colon.ok_or(Refusal::Unauthenticated)?;
    let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
    let user = std::str::from_utf8(user).map_err(|_| Refusal::Unauthenticated)?;
    anyone(core, Shown::Password(user, password), facts).await
}

/// Another certificate for the key of the one that is shown below, which may have ended.
///
/// # Errors
/// [`Refusal::Limited`] when too many logins from there have failed; what
/// [`outgate_core::identity::Identity::renew`] refuses with.
pub(crate) async fn renewed(core: &Core, facts: &Facts, request: &str) -> Result<Issued, Refusal> {
    let tls = facts.tls.as_ref().ok_or(Refusal::Unauthenticated)?;
    if tls.client_chain.is_empty() {
        return Err(Refusal::Unauthenticated);
    }
    let attempt = Attempt::new(facts.peer.ip(), None);
    core.failed_logins.check(&attempt)?;
    let renewed = core.identity.renew(&chain_of(tls), request).await;
    if let Err(Refusal::Unauthenticated) = &renewed {
        core.failed_logins.count(&attempt)?;
    }
    renewed
}

pub(super) fn chain_of(tls: &TlsFacts) -> Vec<Vec<u8>> {
    tls.client_chain.iter().map(|der| der.to_vec()).collect()
}

fn no_operator(identified: Identified) -> Result<Identified, Refusal> {
    match &identified.principal {
        Principal::Device { .. } | Principal::Service { .. } => Ok(identified),
        Principal::Operator { .. } => Err(Refusal::forbidden("a device's place for an operator")),
    }
}

fn has_certificate(facts: &Facts) -> bool {
    let tls = facts.tls.as_ref();
    tls.is_some_and(|tls| !tls.client_chain.is_empty())
}

async fn by_password(core: &Core, user: &str, password: &[u8]) -> Result<Identified, Refusal> {
    if let Some(name) = user.strip_prefix(SERVICE) {
        let wanted: ServiceId = parsed(name)?;
        let token = &Secret::new(password.to_vec());
        let claim = Claim::Token {
            token,
            device: None,
        };
        let identified = core.identity.authenticate(claim).await?;
        return match &identified.principal {
            Principal::Service { service, .. } if *service == wanted => Ok(identified),
            Principal::Service { .. } | Principal::Device { .. } | Principal::Operator { .. } => {
                Err(Refusal::Unauthenticated)
            }
        };
    }
    let device: DeviceId = parsed(user)?;
    if password.starts_with(TOKEN) {
        let token = &Secret::new(password.to_vec());
        let claim = Claim::Token {
            token,
            device: Some(&device),
        };
        return core.identity.authenticate(claim).await;
    }
    // The core takes it as it is shown: in base 64.
    let key = &Secret::new(password.to_vec());
    let claim = Claim::Key {
        device: &device,
        key,
    };
    core.identity.authenticate(claim).await
}

/// Makes out who shows the certificate below: the device `user`, or whose it is when that is empty.
///
/// # Errors
/// As [`outgate_core::identity::Identity::authenticate`].
pub(super) async fn by_certificate(
    core: &Core,
    user: &str,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let tls = facts.tls.as_ref().ok_or(Refusal::Unauthenticated)?;
    if tls.client_chain.is_empty() {
        return Err(Refusal::Unauthenticated);
    }
    let chain = chain_of(tls);
    let device: Option<DeviceId> = if user.is_empty() {
        None
    } else {
        Some(parsed(user)?)
    };
    let claim = Claim::Certificate {
        chain: &chain,
        device: device.as_ref(),
    };
    core.identity.authenticate(claim).await
}

/// A name out of a user name; one that is no name is nobody's.
fn parsed<T: std::str::FromStr>(name: &str) -> Result<T, Refusal> {
    name.parse().map_err(|_| Refusal::Unauthenticated)
}
