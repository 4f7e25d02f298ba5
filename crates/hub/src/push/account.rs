//! A Google service account: who the hub is to Google, and how it proves that.
//!
//! The file is what Google's console hands out as a key of the account. With it the hub signs an
//! assertion (RFC 7523) with RSA and SHA-256, for which it gets a token.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outgate_core::{Refusal, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::config::token_may_be_sent_to;

/// The most bytes of the file.
const MAX_FILE: u64 = 64 * 1024;

/// What is asked for: sending messages, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// For how long an assertion holds: the longest that Google allows.
const HOLDS: Duration = Duration::from_secs(3_600);

/// The key of a service account.
pub(super) struct Account {
    /// The project whose devices are reached.
    pub(super) project: String,
    /// Where tokens are asked for.
    pub(super) token_uri: String,
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
}

/// Why an account cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Its file cannot be read.
    #[error("the service account in {file:?} cannot be read")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no key of a service account.
    #[error("{file:?} is no key of a service account: {why}")]
    NotAnAccount {
        /// The file.
        file: PathBuf,
        /// What would be right.
        why: &'static str,
    },
}

#[derive(Deserialize)]
struct File {
    r#type: String,
    project_id: String,
    private_key_id: Option<String>,
    private_key: Private,
    client_email: String,
    token_uri: String,
}

/// A text that is wiped once it has been read.
struct Private(Zeroizing<String>);

impl<'de> Deserialize<'de> for Private {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Account {
    /// Reads the file.
    ///
    /// # Errors
    /// [`AccountError`], which tells nothing of the key.
    pub(super) fn read(file: &Path) -> Result<Self, AccountError> {
        let unreadable = |source| AccountError::Read {
            file: file.to_owned(),
            source,
        };
        let size = std::fs::metadata(file).map_err(unreadable)?.len();
        if size > MAX_FILE {
            return Err(AccountError::NotAnAccount {
                file: file.to_owned(),
                why: "at most 64 KiB",
            });
        }
        let text = std::fs::read(file)
            .map(Zeroizing::new)
            .map_err(unreadable)?;
        Self::of(&text).map_err(|why| AccountError::NotAnAccount {
            file: file.to_owned(),
            why,
        })
    }

    fn of(text: &[u8]) -> Result<Self, &'static str> {
        let file: File = serde_json::from_slice(text)
            .map_err(|_| "JSON with type, project_id, private_key, client_email and token_uri")?;
        if file.r#type != "service_account" {
            return Err("its type is service_account");
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-:.".contains(&byte);
        if file.project_id.is_empty() || !file.project_id.bytes().all(is_name) {
            return Err("project_id has letters, digits and -");
        }
        if !token_may_be_sent_to(&file.token_uri) {
            return Err("token_uri is an address over HTTPS");
        }
        let key = PrivatePkcs8KeyDer::from_pem_slice(file.private_key.0.as_bytes());
        let key = key.map_err(|_| "private_key is a key in PEM (PKCS #8)")?;
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der());
        Ok(Self {
            project: file.project_id,
            token_uri: file.token_uri,
            email: file.client_email,
            key_id: file.private_key_id,
            key: key.map_err(|_| "private_key is one of RSA, of 2,048 bits or more")?,
        })
    }

    /// What proves at `now` who asks for a token: a JSON Web Token (RFC 7519) in the compact form.
    ///
    /// # Errors
    /// [`Refusal::Randomness`].
    pub(super) fn assertion(&self, now: Timestamp) -> Result<Zeroizing<String>, Refusal> {
        let seconds = now.as_millis().div_euclid(1_000);
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            // Also where a relay passes it on: it is Google who reads it.
            "aud": self.token_uri,
            "iat": seconds,
            "exp": seconds.saturating_add_unsigned(HOLDS.as_secs()),
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        let done = self.key.sign(
            &RSA_PKCS1_SHA256,
            &random,
            signed.as_bytes(),
            &mut signature,
        );
        done.map_err(|_| Refusal::Randomness)?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(Zeroizing::new(format!("{signed}.{signature}")))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}
