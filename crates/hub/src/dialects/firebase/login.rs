//! Who asks: by one of the hub's tokens, shown as Firebase's clients show theirs.

use outgate_core::identity::{Claim, Principal, Role, Scope};
use outgate_core::limits::Attempt;
use outgate_core::secret::Secret;
use outgate_core::sessions::{Ending, Session, Signal};
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_firebase::rules::{Who, key_of};

use super::VIA;

/// The most bytes of a token.
const MAX_TOKEN: usize = 1_024;

/// Somebody who has been made out.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) session: Session,
    /// As rules see them.
    pub(super) who: Who,
}

impl Login {
    /// Makes out who holds `token`, and opens a session of theirs.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`], [`Refusal::Revoked`], [`Refusal::Limited`]; as the store.
    pub(super) async fn by(core: &Core, token: &str, facts: &Facts) -> Result<Self, Refusal> {
        let attempt = Attempt::new(facts.peer.ip(), None);
        core.failed_logins.check(&attempt)?;
        if token.is_empty() || token.len() > MAX_TOKEN {
            core.failed_logins.count(&attempt)?;
            return Err(Refusal::Unauthenticated);
        }
        let token = &Secret::new(token.as_bytes().to_vec());
        let claim = Claim::Token {
            token,
            device: None,
        };
        let identified = core.identity.authenticate(claim).await;
        if matches!(identified, Err(Refusal::Unauthenticated | Refusal::Revoked)) {
            core.failed_logins.count(&attempt)?;
        }
        let identified = identified?;
        let who = who(&identified.principal)?;
        let session = core.open_session(&identified, VIA, facts.peer).await?;
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
