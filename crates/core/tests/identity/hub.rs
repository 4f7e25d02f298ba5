//! A core in a folder of its own, with a clock that stands still.

use tempfile::TempDir;

use outgate_core::identity::{Actor, Claim, Given, Identified, Issued};
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_core::{Core, Refusal};

use crate::held;
pub(crate) use crate::held::id;

pub(crate) struct Hub {
    pub(crate) core: Core,
    pub(crate) admin: Actor,
    pub(crate) folder: TempDir,
}

/// The token that was given.
pub(crate) fn token_of(issued: Issued) -> Secret {
    match issued.given {
        Given::Token(token) => token,
        Given::Key(_) | Given::Certificate(_) | Given::Nothing => panic!("a token was expected"),
    }
}

impl Hub {
    pub(crate) fn new() -> Self {
        let (core, folder) = held::begun();
        Self {
            core,
            admin: Actor::hub(),
            folder,
        }
    }

    /// The same folder and clock, with everything in memory forgotten.
    pub(crate) fn restarted(self) -> Self {
        Self {
            core: held::restarted(self.core, &self.folder),
            ..self
        }
    }

    pub(crate) async fn with_device(site: &str, device: &str) -> Self {
        let hub = Self::new();
        hub.add_site(site).await;
        hub.add_device(site, device).await;
        hub
    }

    pub(crate) async fn add_site(&self, site: &str) {
        let title = format!("The {site}");
        let made = self.core.identity.create_site(&self.admin, id(site), title);
        made.await.unwrap();
    }

    pub(crate) async fn add_device(&self, site: &str, device: &str) {
        let (device, site) = (id(device), id(site));
        let identity = &self.core.identity;
        let made = identity.create_device(&self.admin, device, site, None);
        made.await.unwrap();
    }

    pub(crate) async fn device_token(&self, device: &str) -> Secret {
        let (identity, device) = (&self.core.identity, id(device));
        let made = identity.add_token(&self.admin, &device, "test".to_owned(), None);
        token_of(made.await.unwrap())
    }

    pub(crate) async fn token(&self, token: &Secret) -> Result<Identified, Refusal> {
        let claim = Claim::Token {
            token,
            device: None,
        };
        self.core.identity.authenticate(claim).await
    }

    pub(crate) async fn open(&self, who: &Identified) -> Result<Session, Refusal> {
        let peer = ([127, 0, 0, 1], 1).into();
        self.core.open_session(who, "test", peer).await
    }
}
