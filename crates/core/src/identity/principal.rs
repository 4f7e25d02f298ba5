//! Who acts, what they may do, and how much they see.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::text::words;
use crate::id::{DeviceId, OperatorId, ServiceId, SiteId};
use crate::refusal::Refusal;
use crate::sessions::{Pass, Session};

/// How much of the hub somebody sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every site.
    All,
    /// One site and its devices.
    Site(SiteId),
}

/// What an operator may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See.
    Viewer,
    /// Send commands, call, change desired twins, enrol and revoke devices.
    Operator,
    /// Administer sites, operators, services, fleet keys.
    Admin,
}

words!(Role { Viewer => "viewer", Operator => "operator", Admin => "admin" });

/// Somebody who has proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A device.
    Device {
        /// Which.
        device: DeviceId,
        /// Where it stands.
        site: SiteId,
        /// The name of its topic policy.
        policy: String,
    },
    /// A person, or a program that administers.
    Operator {
        /// Which.
        operator: OperatorId,
        /// What they may do.
        role: Role,
        /// What they see.
        scope: Scope,
    },
    /// A back end that takes events.
    Service {
        /// Which.
        service: ServiceId,
        /// What it sees.
        scope: Scope,
    },
}

/// An operator about to act, for permission and for the audit log.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Who; `None` is a service, if there is a pass, or else the hub itself, as when it makes the
    /// first operator.
    pub operator: Option<OperatorId>,
    /// What they may do.
    pub role: Role,
    /// What they see.
    pub scope: Scope,
    /// From where they ask.
    pub from: Option<IpAddr>,
    /// The right to act that their session gives: looked at on the writer's thread in the same
    /// transaction as what they do. `None` for the hub itself.
    pub pass: Option<Pass>,
}

impl Scope {
    /// Whether what stands at `site` is seen.
    #[must_use]
    pub fn sees(&self, site: &SiteId) -> bool {
        match self {
            Self::All => true,
            Self::Site(its) => its == site,
        }
    }

    /// The one site that is seen, or `None` for all of them.
    #[must_use]
    pub fn site(&self) -> Option<&SiteId> {
        match self {
            Self::All => None,
            Self::Site(site) => Some(site),
        }
    }

    /// Whether whoever sees `other` sees no more than this.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match self {
            Self::All => true,
            Self::Site(_) => self == other,
        }
    }

    /// The scope kept as a site or nothing.
    pub(super) fn of(site: Option<SiteId>) -> Self {
        site.map_or(Self::All, Self::Site)
    }
}

impl Principal {
    /// Whether it is `device`.
    #[must_use]
    pub fn is_device(&self, device: &DeviceId) -> bool {
        match self {
            Self::Device { device: its, .. } => its == device,
            Self::Operator { .. } | Self::Service { .. } => false,
        }
    }

    /// Which device it is, if it is one.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Device { device, .. } => Some(device),
            Self::Operator { .. } | Self::Service { .. } => None,
        }
    }

    /// What they see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Operator { scope, .. } | Self::Service { scope, .. } => scope.clone(),
            Self::Device { site, .. } => Scope::Site(site.clone()),
        }
    }

    /// The name under which it is written down: `device/NAME` and so on.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Device { device, .. } => format!("device/{device}"),
            Self::Operator { operator, .. } => format!("operator/{operator}"),
            Self::Service { service, .. } => format!("service/{service}"),
        }
    }
}

impl Actor {
    /// The hub itself.
    #[must_use]
    pub fn hub() -> Self {
        Self {
            operator: None,
            role: Role::Admin,
            scope: Scope::All,
            from: None,
            pass: None,
        }
    }

    /// The operator who has `session`: what they do is done only while it lives.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for devices and services: they administer nothing.
    pub fn of(session: &Session) -> Result<Self, Refusal> {
        match session.principal() {
            Principal::Operator {
                operator,
                role,
                scope,
            } => Ok(Self {
                operator: Some(operator.clone()),
                role: *role,
                scope: scope.clone(),
                from: Some(session.presence().peer.ip()),
                pass: Some(session.pass()),
            }),
            Principal::Device { .. } | Principal::Service { .. } => {
                Err(Refusal::forbidden("administering the hub"))
            }
        }
    }

    /// The service that has `session`, acting as who has `role`: what it may do is for the dialect
    /// by whose conventions it acts to say. What it does is done only while the session lives.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for operators, who act as themselves, and for devices.
    pub fn of_service(session: &Session, role: Role) -> Result<Self, Refusal> {
        match session.principal() {
            Principal::Service { scope, .. } => Ok(Self {
                operator: None,
                role,
                scope: scope.clone(),
                from: Some(session.presence().peer.ip()),
                pass: Some(session.pass()),
            }),
            Principal::Device { .. } | Principal::Operator { .. } => {
                Err(Refusal::forbidden("a back end's place for somebody else"))
            }
        }
    }

    /// Whether they may do what `role` may; `what` says what it is, as "revoking a device".
    ///
    /// # Errors
    /// [`Refusal::Forbidden`].
    pub fn require(&self, role: Role, what: &str) -> Result<(), Refusal> {
        if self.role >= role {
            Ok(())
        } else {
            Err(Refusal::forbidden(what))
        }
    }

    /// Whether they see all sites; `what` says what that is needed for.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`].
    pub fn require_all_sites(&self, what: &str) -> Result<(), Refusal> {
        match self.scope {
            Scope::All => Ok(()),
            Scope::Site(_) => Err(Refusal::forbidden(what)),
        }
    }

    /// Whether their session, if they act by one, may still act.
    ///
    /// # Errors
    /// As [`Pass::check`].
    pub fn check(&self) -> Result<(), Refusal> {
        self.pass.as_ref().map_or(Ok(()), Pass::check)
    }

    /// The name under which their acts are written down.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.operator, &self.pass) {
            (Some(operator), _) => operator.to_string(),
            (None, Some(pass)) => pass.principal().name(),
            (None, None) => "hub".to_owned(),
        }
    }
}
