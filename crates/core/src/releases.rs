//! Releases: what devices are updated to, each an artifact that somebody trusted has signed.
//!
//! What an artifact says, and who signed it, is for the caller to find out, who knows its form; a
//! release is what came of that. A release does not change: what a device has fetched under a name
//! is what every other device gets under it. The same bytes lie on the disk once.
//!
//! Releases and the keys by which they are signed are the business of who sees all sites. Whoever
//! sees one site sees them too, since they may deploy them there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;

use crate::acting::Kept;
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::deployments;
use crate::id::{ReleaseKeyId, ReleaseName};
use crate::identity::{Actor, Listed, Page};
use crate::objects::{Digest, Incoming, Objects, Whole};
use crate::refusal::Refusal;
use crate::store::{OpenError, Store};

mod keys;
mod table;
mod version;

pub use keys::{MAX_KEY, MAX_KEYS, ReleaseKey};
pub(crate) use table::{SCHEMA, find};
pub use version::Version;

/// The most releases of a hub, with those that are retired.
pub const MAX_RELEASES: u64 = 1_024;

/// The most bytes of a release's artifact.
pub const MAX_RELEASE: u64 = 8 << 30;

/// The most bytes of all releases that are not retired.
pub const MAX_RELEASES_BYTES: u64 = 64 << 30;

/// What whoever changes them and the audit log are told.
const KEPT: Kept = Kept("release");

/// What an artifact says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// The types of devices that it is for.
    pub device_types: Vec<String>,
    /// The releases of which a device must be on one; of any, when it is empty.
    pub depends_name: Vec<String>,
    /// What else a device must say of itself: for each name the texts of which one is right.
    pub depends: BTreeMap<String, Vec<String>>,
    /// What else a device says of itself afterwards.
    pub provides: BTreeMap<String, String>,
    /// Who installs its payload on the device.
    pub payload_type: Option<String>,
    /// Whether its signer lets it be installed in the place of a newer one.
    pub may_go_back: bool,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: ReleaseName,
    /// What its artifact says.
    pub described: Described,
    /// By which key it is signed.
    pub signed_by: ReleaseKeyId,
    /// What is in its artifact.
    pub digest: Digest,
    /// How many bytes that is.
    pub size: u64,
    /// Since when it is there.
    pub added: Timestamp,
    /// Since when no device gets it any more.
    pub retired: Option<Timestamp>,
}

/// A release as it is to be.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// Its name.
    pub name: ReleaseName,
    /// What its artifact says.
    pub described: Described,
    /// By which key it is signed, as the caller has verified.
    pub signed_by: ReleaseKeyId,
}

/// All releases, and the keys by which they are signed.
#[derive(Clone, Debug)]
pub struct Releases {
    store: Store,
    clock: Clock,
    objects: Objects,
    /// Held from where objects are named or counted to where they come or go.
    naming: Arc<Mutex<()>>,
}

impl Releases {
    /// The releases of the store, without the objects that none of them needs any more.
    pub(crate) fn new(store: Store, clock: Clock, objects: Objects) -> Result<Self, OpenError> {
        objects.keep_only(&store.read_now(table::digests)?)?;
        Ok(Self {
            store,
            clock,
            objects,
            naming: Arc::default(),
        })
    }

    /// Begins to take an artifact, if `actor` may add a release.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers and for who sees one site; [`Refusal::Full`]; as the
    /// store.
    pub async fn begin(&self, actor: &Actor) -> Result<Incoming, Refusal> {
        let actor = actor.clone();
        self.store
            .read(move |connection| KEPT.may_change(connection, &actor, None))
            .await?;
        self.objects.begin(MAX_RELEASE).await
    }

    /// Adds a release of what has come. Returns once it is on the disk.
    ///
    /// # Errors
    /// As [`Releases::begin`]; [`Refusal::Exists`] when there is, or was, one of that name;
    /// [`Refusal::NotFound`] when its key has been revoked meanwhile; [`Refusal::TooMany`] beyond
    /// [`MAX_RELEASES`]; [`Refusal::TooLarge`] beyond [`MAX_RELEASES_BYTES`].
    pub async fn add(
        &self,
        actor: &Actor,
        new: NewRelease,
        content: Whole,
    ) -> Result<Release, Refusal> {
        let release = Release {
            name: new.name,
            described: new.described,
            signed_by: new.signed_by,
            digest: *content.digest(),
            size: content.size(),
            added: self.clock.now(),
            retired: None,
        };
        let (releases, actor) = (self.clone(), actor.clone());
        // On a task of its own: who hangs up in the middle leaves no object without a name.
        let done = tokio::spawn(async move { releases.add_now(actor, release, content).await });
        done.await
            .map_err(|_| Refusal::Internal("a release's making stopped"))?
    }

    async fn add_now(
        &self,
        actor: Actor,
        release: Release,
        content: Whole,
    ) -> Result<Release, Refusal> {
        let _naming = self.naming.lock().await;
        let digest = release.digest;
        content.keep().await?;
        let made = self
            .store
            .write_bulk(0, move |connection| {
                KEPT.may_change(connection, &actor, None)?;
                keys::in_use(connection, &release.signed_by)?;
                table::insert(connection, &release)?;
                let (count, bytes) = table::count(connection)?;
                if count > MAX_RELEASES {
                    let (what, limit) = ("releases", MAX_RELEASES);
                    return Err(Refusal::TooMany { what, limit });
                }
                if bytes > MAX_RELEASES_BYTES {
                    let (what, limit) = ("bytes of all releases", MAX_RELEASES_BYTES);
                    return Err(Refusal::TooLarge { what, limit });
                }
                let detail = json!({
                    "sha256": release.digest, "size": release.size, "key": release.signed_by,
                });
                let on = KEPT.on(&release.name, None);
                audit::append(
                    connection,
                    release.added,
                    &actor,
                    "release.add",
                    &on,
                    &detail,
                )?;
                Ok(release)
            })
            .await;
        if made.is_err() {
            self.let_go(digest).await?;
        }
        made
    }

    /// Retires a release: it is offered to no device any more, its deployments end, and its bytes
    /// go. Its name is not used again. A device that is fetching it gets all of it, and is told
    /// that the deployment has ended when it next says how far it is.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as [`Releases::begin`].
    pub async fn retire(&self, actor: &Actor, name: &ReleaseName) -> Result<Release, Refusal> {
        let (releases, actor, name) = (self.clone(), actor.clone(), name.clone());
        let done = tokio::spawn(async move { releases.retire_now(actor, name).await });
        done.await
            .map_err(|_| Refusal::Internal("a release's retirement stopped"))?
    }

    async fn retire_now(&self, actor: Actor, name: ReleaseName) -> Result<Release, Refusal> {
        let _naming = self.naming.lock().await;
        let now = self.clock.now();
        let retired = self
            .store
            .write(move |connection| {
                KEPT.may_change(connection, &actor, None)?;
                let release = find(connection, &name)?;
                table::retire(connection, &name, now)?;
                deployments::end_of_release(connection, &name, now)?;
                let detail = json!({"sha256": release.digest});
                let on = KEPT.on(&name, None);
                audit::append(connection, now, &actor, "release.retire", &on, &detail)?;
                find(connection, &name)
            })
            .await?;
        self.let_go(retired.digest).await?;
        Ok(retired)
    }

    /// Removes an object that no release needs any more.
    async fn let_go(&self, digest: Digest) -> Result<(), Refusal> {
        let needed = self
            .store
            .read(move |connection| table::needs(connection, &digest))
            .await?;
        if needed {
            Ok(())
        } else {
            self.objects.remove(&digest).await
        }
    }

    /// Lists releases, by name.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` has no good limit; as the store.
    pub async fn list(&self, actor: &Actor, page: &Page) -> Result<Listed<Release>, Refusal> {
        actor.check()?;
        let (page, fetch) = (page.clone(), page.fetch()?);
        self.store
            .read(move |connection| {
                let releases = table::after(connection, page.after(), fetch)?;
                Ok(Listed::of(releases, &page, |one| one.name.to_string()))
            })
            .await
    }

    /// Where the bytes of a release are.
    #[must_use]
    pub fn path(&self, release: &Release) -> PathBuf {
        self.objects.path(&release.digest)
    }
}

#[cfg(test)]
pub(crate) mod tests;
