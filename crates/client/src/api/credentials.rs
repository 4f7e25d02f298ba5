//! How devices prove who they are.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::pages;
use crate::token::Token;
use crate::transport::{Ask, Client};

use super::devices::Revoked;

/// A credential as it may be told: never the secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credential {
    /// Its name.
    pub id: String,
    /// `symmetric-key`, `thumbprint`, `certificate` or `token`.
    pub kind: String,
    /// `pending`, `active`, `retiring` or `revoked`.
    pub state: String,
    /// `primary` or `secondary` of a pair of keys, the subject of a certificate, what a token is for.
    pub label: String,
    /// Since when.
    pub created: String,
    /// Until when, if it ends.
    pub expires: Option<String>,
    /// When it was last shown.
    pub used: Option<String>,
}

/// A new credential, with what is told only once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Issued {
    /// What is kept.
    pub credential: Credential,
    /// What its holder needs.
    pub given: Given,
}

/// What the holder of a new credential needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// A symmetric key, in base 64.
    Key(Token),
    /// A token, to be shown as it is.
    Token(Token),
    /// A certificate chain, in PEM.
    Certificate(String),
    /// Nothing: the holder has it already.
    Nothing,
}

/// What kind of credential a device is to get.
#[derive(Clone, Debug)]
pub enum NewCredential {
    /// A pair of symmetric keys.
    Keys,
    /// A token.
    Token {
        /// What it is for.
        label: String,
        /// For how many seconds, if it ends.
        lasts: Option<u64>,
    },
    /// A certificate that the device has already, by its SHA-256 in hexadecimal.
    Thumbprint(String),
    /// A key pair that the device has already, by its public half in PEM.
    PublicKey(String),
    /// A certificate for this request (PKCS #10, PEM).
    Certificate {
        /// The request.
        request: String,
        /// For how many seconds; as the hub likes when there is none.
        lasts: Option<u64>,
    },
}

#[derive(Deserialize)]
struct Several {
    items: Vec<Issued>,
}

impl Client {
    /// A device's credentials, without their secrets.
    pub fn credentials(
        &self,
        device: &str,
    ) -> impl Stream<Item = Result<Credential, Error>> + use<> {
        pages::whole(self, Ask::get(["api", "devices", device, "credentials"]))
    }

    /// Gives a device a credential, or a pair.
    ///
    /// # Errors
    /// As any request.
    pub async fn add_credential(
        &self,
        device: &str,
        new: &NewCredential,
    ) -> Result<Vec<Issued>, Error> {
        let body = match new {
            NewCredential::Keys => json!({ "kind": "keys" }),
            NewCredential::Token { label, lasts } => {
                json!({ "kind": "token", "label": label, "lasts": lasts })
            }
            NewCredential::Thumbprint(thumbprint) => {
                json!({ "kind": "thumbprint", "thumbprint": thumbprint })
            }
            NewCredential::PublicKey(key) => {
                json!({ "kind": "public-key", "public_key": key })
            }
            NewCredential::Certificate { request, lasts } => {
                json!({ "kind": "certificate", "request": request, "lasts": lasts })
            }
        };
        let ask = Ask::create(["api", "devices", device, "credentials"])?.json(&body);
        let several: Several = self.send(&ask).await?.json()?;
        Ok(several.items)
    }

    /// Lets a revoked device in again, with a new pair of keys in the place of all that it had.
    ///
    /// # Errors
    /// As any request.
    pub async fn restore_device_anew(&self, device: &str) -> Result<Vec<Issued>, Error> {
        let ask = Ask::create(["api", "devices", device, "restore-with-new-keys"])?;
        let several: Several = self.send(&ask).await?.json()?;
        Ok(several.items)
    }

    /// Replaces a credential: the new one is pending until it has been used, the old one valid for
    /// `overlap` seconds after that. A certificate needs a new `request`.
    ///
    /// # Errors
    /// As any request.
    pub async fn rotate(
        &self,
        device: &str,
        credential: &str,
        overlap: Option<u64>,
        request: Option<&str>,
    ) -> Result<Issued, Error> {
        let body = json!({ "overlap": overlap, "request": request });
        let path = [
            "api",
            "devices",
            device,
            "credentials",
            credential,
            "rotate",
        ];
        self.send(&Ask::create(path)?.json(&body)).await?.json()
    }

    /// Revokes one credential of a device.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_credential(
        &self,
        device: &str,
        credential: &str,
    ) -> Result<Revoked, Error> {
        let path = [
            "api",
            "devices",
            device,
            "credentials",
            credential,
            "revoke",
        ];
        self.send(&Ask::post(path)).await?.json()
    }
}
