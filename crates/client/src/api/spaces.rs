//! Spaces of a site: which users may do what in them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// A space.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Space {
    /// Its name, one in the site.
    pub id: String,
    /// Where it is.
    pub site: String,
    /// What people call it.
    pub title: String,
    /// Which actions each of its roles allows.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Since when it is there.
    pub created: String,
}

/// A space, and who has which role there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpaceWhole {
    /// The space.
    #[serde(flatten)]
    pub space: Space,
    /// Who has which role.
    pub grants: Vec<SpaceGrant>,
}

/// That a user has a role in a space.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpaceGrant {
    /// Who.
    pub user: String,
    /// Which role.
    pub role: String,
    /// Since when.
    pub since: String,
}

impl Client {
    /// All spaces of a site, by name.
    pub fn spaces(&self, site: &str) -> impl Stream<Item = Result<Space, Error>> + use<> {
        pages::items(self, Ask::get(["api", "sites", site, "spaces"]))
    }

    /// A space, and who has which role there.
    ///
    /// # Errors
    /// As any request.
    pub async fn space(&self, site: &str, space: &str) -> Result<SpaceWhole, Error> {
        let ask = Ask::get(["api", "sites", site, "spaces", space]);
        self.send(&ask).await?.json()
    }

    /// Makes a space, or gives one another title and other roles.
    ///
    /// # Errors
    /// As any request.
    pub async fn put_space(
        &self,
        site: &str,
        space: &str,
        title: &str,
        roles: &BTreeMap<String, BTreeSet<String>>,
    ) -> Result<Space, Error> {
        let body = json!({ "title": title, "roles": roles });
        let ask = Ask::put(["api", "sites", site, "spaces", space]).json(&body);
        self.send(&ask).await?.json()
    }

    /// Removes a space with what was granted there.
    ///
    /// # Errors
    /// As any request.
    pub async fn remove_space(&self, site: &str, space: &str) -> Result<(), Error> {
        let ask = Ask::delete(["api", "sites", site, "spaces", space]);
        self.send(&ask).await.map(drop)
    }

    /// Gives a user a role in a space.
    ///
    /// # Errors
    /// As any request.
    pub async fn grant_role(
        &self,
        site: &str,
        space: &str,
        user: &str,
        role: &str,
    ) -> Result<SpaceGrant, Error> {
        let body = json!({ "user": user, "role": role });
        let ask = Ask::post(["api", "sites", site, "spaces", space, "grants"]).json(&body);
        self.send(&ask).await?.json()
    }

    /// Takes a role from a user; all that they have in the space when none is named.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_role(
        &self,
        site: &str,
        space: &str,
        user: &str,
        role: Option<&str>,
    ) -> Result<(), Error> {
        let mut body = json!({ "user": user });
        if let Some(role) = role {
            body["role"] = role.into();
        }
        let path = ["api", "sites", site, "spaces", space, "grants", "revoke"];
        self.send(&Ask::post(path).json(&body)).await.map(drop)
    }
}
