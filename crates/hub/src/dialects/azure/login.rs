//! Who comes in as a device of IoT Hub: by a token that one of its keys has signed, or by its
//! certificate.

use std::collections::BTreeSet;

use outgate_azure::device::Endpoint;
use outgate_azure::sas::Token;
use outgate_core::clock::Timestamp;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Claim, Identified};
use outgate_core::limits::Attempt;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;

use crate::dialects::login::by_certificate;

/// How a device proves who it is.
pub(in crate::dialects) enum Proof<'a> {
    /// By a shared access signature.
    Token(&'a str),
    /// By the certificate that it showed to TLS.
    Certificate,
}

/// Makes out `endpoint`. A token has to be for a hub of these `names`, in lower case, and what is
/// made out by one holds no longer than that.
///
/// # Errors
/// [`Refusal::Unauthenticated`] for whatever proves nothing; [`Refusal::Limited`] when too many
/// logins of this name, or from there, have failed; as
/// [`outgate_core::identity::Identity::authenticate`].
pub(in crate::dialects) async fn identify(
    core: &Core,
    names: &BTreeSet<String>,
    endpoint: &Endpoint<'_>,
    proof: Proof<'_>,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let name = endpoint.client_id();
    let attempt = Attempt::new(facts.peer.ip(), Some(&name));
    core.failed_logins.check(&attempt)?;
    let identified = match (identity(endpoint), proof) {
        (Some(device), Proof::Token(text)) => by_token(core, names, endpoint, &device, text).await,
        (Some(device), Proof::Certificate) => by_certificate(core, device.as_str(), facts).await,
        (None, _) => Err(Refusal::Unauthenticated),
    };
    if let Err(Refusal::Unauthenticated) = &identified {
        core.failed_logins.count(&attempt)?;
    }
    identified
}

/// Which device of the core it is: a module is a part of its device, by its name. None for names
/// that the core does not take, and where a tilde would make two modules one; none of Azure's has
/// one.
fn identity(endpoint: &Endpoint<'_>) -> Option<DeviceId> {
    let device = endpoint.device;
    match endpoint.module {
        None => device.parse().ok(),
        Some(module) if device.contains('~') || module.contains('~') => None,
        Some(module) => format!("{device}~{module}").parse().ok(),
    }
}

async fn by_token(
    core: &Core,
    names: &BTreeSet<String>,
    endpoint: &Endpoint<'_>,
    device: &DeviceId,
    text: &str,
) -> Result<Identified, Refusal> {
    let token = Token::parse(text).map_err(|error| {
        tracing::debug!(%error, "a shared access signature cannot be read");
        Refusal::Unauthenticated
    })?;
    let ours = names.contains(&token.host().to_ascii_lowercase());
    if !ours || !token.covers(&endpoint.resource()) {
        tracing::debug!(?token, "a shared access signature is for something else");
        return Err(Refusal::Unauthenticated);
    }
    let seconds = i64::try_from(token.expires()).unwrap_or(i64::MAX);
    let claim = Claim::Signed {
        device,
        text: token.signed().as_bytes(),
        signature: token.signature(),
        until: Timestamp::from_millis(seconds.saturating_mul(1_000)),
    };
    core.identity.authenticate(claim).await
}
