//! The site `s` of a hub that runs, and devices at it.

use outgate_core::Core;
use outgate_core::identity::{Actor, Given, Issued};

use crate::running::Running;

impl Running {
    pub(crate) fn core(&self) -> &Core {
        &self.hub.state().core
    }

    /// Makes the site.
    pub(crate) async fn furnish(&self) {
        let (hub, identity) = (Actor::hub(), &self.core().identity);
        let made = identity.create_site(&hub, "s".parse().unwrap(), "S".to_owned());
        made.await.unwrap();
    }

    /// Makes a device and gives its token.
    pub(crate) async fn device(&self, name: &str) -> String {
        let (hub, identity) = (Actor::hub(), &self.core().identity);
        let (id, site) = (name.parse().unwrap(), "s".parse().unwrap());
        let device = identity.create_device(&hub, id, site, None).await.unwrap();
        let issued = identity.add_token(&hub, &device.id, "t".to_owned(), None);
        token(issued.await.unwrap())
    }
}

/// The token that was given.
pub(crate) fn token(issued: Issued) -> String {
    match issued.given {
        Given::Token(secret) => String::from_utf8(secret.expose().to_vec()).unwrap(),
        other @ (Given::Key(_) | Given::Certificate(_) | Given::Nothing) => panic!("{other:?}"),
    }
}
