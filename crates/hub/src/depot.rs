//! Where the bytes of devices' files are kept, when that is not the hub's own disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use outgate_core::contents::Depot;
use zeroize::Zeroizing;

use crate::config::{Elsewhere, Files, Speaks};
use crate::webhooks::{self, SenderError};

/// How long the store may take to be reached.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long it may say nothing.
const SAYS_WITHIN: Duration = Duration::from_secs(60);

/// How often it is asked again, and for how long, before a device is told that it fails.
const TRIES: usize = 3;
const TRIES_WITHIN: Duration = Duration::from_secs(30);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// Its key cannot be read.
    #[error("failed to read {file}, which should have the key of the store of files")]
    Key {
        /// Where it should be.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What it should be trusted by is not to be used.
    #[error("the store of files cannot be trusted")]
    Trust(#[source] SenderError),
    /// It cannot be asked.
    #[error("there is no client for the store of files")]
    Client(#[from] reqwest::Error),
    /// What is configured of it makes no store.
    #[error("the store of files is not configured as it must be")]
    Store(#[from] object_store::Error),
}

/// The store that is configured. It is not asked for anything yet.
pub(crate) fn depot(files: &Files) -> Result<Depot, DepotError> {
    let Some(elsewhere) = &files.elsewhere else {
        return Ok(Depot::Folder);
    };
    let client = client(elsewhere)?;
    let file = &elsewhere.key_file;
    let key = std::fs::read_to_string(file).map(Zeroizing::new);
    let key = key.map_err(|source| DepotError::Key {
        file: file.clone(),
        source,
    })?;
    let key = key.trim();
    let endpoint = elsewhere.endpoint.as_deref();
    // Only where the configuration says so in so many letters.
    let plain = endpoint.is_some_and(|url| url.starts_with("http://"));
    let retry = RetryConfig {
        max_retries: TRIES,
        retry_timeout: TRIES_WITHIN,
        ..RetryConfig::default()
    };
    let prefix = elsewhere.prefix.as_str();
    let store = match &elsewhere.speaks {
        Speaks::S3 {
            bucket,
            region,
            key_id,
        } => {
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_region(region)
                .with_access_key_id(key_id)
                .with_secret_access_key(key)
                .with_allow_http(plain)
                .with_retry(retry)
                .with_http_connector(client);
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            below(prefix, builder.build()?)
        }
        Speaks::Azure { account, container } => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_account(account)
                .with_container_name(container)
                .with_access_key(key)
                .with_allow_http(plain)
                .with_retry(retry)
                .with_http_connector(client);
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint.to_owned());
            }
            below(prefix, builder.build()?)
        }
    };
    Ok(Depot::Elsewhere(store))
}

fn below(prefix: &str, store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    Arc::new(PrefixStore::new(store, prefix))
}

/// The hub's own client, which trusts what is configured.
#[derive(Debug)]
struct Client(reqwest::Client);

impl HttpConnector for Client {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

fn client(elsewhere: &Elsewhere) -> Result<Client, DepotError> {
    let tls = webhooks::tls_config(elsewhere.authority.as_deref()).map_err(DepotError::Trust)?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(SAYS_WITHIN)
        .user_agent(concat!("outgate/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(Client(client))
}
