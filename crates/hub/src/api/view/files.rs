//! Files of devices, and grants for them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use outgate_core::{Timestamp, files};

/// A file of a device's drop folder.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct File {
    /// Its name.
    #[schema(example = "logs/2026-11-23.txt")]
    name: String,
    /// The SHA-256 of what is in it, in hexadecimal.
    #[schema(min_length = 64, max_length = 64)]
    sha256: String,
    /// How many bytes that is.
    size: u64,
    /// Its media type.
    #[schema(example = "text/plain")]
    content_type: String,
    /// Since when there is a file of that name.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Since when it is as it is.
    #[schema(value_type = String, format = DateTime)]
    changed: Timestamp,
}

/// What a grant lets do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verb {
    /// Read the file.
    Read,
    /// Make the file, or put something else in its place.
    Write,
    /// Remove the file.
    Delete,
}

/// The right to do one thing to one file for a while.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Grant {
    /// Its name.
    #[schema(value_type = crate::api::names::Name, example = "gr-0123456789abcdefghjk")]
    id: String,
    /// Whose file.
    #[schema(value_type = crate::api::names::Name)]
    device: String,
    /// Which file, whether or not there is one yet.
    #[schema(example = "logs/2026-11-23.txt")]
    name: String,
    /// What it lets do.
    verb: Verb,
    /// Who gave it.
    by: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// When it was first used.
    #[schema(value_type = Option<String>, format = DateTime)]
    used: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked: Option<Timestamp>,
}

/// A grant as it is given.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantIssued {
    /// The grant.
    pub(crate) grant: Grant,
    /// Where the file is put or got: the key is in it. Not told again; absent when the device was
    /// told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// The command by which the device was told, if it was.
    #[schema(value_type = Option<crate::api::names::Name>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
}

impl From<files::File> for File {
    fn from(file: files::File) -> Self {
        Self {
            name: file.place.name.into(),
            sha256: file.digest.to_string(),
            size: file.size,
            content_type: file.content_type,
            created: file.created,
            changed: file.changed,
        }
    }
}

impl From<files::Grant> for Grant {
    fn from(grant: files::Grant) -> Self {
        Self {
            id: grant.id.into(),
            device: grant.device.into(),
            name: grant.name.into(),
            verb: grant.verb.into(),
            by: grant.by,
            created: grant.created,
            expires: grant.ends,
            used: grant.used,
            revoked: grant.revoked,
        }
    }
}

impl From<files::Verb> for Verb {
    fn from(verb: files::Verb) -> Self {
        match verb {
            files::Verb::Read => Self::Read,
            files::Verb::Write => Self::Write,
            files::Verb::Delete => Self::Delete,
        }
    }
}

impl From<Verb> for files::Verb {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Read => Self::Read,
            Verb::Write => Self::Write,
            Verb::Delete => Self::Delete,
        }
    }
}
