//! Spaces, and who has which role there.

use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::Timestamp;
use outgate_core::spaces::{self, Roles};

/// A space.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Space {
    /// Its name, one in the site.
    #[schema(value_type = crate::api::names::Name, example = "sales")]
    id: String,
    /// Where it is.
    #[schema(value_type = crate::api::names::Name, example = "store-12")]
    site: String,
    /// What people call it.
    #[schema(example = "Sales")]
    title: String,
    /// Which actions each of its roles allows.
    #[schema(schema_with = crate::api::spaces::roles,
        example = json!({"viewer": ["read"], "editor": ["read", "reload"]}))]
    roles: Roles,
    /// Since when it is there.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
}

impl From<spaces::Space> for Space {
    fn from(space: spaces::Space) -> Self {
        Self {
            id: space.id.into(),
            site: space.site.into(),
            title: space.title,
            roles: space.roles,
            created: space.created,
        }
    }
}

/// A space, and who has which role there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpaceWhole {
    #[serde(flatten)]
    space: Space,
    /// Who has which role, by user.
    grants: Vec<SpaceGrant>,
}

impl From<(spaces::Space, Vec<spaces::Grant>)> for SpaceWhole {
    fn from((space, grants): (spaces::Space, Vec<spaces::Grant>)) -> Self {
        Self {
            space: space.into(),
            grants: grants.into_iter().map(Into::into).collect(),
        }
    }
}

/// That a user has a role in a space.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpaceGrant {
    /// Who.
    #[schema(example = "ann@example.com")]
    user: String,
    /// Which role.
    #[schema(value_type = crate::api::names::Name, example = "editor")]
    role: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl From<spaces::Grant> for SpaceGrant {
    fn from(grant: spaces::Grant) -> Self {
        Self {
            user: grant.user.to_string(),
            role: grant.role.into(),
            since: grant.since,
        }
    }
}
