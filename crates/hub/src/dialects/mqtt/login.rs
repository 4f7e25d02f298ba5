//! Who connects: what a CONNECT and the certificate below it prove.
//!
//! A device shows its name as the user name and as the password a token or one of its symmetric
//! keys in base 64; or nothing but its certificate. A service shows `service/NAME` and its token.
//! Operators have nothing to say here.

use outgate_core::Core;
use outgate_core::id::{DeviceId, ServiceId};
use outgate_core::identity::{Claim, Identified, Principal};
use outgate_core::limits::Attempt;
use outgate_core::refusal::Refusal;
use outgate_core::secret::Secret;
use outgate_door::Facts;
use outgate_mqtt::packet::Connect;

use super::Inner;

/// What a service's user name begins with.
const SERVICE: &str = "service/";

/// What every token begins with; no base 64 has an underscore.
const TOKEN: &[u8] = b"og_";

/// Makes out who connects.
///
/// # Errors
/// [`Refusal::Unauthenticated`] for whatever proves nothing; [`Refusal::Forbidden`] for an
/// operator; [`Refusal::Limited`] when too many logins of this name, or from there, have failed; what
/// [`outgate_core::identity::Identity::authenticate`] refuses with.
pub(super) async fn identify(
    hub: &Inner,
    connect: &Connect,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let user = connect.user_name.as_deref().unwrap_or_default();
    let core = &hub.core;
    let attempt = Attempt::new(facts.peer.ip(), Some(user));
    core.failed_logins.check(&attempt)?;
    let identified = match &connect.password {
        Some(password) => by_password(core, user, password.expose()).await,
        None => by_certificate(core, user, facts).await,
    };
    if let Err(Refusal::Unauthenticated) = &identified {
        core.failed_logins.count(&attempt)?;
    }
    let identified = identified?;
    match &identified.principal {
        Principal::Device { .. } | Principal::Service { .. } => Ok(identified),
        Principal::Operator { .. } => Err(Refusal::forbidden("MQTT for an operator")),
    }
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

async fn by_certificate(core: &Core, user: &str, facts: &Facts) -> Result<Identified, Refusal> {
    let tls = facts.tls.as_ref().ok_or(Refusal::Unauthenticated)?;
    if tls.client_chain.is_empty() {
        return Err(Refusal::Unauthenticated);
    }
    let chain: Vec<Vec<u8>> = tls.client_chain.iter().map(|der| der.to_vec()).collect();
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
