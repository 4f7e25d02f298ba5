//! A core in a folder of its own, with a clock that stands still and two devices on two sites.

use std::sync::LazyLock;
use std::time::Duration;

use outgate_core::Core;
use outgate_core::commands::NewCommand;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Claim, Given, Identified, Page, Role, Scope};
use outgate_core::sessions::Session;
use tempfile::TempDir;

use crate::held;
pub(crate) use crate::held::id;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Hub {
    pub(crate) core: Core,
    pub(crate) operator: Actor,
    folder: TempDir,
}

/// The device that most tests are about.
pub(crate) fn till() -> &'static DeviceId {
    static TILL: LazyLock<DeviceId> = LazyLock::new(|| id("till-1"));
    &TILL
}

/// Who may do everything.
pub(crate) fn admin() -> &'static Actor {
    static ADMIN: LazyLock<Actor> = LazyLock::new(Actor::hub);
    &ADMIN
}

impl Hub {
    /// Devices `till-1` on the site `shop` and `clock-1` on the site `mill`.
    pub(crate) async fn new() -> Self {
        let (core, folder) = held::begun();
        let hub = Self {
            core,
            operator: actor(Role::Operator, Scope::All),
            folder,
        };
        let identity = &hub.core.identity;
        for (site, device) in [("shop", "till-1"), ("mill", "clock-1")] {
            let made = identity.create_site(admin(), id(site), site.to_owned());
            made.await.unwrap();
            let made = identity.create_device(admin(), id(device), id(site), None);
            made.await.unwrap();
        }
        hub
    }

    /// The same folder and clock, with everything in memory forgotten.
    pub(crate) fn restarted(self) -> Self {
        Self {
            core: held::restarted(self.core, &self.folder),
            ..self
        }
    }

    /// Where everything lies.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A credential of `device`.
    pub(crate) async fn identified(&self, device: &str) -> Identified {
        let (identity, device) = (&self.core.identity, id(device));
        let made = identity.add_token(admin(), &device, "test".to_owned(), None);
        let Given::Token(token) = made.await.unwrap().given else {
            panic!("a token was expected");
        };
        let claim = Claim::Token {
            token: &token,
            device: None,
        };
        identity.authenticate(claim).await.unwrap()
    }

    /// A session of `device`.
    pub(crate) async fn session(&self, device: &str) -> Session {
        let who = self.identified(device).await;
        let peer = ([127, 0, 0, 1], 1).into();
        self.core.open_session(&who, "test", peer).await.unwrap()
    }

    /// Acts that the audit log has, newest first.
    pub(crate) async fn audited(&self) -> Vec<(String, String, String)> {
        let entries = self.core.audit.entries(admin(), &page(10)).await;
        entries
            .unwrap()
            .items
            .into_iter()
            .map(|entry| (entry.who, entry.act, entry.on))
            .collect()
    }
}

pub(crate) fn actor(role: Role, scope: Scope) -> Actor {
    Actor {
        operator: Some(id("op-test")),
        role,
        scope,
        ..Actor::hub()
    }
}

pub(crate) fn page(limit: u32) -> Page {
    Page { after: None, limit }
}

/// A command that lasts an hour.
pub(crate) fn command(name: &str) -> NewCommand {
    NewCommand {
        name: name.to_owned(),
        content_type: "text/plain".to_owned(),
        properties: [("colour".to_owned(), "blue".to_owned())].into(),
        payload: name.to_owned().into(),
        lasts: HOUR,
    }
}
