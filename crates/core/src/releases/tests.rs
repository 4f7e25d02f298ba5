use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::identity::{Identified, Role, Scope};
use crate::sessions::Session;
use crate::{Core, Settings};

/// A hub with the devices `t7` and `t8` in the shop and `t9` in the mill, whose clock stands still.
pub(crate) struct Desk {
    pub(crate) core: Core,
    pub(crate) folder: TempDir,
    pub(crate) key: ReleaseKeyId,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::held(Timestamp::from_millis(1_800_000_000_000));
        let settings = Settings {
            clock,
            ..Settings::new(folder.path())
        };
        let core = Core::open(&settings).unwrap();
        let hub = Actor::hub();
        for (site, devices) in [("shop", ["t7", "t8"].as_slice()), ("mill", &["t9"])] {
            let (site, title) = (site.parse().unwrap(), site.to_owned());
            let made = core.identity.create_site(&hub, site, title).await;
            for device in devices {
                let (device, site) = (device.parse().unwrap(), made.as_ref().unwrap().id.clone());
                let made = core.identity.create_device(&hub, device, site, None);
                made.await.unwrap();
            }
        }
        let (pem, print) = ("a key".to_owned(), "00".to_owned());
        let key = core.releases.add_key(&hub, "ours".to_owned(), pem, print);
        let key = key.await.unwrap().id;
        Self { core, folder, key }
    }

    pub(crate) async fn add(&self, name: &str, described: Described) -> Release {
        self.try_add(&Actor::hub(), name, described).await.unwrap()
    }

    async fn try_add(
        &self,
        actor: &Actor,
        name: &str,
        described: Described,
    ) -> Result<Release, Refusal> {
        let releases = &self.core.releases;
        let incoming = releases.begin(actor).await?;
        let incoming = incoming.take(Bytes::from(name.to_owned())).await?;
        let new = NewRelease {
            name: name.parse().unwrap(),
            described,
            signed_by: self.key.clone(),
        };
        releases.add(actor, new, incoming.finish().await?).await
    }

    /// Who has shown `device`'s key, which is made known first.
    pub(crate) async fn by_key(&self, device: &str) -> Identified {
        let (device, print) = (device.parse().unwrap(), [7; 32]);
        let identity = &self.core.identity;
        let added = identity.add_public_key(&Actor::hub(), &device, print).await;
        added.unwrap();
        identity.by_public_key(&device, print).await.unwrap()
    }

    pub(crate) async fn session(&self, device: &str) -> Session {
        let identified = self.by_key(device).await;
        let peer = "127.0.0.1:1".parse().unwrap();
        let session = self.core.open_session(&identified, "mender", peer);
        session.await.unwrap()
    }
}

pub(crate) fn operator(role: Role, site: Option<&str>) -> Actor {
    Actor {
        operator: Some("anna".parse().unwrap()),
        role,
        scope: site.map_or(Scope::All, |site| Scope::Site(site.parse().unwrap())),
        ..Actor::hub()
    }
}

pub(crate) fn for_forts() -> Described {
    Described {
        device_types: vec!["fort".to_owned()],
        ..Described::default()
    }
}

#[tokio::test]
async fn a_name_is_used_once_even_after_its_release_has_been_retired() {
    let desk = Desk::open().await;
    let hub = Actor::hub();
    let release = desk.add("fort-1", for_forts()).await;
    let path = desk.core.releases.path(&release);
    assert_eq!(std::fs::read(&path).unwrap(), b"fort-1");
    let again = desk.try_add(&hub, "fort-1", for_forts()).await;
    assert!(matches!(again, Err(Refusal::Exists { .. })), "{again:?}");
    let retired = desk.core.releases.retire(&hub, &release.name).await;
    assert!(retired.unwrap().retired.is_some());
    assert!(!path.exists(), "its bytes stay though nobody gets them");
    let again = desk.try_add(&hub, "fort-1", for_forts()).await;
    assert!(matches!(again, Err(Refusal::Exists { .. })), "{again:?}");
}

#[tokio::test]
async fn only_who_sees_all_sites_changes_releases_and_only_their_admins_keys() {
    let desk = Desk::open().await;
    let releases = &desk.core.releases;
    let forbidden = |got: Option<Refusal>| matches!(got, Some(Refusal::Forbidden { .. }));
    for (actor, adds) in [
        (operator(Role::Viewer, None), false),
        (operator(Role::Admin, Some("shop")), false),
        (operator(Role::Operator, None), true),
    ] {
        let begun = releases.begin(&actor).await;
        assert_eq!(begun.is_ok(), adds, "{actor:?}");
        let (pem, print) = ("p".to_owned(), "01".to_owned());
        let key = releases.add_key(&actor, "l".to_owned(), pem, print).await;
        assert!(forbidden(key.err()), "{actor:?}");
        let revoked = releases.revoke_key(&actor, &desk.key).await;
        assert!(forbidden(revoked.err()), "{actor:?}");
        let name = desk.key.as_str().parse().unwrap();
        let retired = releases.retire(&actor, &name).await;
        assert_eq!(forbidden(retired.err()), !adds, "{actor:?}");
    }
}

#[tokio::test]
async fn what_a_revoked_key_has_signed_is_retired_with_it() {
    let desk = Desk::open().await;
    let hub = Actor::hub();
    desk.add("fort-1", for_forts()).await;
    let revoked = desk.core.releases.revoke_key(&hub, &desk.key).await;
    assert!(revoked.unwrap().revoked.is_some());
    let page = Page {
        after: None,
        limit: 10,
    };
    let listed = desk.core.releases.list(&hub, &page).await.unwrap();
    assert!(listed.items[0].retired.is_some());
    assert!(desk.core.releases.trusted().await.unwrap().is_empty());
    let after = desk.try_add(&hub, "fort-2", for_forts()).await;
    assert!(matches!(after, Err(Refusal::NotFound { .. })), "{after:?}");
}

#[tokio::test]
async fn a_hub_that_starts_anew_keeps_the_bytes_of_releases_and_no_others() {
    let desk = Desk::open().await;
    let release = desk.add("fort-1", for_forts()).await;
    let path = desk.core.releases.path(&release);
    let stray = path.with_file_name("0".repeat(64));
    std::fs::write(&stray, "stray").unwrap();
    let Desk { core, folder, .. } = desk;
    drop(core);
    let core = Core::open(&Settings::new(folder.path())).unwrap();
    assert!(path.exists() && !stray.exists());
    drop(core);
}
