//! Authorities whose certificates a site's devices may show.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::devices::Revoked;
use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// An authority of a site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authority {
    /// Its name.
    pub id: String,
    /// Whose devices may show its certificates.
    pub site: String,
    /// Its subject, as its certificate says.
    pub subject: String,
    /// Since when.
    pub created: String,
    /// Until when its certificate is valid.
    pub expires: String,
    /// When it was revoked, if it was.
    pub revoked: Option<String>,
}

impl Client {
    /// A site's authorities.
    pub fn authorities(&self, site: &str) -> impl Stream<Item = Result<Authority, Error>> + use<> {
        pages::whole(self, Ask::get(["api", "sites", site, "authorities"]))
    }

    /// Registers an authority by its certificate, in PEM: the site's devices may show
    /// certificates that it has signed for their names.
    ///
    /// # Errors
    /// As any request.
    pub async fn add_authority(&self, site: &str, certificate: &str) -> Result<Authority, Error> {
        let ask = Ask::create(["api", "sites", site, "authorities"])?
            .json(&json!({ "certificate": certificate }));
        self.send(&ask).await?.json()
    }

    /// Revokes an authority. Connections that came in by its certificates are closed when this
    /// returns.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_authority(&self, site: &str, authority: &str) -> Result<Revoked, Error> {
        let path = ["api", "sites", site, "authorities", authority, "revoke"];
        self.send(&Ask::post(path)).await?.json()
    }
}
