//! Where the bytes of devices' files are kept: `[files.s3]` and `[files.azure]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, value};

/// What S3 calls the region where there is only one.
const REGION: &str = "us-east-1";

/// A store elsewhere, in which others may write below the same prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// What it speaks.
    pub speaks: Speaks,
    /// Where it is, with the scheme; where its maker has it when there is none.
    pub endpoint: Option<String>,
    /// The file that has its key, alone.
    pub key_file: PathBuf,
    /// What is before the names of all objects.
    pub prefix: String,
    /// What it is trusted by, beside public authorities: a file in PEM.
    pub authority: Option<PathBuf>,
}

/// What a store speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Amazon's S3.
    S3 {
        /// The bucket, which must be there.
        bucket: String,
        /// Its region.
        region: String,
        /// The name of the key.
        key_id: String,
    },
    /// Azure's Blob storage.
    Azure {
        /// The account.
        account: String,
        /// The container, which must be there.
        container: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct WrittenS3 {
    bucket: String,
    region: Option<String>,
    key_id: String,
    key_file: PathBuf,
    endpoint: Option<String>,
    prefix: Option<String>,
    authority: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct WrittenAzure {
    account: String,
    container: String,
    key_file: PathBuf,
    endpoint: Option<String>,
    prefix: Option<String>,
    authority: Option<PathBuf>,
}

/// The one that is written, if one is.
pub(super) fn checked(
    s3: Option<WrittenS3>,
    azure: Option<WrittenAzure>,
) -> Result<Option<Elsewhere>, ConfigError> {
    let elsewhere = match (s3, azure) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return value("files.azure", "either [files.s3] or [files.azure]"),
        (Some(s3), None) => Elsewhere {
            speaks: Speaks::S3 {
                bucket: s3.bucket,
                region: s3.region.unwrap_or_else(|| REGION.to_owned()),
                key_id: s3.key_id,
            },
            endpoint: s3.endpoint,
            key_file: s3.key_file,
            prefix: s3.prefix.unwrap_or_default(),
            authority: s3.authority,
        },
        (None, Some(azure)) => Elsewhere {
            speaks: Speaks::Azure {
                account: azure.account,
                container: azure.container,
            },
            endpoint: azure.endpoint,
            key_file: azure.key_file,
            prefix: azure.prefix.unwrap_or_default(),
            authority: azure.authority,
        },
    };
    let endpoint = elsewhere.endpoint.as_deref();
    if endpoint.is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
        return value("files.….endpoint", "a URL of http or https");
    }
    Ok(Some(elsewhere))
}
