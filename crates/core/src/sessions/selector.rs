//! Which sessions are meant.

use super::Presence;
use crate::id::{CredentialId, DeviceId, OperatorId, ServiceId, SessionId, SiteId};
use crate::identity::{Principal, Scope};

/// Which sessions are meant.
#[derive(Clone, Debug)]
pub enum Selector {
    /// All that came in by this credential.
    Credential(CredentialId),
    /// All of a device.
    Device(DeviceId),
    /// All of the devices that are parts of this one ([`DeviceId::whole`]).
    PartsOf(DeviceId),
    /// All of a site's devices, and of operators and services who see only that site.
    Site(SiteId),
    /// All of an operator.
    Operator(OperatorId),
    /// All of a service.
    Service(ServiceId),
    /// All over a dialect, as [`Presence::via`] names it.
    Via(&'static str),
    /// All of a site's devices over a dialect.
    ViaAt(&'static str, SiteId),
    /// One.
    Session(SessionId),
    /// Every one.
    All,
}

impl Selector {
    /// Whether the session of that presence is among them.
    pub(super) fn means(&self, presence: &Presence) -> bool {
        match (self, &presence.principal) {
            (Self::All, _) => true,
            (Self::Via(dialect), _) => *dialect == presence.via,
            (Self::ViaAt(dialect, id), Principal::Device { site, .. }) => {
                *dialect == presence.via && id == site
            }
            (Self::Session(id), _) => *id == presence.id,
            (Self::Credential(id), _) => *id == presence.credential,
            (Self::Device(id), Principal::Device { device, .. }) => id == device,
            (Self::PartsOf(id), Principal::Device { device, .. }) => {
                device.whole() == Some(id.as_str())
            }
            (Self::Site(id), Principal::Device { site, .. }) => id == site,
            (
                Self::Site(id),
                Principal::Operator { scope, .. } | Principal::Service { scope, .. },
            ) => matches!(scope, Scope::Site(site) if site == id),
            (Self::Operator(id), Principal::Operator { operator, .. }) => id == operator,
            (Self::Service(id), Principal::Service { service, .. }) => id == service,
            (
                Self::Device(_)
                | Self::PartsOf(_)
                | Self::Operator(_)
                | Self::Service(_)
                | Self::ViaAt(_, _),
                _,
            ) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;
    use crate::sessions::tests::device_presence;

    #[test]
    fn what_is_said_of_a_device_means_its_sessions_and_no_others() {
        let till = device_presence("till-1");
        for selector in [
            Selector::All,
            Selector::Via("test"),
            Selector::ViaAt("test", "shop".parse().unwrap()),
            Selector::Session(till.id.clone()),
            Selector::Credential("cr-1".parse().unwrap()),
            Selector::Device("till-1".parse().unwrap()),
            Selector::Site("shop".parse().unwrap()),
        ] {
            assert!(selector.means(&till), "{selector:?}");
        }
        let parts = Selector::PartsOf("till-1".parse().unwrap());
        assert!(parts.means(&device_presence("till-1~scanner")));
        for other in ["till-1", "till-10~scanner", "till-1-scanner"] {
            assert!(!parts.means(&device_presence(other)), "{other}");
        }
        for selector in [
            Selector::Via("mqtt"),
            Selector::ViaAt("mqtt", "shop".parse().unwrap()),
            Selector::ViaAt("test", "bar".parse().unwrap()),
            Selector::Session(device_presence("till-1").id),
            Selector::Credential("cr-2".parse().unwrap()),
            Selector::Device("till-2".parse().unwrap()),
            Selector::Site("bar".parse().unwrap()),
            // Of the same name, but a name means something among its own kind only.
            Selector::Operator("till-1".parse().unwrap()),
            Selector::Service("till-1".parse().unwrap()),
        ] {
            assert!(!selector.means(&till), "{selector:?}");
        }
    }

    #[test]
    fn a_site_means_those_who_see_only_it() {
        let shop = Selector::Site("shop".parse().unwrap());
        let of_shop = Scope::Site("shop".parse().unwrap());
        assert!(shop.means(&operator(of_shop.clone())));
        assert!(shop.means(&service(of_shop)));
        assert!(!shop.means(&operator(Scope::All)));
        assert!(!shop.means(&service(Scope::Site("bar".parse().unwrap()))));
    }

    #[test]
    fn operators_and_services_are_meant_by_their_names() {
        let (ann, back) = (operator(Scope::All), service(Scope::All));
        let ann_is = Selector::Operator("ann".parse().unwrap());
        assert!(ann_is.means(&ann) && !ann_is.means(&back));
        let back_is = Selector::Service("back".parse().unwrap());
        assert!(back_is.means(&back) && !back_is.means(&ann));
        let bob = Selector::Operator("bob".parse().unwrap());
        assert!(!bob.means(&ann));
    }

    fn operator(scope: Scope) -> Presence {
        Presence {
            principal: Principal::Operator {
                operator: "ann".parse().unwrap(),
                role: Role::Viewer,
                scope,
            },
            ..device_presence("till-1")
        }
    }

    fn service(scope: Scope) -> Presence {
        Presence {
            principal: Principal::Service {
                service: "back".parse().unwrap(),
                scope,
            },
            ..device_presence("till-1")
        }
    }
}
