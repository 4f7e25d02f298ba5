//! A core in a folder of its own, with a clock that stands still.

use std::fmt::Debug;
use std::str::FromStr;

use tempfile::TempDir;

use outgate_core::identity::{Actor, Claim, Given, Identified, Issued};
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_core::{Clock, Core, Refusal, Settings, Timestamp};

pub(crate) struct Hub {
    pub(crate) core: Core,
    pub(crate) admin: Actor,
    pub(crate) folder: TempDir,
}

/// The name `text`, of whatever kind is asked for.
pub(crate) fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
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
        let folder = TempDir::new().unwrap();
        let clock = Clock::held(Timestamp::from_millis(1_790_000_000_000));
        Self::open_in(folder, clock)
    }

    /// The same folder and clock, with everything in memory forgotten.
    pub(crate) fn restarted(self) -> Self {
        let Self { core, folder, .. } = self;
        let clock = core.clock.clone();
        drop(core);
        Self::open_in(folder, clock)
    }

    fn open_in(folder: TempDir, clock: Clock) -> Self {
        let settings = Settings {
            clock,
            ..Settings::new(folder.path())
        };
        Self {
            core: Core::open(&settings).unwrap(),
            admin: Actor::hub(),
            folder,
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
