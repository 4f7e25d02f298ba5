//! The names that stand in paths.

use serde::Deserialize;

use outgate_core::id::{
    AuthorityId, CommandId, CredentialId, DeploymentId, DeviceId, FiringId, FleetKeyId, GrantId,
    OperatorId, ReleaseKeyId, ReleaseName, ScheduleName, ServiceId, SessionId, SiteId, SpaceId,
    SupportId, WebhookId,
};

/// Declares the names of a path.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $what:literal, $example:literal;)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Path)]
        pub(crate) struct $name {
            $(
                #[doc = $what]
                #[param(
                    value_type = String,
                    min_length = 1,
                    max_length = 128,
                    pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$",
                    example = $example
                )]
                pub(crate) $field: $type,
            )*
        }
    )*};
}

names! {
    /// A site.
    OfSite { site: SiteId = "The site.", "store-12"; }
    /// An authority of a site.
    OfAuthority {
        site: SiteId = "The site.", "store-12";
        authority: AuthorityId = "The authority.", "au-0123456789abcdefghjk";
    }
    /// A space of a site.
    OfSpace {
        site: SiteId = "The site.", "store-12";
        space: SpaceId = "The space.", "sales";
    }
    /// A device.
    OfDevice { device: DeviceId = "The device.", "till-7"; }
    /// A credential of a device.
    OfCredential {
        device: DeviceId = "The device.", "till-7";
        credential: CredentialId = "The credential.", "cr-0123456789abcdefghjk";
    }
    /// A session of a device.
    OfSession {
        device: DeviceId = "The device.", "till-7";
        session: SessionId = "The session.", "se-0123456789abcdefghjk";
    }
    /// A command of a device.
    OfCommand {
        device: DeviceId = "The device.", "till-7";
        command: CommandId = "The command.", "cm-0123456789abcdefghjk";
    }
    /// A grant for a file of a device.
    OfGrant {
        device: DeviceId = "The device.", "terminal-7";
        grant: GrantId = "The grant.", "gr-0123456789abcdefghjk";
    }
    /// A session of remote support.
    OfSupport { session: SupportId = "The session.", "su-0123456789abcdefghjk"; }
    /// A fleet key.
    OfFleetKey { fleet_key: FleetKeyId = "The fleet key.", "fk-0123456789abcdefghjk"; }
    /// An operator.
    OfOperator { operator: OperatorId = "The operator.", "anna"; }
    /// A token of an operator.
    OfToken {
        operator: OperatorId = "The operator.", "anna";
        token: CredentialId = "The token's name, not the token.", "cr-0123456789abcdefghjk";
    }
    /// A service.
    OfService { service: ServiceId = "The service.", "billing"; }
    /// An access key of a service.
    OfAccessKey {
        service: ServiceId = "The service.", "billing";
        key: CredentialId = "The key's name, not the key.", "cr-0123456789abcdefghjk";
    }
    /// A release.
    OfRelease { release: ReleaseName = "The release.", "fort-1.2"; }
    /// A key by which releases are signed.
    OfReleaseKey { release_key: ReleaseKeyId = "The key.", "rk-0123456789abcdefghjk"; }
    /// A deployment.
    OfDeployment { deployment: DeploymentId = "The deployment.", "dp-0123456789abcdefghjk"; }
    /// A device of a deployment.
    OfDeployed {
        deployment: DeploymentId = "The deployment.", "dp-0123456789abcdefghjk";
        device: DeviceId = "The device.", "fort-7";
    }
    /// A schedule.
    OfSchedule { schedule: ScheduleName = "The schedule.", "reload"; }
    /// A firing of a schedule.
    OfFiring {
        schedule: ScheduleName = "The schedule.", "reload";
        firing: FiringId = "The firing.", "fi-0123456789abcdefghjk";
    }
    /// A webhook.
    OfWebhook { webhook: WebhookId = "The webhook.", "wh-0123456789abcdefghjk"; }
}

/// The name of a thing: 1 to 128 characters, the first a letter or a digit.
#[derive(Debug, utoipa::ToSchema)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 128,
    pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$",
    example = "till-7"
)]
#[expect(
    dead_code,
    reason = "only its description is used, for the names are types of the core"
)]
pub(crate) struct Name(String);
