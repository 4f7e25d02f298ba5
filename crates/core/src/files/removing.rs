//! Removing files.

use rusqlite::Connection;
use serde_json::json;

use super::content::{Condition, found, on_its_own};
use super::grants::act_on;
use super::{Access, FileName, Files, Place, Verb, kept};
use crate::id::DeviceId;
use crate::identity::Actor;
use crate::refusal::Refusal;

impl Files {
    /// Removes a file and what is staged for it. Who is reading it gets all of it.
    ///
    /// # Errors
    /// What `condition` refuses with, which is told of what is there; [`Refusal::Forbidden`] when
    /// `access` is not to remove; [`Refusal::NotFound`]; [`Refusal::Revoked`],
    /// [`Refusal::Draining`] when access has ended; as the store.
    pub async fn delete(&self, access: &Access, condition: Condition) -> Result<(), Refusal> {
        access.may(Verb::Delete)?;
        let access = access.clone();
        self.clear(move |connection| {
            access.may(Verb::Delete)?;
            let there = kept::find(connection, &access.place)?;
            condition(there.as_ref())?;
            Ok(access.place)
        })
        .await
    }

    /// Removes a file and what is staged for it, for an operator. Who is reading it gets all of it.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers; [`Refusal::NotFound`]; as the store.
    pub async fn remove(
        &self,
        actor: &Actor,
        device: &DeviceId,
        name: &FileName,
    ) -> Result<(), Refusal> {
        let (actor, now) = (actor.clone(), self.clock.now());
        let (device, name) = (device.clone(), name.clone());
        self.clear(move |connection| {
            let detail = json!({"name": name});
            act_on(connection, &actor, &device, (now, "file.remove"), &detail)?;
            Ok(Place { device, name })
        })
        .await
    }

    /// Removes the file that `allowed` gives the place of, once it has looked whether it may.
    /// It may use the last room of the disk: it makes some.
    async fn clear<F>(&self, allowed: F) -> Result<(), Refusal>
    where
        F: FnOnce(&Connection) -> Result<Place, Refusal> + Send + 'static,
    {
        let files = self.clone();
        on_its_own(async move {
            let write = files.store.write(move |connection| {
                let place = allowed(connection)?;
                found(connection, &place)?;
                kept::remove(connection, &place)
            });
            let gone = write.await?;
            files.contents.remove(gone).await;
            Ok(())
        })
        .await
    }
}
