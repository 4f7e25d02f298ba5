//! Back ends that take events.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::credentials::{Credential, Issued};
use super::devices::Revoked;
use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// A back end that takes events, as it may be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub id: String,
    /// The site that it sees; every one when there is none.
    pub site: Option<String>,
    /// Since when.
    pub created: String,
    /// When it was revoked, if it was.
    pub revoked: Option<String>,
}

/// A service just made, with its first token, told only now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewService {
    /// Which.
    pub service: Service,
    /// Its token.
    pub issued: Issued,
}

impl Client {
    /// All services.
    pub fn services(&self) -> impl Stream<Item = Result<Service, Error>> + use<> {
        pages::items(self, Ask::get(["api", "services"]))
    }

    /// Makes a service, which sees one site or all.
    ///
    /// # Errors
    /// As any request.
    pub async fn create_service(&self, id: &str, site: Option<&str>) -> Result<NewService, Error> {
        let body = json!({ "id": id, "site": site });
        let ask = Ask::create(["api", "services"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// Revokes a service and its tokens.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_service(&self, id: &str) -> Result<Revoked, Error> {
        let ask = Ask::post(["api", "services", id, "revoke"]);
        self.send(&ask).await?.json()
    }
    /// A service's access keys, without the keys themselves.
    pub fn access_keys(&self, id: &str) -> impl Stream<Item = Result<Credential, Error>> + use<> {
        pages::whole(self, Ask::get(["api", "services", id, "access-keys"]))
    }

    /// Gives a service an access key.
    ///
    /// # Errors
    /// As any request.
    pub async fn add_access_key(&self, id: &str) -> Result<Issued, Error> {
        let ask = Ask::create(["api", "services", id, "access-keys"])?;
        self.send(&ask).await?.json()
    }

    /// Revokes an access key of a service.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_access_key(&self, id: &str, key: &str) -> Result<Revoked, Error> {
        let ask = Ask::post(["api", "services", id, "access-keys", key, "revoke"]);
        self.send(&ask).await?.json()
    }
}
