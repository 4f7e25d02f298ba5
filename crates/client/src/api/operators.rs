//! People, and programs that administer.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::credentials::{Credential, Issued};
use super::devices::Revoked;
use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// An operator as they may be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operator {
    /// Their name.
    pub id: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// The site that they see; every one when there is none.
    pub site: Option<String>,
    /// Since when.
    pub created: String,
    /// When they were revoked, if they were.
    pub revoked: Option<String>,
}

/// An operator just made, with a first token, told only now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewOperator {
    /// Who.
    pub operator: Operator,
    /// Their token.
    pub issued: Issued,
}

/// Who asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Me {
    /// Their name.
    pub id: String,
    /// What they may do; none for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The site that they see; every one when there is none.
    #[serde(default)]
    pub site: Option<String>,
    /// The name of the token they showed.
    pub token: String,
}

impl Client {
    /// Who asks, as the hub sees it.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 401 when the token does not hold; as any request.
    pub async fn me(&self) -> Result<Me, Error> {
        self.send(&Ask::get(["api", "me"])).await?.json()
    }

    /// All operators.
    pub fn operators(&self) -> impl Stream<Item = Result<Operator, Error>> + use<> {
        pages::items(self, Ask::get(["api", "operators"]))
    }

    /// Makes an operator, who sees one site or all.
    ///
    /// # Errors
    /// As any request.
    pub async fn create_operator(
        &self,
        id: &str,
        role: &str,
        site: Option<&str>,
    ) -> Result<NewOperator, Error> {
        let body = json!({ "id": id, "role": role, "site": site });
        let ask = Ask::create(["api", "operators"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// An operator's tokens, without their secrets.
    pub fn operator_tokens(
        &self,
        id: &str,
    ) -> impl Stream<Item = Result<Credential, Error>> + use<> {
        pages::whole(self, Ask::get(["api", "operators", id, "tokens"]))
    }

    /// Gives an operator another token.
    ///
    /// # Errors
    /// As any request.
    pub async fn add_operator_token(
        &self,
        id: &str,
        label: &str,
        lasts: Option<u64>,
    ) -> Result<Issued, Error> {
        let body = json!({ "label": label, "lasts": lasts });
        let ask = Ask::create(["api", "operators", id, "tokens"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// Revokes one token of an operator.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_operator_token(&self, id: &str, token: &str) -> Result<Revoked, Error> {
        let ask = Ask::post(["api", "operators", id, "tokens", token, "revoke"]);
        self.send(&ask).await?.json()
    }

    /// Revokes an operator and all their tokens.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_operator(&self, id: &str) -> Result<Revoked, Error> {
        let ask = Ask::post(["api", "operators", id, "revoke"]);
        self.send(&ask).await?.json()
    }
}
