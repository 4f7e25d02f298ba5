//! Who asks, as rules see them.

use outgate_core::identity::{Identified, Principal, Role, Scope};
use outgate_core::sessions::{Ending, Session, Signal};
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_firebase::rules::{Who, key_of};

use super::VIA;

/// Somebody who has been made out.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) session: Session,
    /// As rules see them.
    pub(super) who: Who,
}

impl Login {
    /// A session of whoever has been made out.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when the credential has been revoked meanwhile; as the store.
    pub(super) async fn of(
        core: &Core,
        identified: &Identified,
        facts: &Facts,
    ) -> Result<Self, Refusal> {
        let who = who(&identified.principal)?;
        let session = core.open_session(identified, VIA, facts.peer).await?;
        Ok(Self { session, who })
    }

    /// Waits until they may no longer ask, and says why. Meanwhile callers are told that no calls
    /// are taken here.
    pub(super) async fn ended(&self, core: &Core) -> Ending {
        let declining = async {
            loop {
                if let Signal::Call(call) = self.session.signal().await {
                    // Whoever called may have gone.
                    let _ = core.calls.decline(&self.session, &call.id);
                }
            }
        };
        tokio::select! {
            ending = self.session.ended() => ending,
            () = declining => Ending::Draining,
        }
    }
}

/// How rules see them.
fn who(principal: &Principal) -> Result<Who, Refusal> {
    let key = |name: &str| key_of(name).map_err(|_| Refusal::Internal("a name that is no key"));
    let site = |scope: &Scope| match scope {
        Scope::All => Ok(None),
        Scope::Site(site) => key(site.as_str()).map(Some),
    };
    Ok(match principal {
        Principal::Device { device, site, .. } => Who::Device {
            device: key(device.as_str())?,
            site: key(site.as_str())?,
        },
        Principal::Service { scope, .. } => Who::Service { site: site(scope)? },
        Principal::Operator { role, scope, .. } => Who::Operator {
            site: site(scope)?,
            writes: *role >= Role::Operator,
        },
    })
}
