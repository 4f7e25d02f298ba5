//! Assets: files that devices hold a copy of, as pictures and price lists.
//!
//! An asset is for the devices of all sites or of one; of two with the same name a device holds
//! that of its own site. What is in an asset is an [`object`](crate::objects), so the same bytes
//! under many names lie on the disk once.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Mutex;

use crate::acting::Kept;
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::id::SiteId;
use crate::identity::{Actor, Listed, Page, Principal};
use crate::limits::check_content_type;
use crate::objects::{Digest, Incoming, Objects, Whole};
use crate::refusal::Refusal;
use crate::sessions::Session;
use crate::store::{OpenError, Store};

mod name;
mod table;

pub use name::AssetName;
pub(crate) use table::SCHEMA;

/// The most assets of a hub: what a device should hold is told in one answer.
pub const MAX_ASSETS: u64 = 4_096;

/// The most bytes of an asset.
pub const MAX_ASSET: u64 = 256 << 20;

/// The most bytes of all assets.
pub const MAX_ASSETS_BYTES: u64 = 10 << 30;

/// What an asset's type is when nobody said.
const ANY_TYPE: &str = "application/octet-stream";

/// What whoever changes them and the audit log are told.
const KEPT: Kept = Kept("asset");

/// An asset, as may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its name.
    pub name: AssetName,
    /// Whose devices it is for; those of all sites when there is none.
    pub site: Option<SiteId>,
    /// What is in it.
    pub digest: Digest,
    /// How many bytes that is.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
    /// Since when it is as it is.
    pub changed: Timestamp,
}

/// An asset as it is to be.
#[derive(Clone, Debug)]
pub struct NewAsset {
    /// Its name.
    pub name: AssetName,
    /// Whose devices it is for; those of all sites when there is none.
    pub site: Option<SiteId>,
    /// Its media type; empty for any bytes.
    pub content_type: String,
}

/// All assets. Those for one site are the business of who sees it; those for all sites, of who
/// sees all.
#[derive(Clone, Debug)]
pub struct Assets {
    store: Store,
    clock: Clock,
    objects: Objects,
    /// Held from where objects are named or counted to where they come or go, so that none goes
    /// that has been named meanwhile.
    naming: Arc<Mutex<()>>,
}

impl Assets {
    /// The assets of the store, without the objects that none of them needs any more.
    pub(crate) fn new(store: Store, clock: Clock, objects: Objects) -> Result<Self, OpenError> {
        objects.keep_only(&store.read_now(table::digests)?)?;
        Ok(Self {
            store,
            clock,
            objects,
            naming: Arc::default(),
        })
    }

    /// Begins to take what is to be in an asset, if `actor` may make it.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, and for an asset of all sites for who sees one;
    /// [`Refusal::NotFound`] for a site that they do not see; [`Refusal::Invalid`] for a media
    /// type that is none; [`Refusal::Full`]; as the store.
    pub async fn begin(&self, actor: &Actor, new: &NewAsset) -> Result<Incoming, Refusal> {
        check_content_type(&new.content_type)?;
        let (actor, site) = (actor.clone(), new.site.clone());
        self.store
            .read(move |connection| KEPT.may_change(connection, &actor, site.as_ref()))
            .await?;
        self.objects.begin(MAX_ASSET).await
    }

    /// Makes an asset of what has come, or changes the one of that name. Returns once it is on the
    /// disk; a device that fetches the asset's old content meanwhile gets all of it.
    ///
    /// # Errors
    /// As [`Assets::begin`]; [`Refusal::Invalid`] when nothing is in it; [`Refusal::TooMany`] beyond
    /// [`MAX_ASSETS`]; [`Refusal::TooLarge`] beyond [`MAX_ASSETS_BYTES`].
    pub async fn put(
        &self,
        actor: &Actor,
        new: NewAsset,
        content: Whole,
    ) -> Result<Asset, Refusal> {
        if content.size() == 0 {
            // More likely forgotten than meant.
            return Err(Refusal::invalid("content", "at least one byte"));
        }
        let asset = Asset {
            name: new.name,
            site: new.site,
            digest: *content.digest(),
            size: content.size(),
            content_type: match new.content_type {
                none if none.is_empty() => ANY_TYPE.to_owned(),
                given => given,
            },
            changed: self.clock.now(),
        };
        let (assets, actor) = (self.clone(), actor.clone());
        // On a task of its own: who hangs up in the middle leaves no object without a name.
        let done = tokio::spawn(async move { assets.put_now(actor, asset, content).await });
        done.await
            .map_err(|_| Refusal::Internal("an asset's making stopped"))?
    }

    async fn put_now(&self, actor: Actor, asset: Asset, content: Whole) -> Result<Asset, Refusal> {
        let _naming = self.naming.lock().await;
        let digest = asset.digest;
        content.keep().await?;
        let made = self
            .store
            .write_bulk(0, move |connection| {
                KEPT.may_change(connection, &actor, asset.site.as_ref())?;
                let before = table::find(connection, &asset.name, asset.site.as_ref())?;
                table::keep(connection, &asset)?;
                let (count, bytes) = table::count(connection)?;
                if count > MAX_ASSETS {
                    let (what, limit) = ("assets", MAX_ASSETS);
                    return Err(Refusal::TooMany { what, limit });
                }
                if bytes > MAX_ASSETS_BYTES {
                    let (what, limit) = ("bytes of all assets", MAX_ASSETS_BYTES);
                    return Err(Refusal::TooLarge { what, limit });
                }
                let detail = json!({"sha256": asset.digest, "size": asset.size});
                let on = KEPT.on(&asset.name, asset.site.as_ref());
                audit::append(connection, asset.changed, &actor, "asset.put", &on, &detail)?;
                Ok((asset, before))
            })
            .await;
        match made {
            Ok((asset, before)) => {
                if let Some(before) = before {
                    self.let_go(before.digest).await?;
                }
                Ok(asset)
            }
            Err(refusal) => {
                self.let_go(digest).await?;
                Err(refusal)
            }
        }
    }

    /// Removes an asset. A device that is fetching it gets all of it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as [`Assets::begin`].
    pub async fn remove(
        &self,
        actor: &Actor,
        name: &AssetName,
        site: Option<&SiteId>,
    ) -> Result<(), Refusal> {
        let (assets, actor) = (self.clone(), actor.clone());
        let (name, site) = (name.clone(), site.cloned());
        let done = tokio::spawn(async move { assets.remove_now(actor, name, site).await });
        done.await
            .map_err(|_| Refusal::Internal("an asset's removal stopped"))?
    }

    async fn remove_now(
        &self,
        actor: Actor,
        name: AssetName,
        site: Option<SiteId>,
    ) -> Result<(), Refusal> {
        let _naming = self.naming.lock().await;
        let now = self.clock.now();
        let gone = self
            .store
            .write(move |connection| {
                KEPT.may_change(connection, &actor, site.as_ref())?;
                let found = table::find(connection, &name, site.as_ref())?;
                let found = found.ok_or_else(|| Refusal::not_found("asset", &name))?;
                table::remove(connection, &name, site.as_ref())?;
                let detail = json!({"sha256": found.digest});
                let on = KEPT.on(&name, site.as_ref());
                audit::append(connection, now, &actor, "asset.remove", &on, &detail)?;
                Ok(found)
            })
            .await?;
        self.let_go(gone.digest).await
    }

    /// Removes an object that no asset needs any more.
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

    /// Lists the assets that `actor` sees: those of their sites and those of all.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` has no good limit; as the store.
    pub async fn list(&self, actor: &Actor, page: &Page) -> Result<Listed<Asset>, Refusal> {
        let (page, only, fetch) = (page.clone(), actor.scope.site().cloned(), page.fetch()?);
        self.store
            .read(move |connection| {
                let assets = table::after(connection, page.after(), only.as_ref(), fetch)?;
                Ok(Listed::of(assets, &page, Asset::place))
            })
            .await
    }

    /// What the device of `session` should hold, by name.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the session is not a device's; [`Refusal::Revoked`],
    /// [`Refusal::Draining`] when it has ended; as the store.
    pub async fn of_device(&self, session: &Session) -> Result<Vec<Asset>, Refusal> {
        let Principal::Device { site, .. } = session.principal() else {
            return Err(Refusal::forbidden("holding assets by who is no device"));
        };
        let site = site.clone();
        let assets = self
            .store
            .read(move |connection| table::for_site(connection, &site))
            .await?;
        session.pass().check()?;
        Ok(assets)
    }

    /// The asset of that name and content, if the device of `session` should hold it, and the file
    /// that it is in.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as [`Assets::of_device`].
    pub async fn fetch(
        &self,
        session: &Session,
        name: &AssetName,
        digest: &Digest,
    ) -> Result<(Asset, PathBuf), Refusal> {
        let assets = self.of_device(session).await?;
        let found = assets
            .into_iter()
            .find(|asset| asset.name == *name && asset.digest == *digest);
        let asset = found.ok_or_else(|| Refusal::not_found("asset", name))?;
        let path = self.objects.path(&asset.digest);
        Ok((asset, path))
    }
}

impl Asset {
    /// Its place in the list of all: `/NAME`, or `SITE/NAME`.
    fn place(&self) -> String {
        let site = self.site.as_ref().map_or("", SiteId::as_str);
        format!("{site}/{}", self.name)
    }
}

#[cfg(test)]
mod tests;
