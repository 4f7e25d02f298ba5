//! Who comes in as a device of IoT Hub: by a token that one of its keys has signed, or that of a
//! shared access policy for all devices, or by its certificate.

use std::collections::{BTreeMap, BTreeSet};

use outgate_azure::device::Endpoint;
use outgate_azure::sas::Token;
use outgate_azure::service::Permission;
use outgate_core::clock::Timestamp;
use outgate_core::id::{DeviceId, ServiceId};
use outgate_core::identity::{Claim, Identified};
use outgate_core::limits::Attempt;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;

use crate::config::Config;
use crate::dialects::login::by_certificate;

/// For which hubs tokens may be, and whose: the same over MQTT and over HTTPS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrance {
    /// The names of the hubs for which this one stands, its own among them; in lower case.
    pub names: BTreeSet<String>,
    /// Shared access policies, and what they may do.
    pub policies: BTreeMap<ServiceId, Vec<Permission>>,
}

impl Entrance {
    /// As a hub is configured whose certificate has these names.
    pub(crate) fn of(config: &Config, certificate: BTreeSet<String>) -> Self {
        let names = config.names.iter().cloned().chain(certificate);
        let names = names.map(|name| name.to_ascii_lowercase());
        Self {
            names: names
                .chain(config.azure.hub_names.iter().cloned())
                .collect(),
            policies: config.azure.policies.clone(),
        }
    }

    /// The policy of that name, if it may come in as any device.
    fn for_devices(&self, name: &str) -> Option<ServiceId> {
        let policy = name.parse().ok()?;
        let may = self.policies.get(&policy)?;
        may.contains(&Permission::DeviceConnect).then_some(policy)
    }
}

/// How a device proves who it is.
pub(in crate::dialects) enum Proof<'a> {
    /// By a shared access signature.
    Token(&'a str),
    /// By the certificate that it showed to TLS.
    Certificate,
}

/// Makes out `endpoint`. A token has to be for one of the hub's names, and what is made out by one
/// holds no longer than that.
///
/// # Errors
/// [`Refusal::Unauthenticated`] for whatever proves nothing; [`Refusal::Limited`] when too many
/// logins of this name, or from there, have failed; as
/// [`outgate_core::identity::Identity::authenticate`].
pub(in crate::dialects) async fn identify(
    core: &Core,
    entrance: &Entrance,
    endpoint: &Endpoint<'_>,
    proof: Proof<'_>,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let name = endpoint.client_id();
    let attempt = Attempt::new(facts.peer.ip(), Some(&name));
    core.failed_logins.check(&attempt)?;
    let identified = match (identity(endpoint), proof) {
        (Some(device), Proof::Token(text)) => {
            by_token(core, entrance, endpoint, &device, text).await
        }
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
    entrance: &Entrance,
    endpoint: &Endpoint<'_>,
    device: &DeviceId,
    text: &str,
) -> Result<Identified, Refusal> {
    let token = Token::parse(text).map_err(|error| {
        tracing::debug!(%error, "a shared access signature cannot be read");
        Refusal::Unauthenticated
    })?;
    let ours = entrance.names.contains(&token.host().to_ascii_lowercase());
    if !ours || !token.covers(&endpoint.resource()) {
        tracing::debug!(?token, "a shared access signature is for something else");
        return Err(Refusal::Unauthenticated);
    }
    let (text, signature) = (token.signed().as_bytes(), token.signature());
    let seconds = i64::try_from(token.expires()).unwrap_or(i64::MAX);
    let until = Timestamp::from_millis(seconds.saturating_mul(1_000));
    let Some(policy) = token.policy() else {
        let claim = Claim::Signed {
            device,
            text,
            signature,
            until,
        };
        return core.identity.authenticate(claim).await;
    };
    let Some(service) = entrance.for_devices(policy) else {
        tracing::debug!(policy, "a policy is none for devices");
        return Err(Refusal::Unauthenticated);
    };
    let claim = Claim::Policy {
        service: &service,
        device: Some(device),
        text,
        signature,
        until,
    };
    core.identity.authenticate(claim).await
}
