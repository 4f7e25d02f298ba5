//! The registry of devices.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use outgate_azure::service::{
    Authentication, AuthenticationKind, Capabilities, ConnectionState, ErrorCode, Identity, Key,
    Keys, NEVER, Permission, Status, Thumbprints, Wanted, tag_of, version_of,
};
use outgate_core::id::DeviceId;
use outgate_core::identity::{
    Actor, Before, Declared, DeviceState, Page, Principal, Proofs, Registered, Scope,
};
use outgate_core::refusal::Refusal;
use outgate_core::secret::Secret;
use outgate_core::sessions::Selector;
use serde_json::{Value, json};

use super::super::http::{Failure, field, json as read_json};
use super::{Asker, MAX_BODY, done, unknown};

/// The most devices that are told at a time, as the service has it.
const MAX_LISTED: u32 = 1_000;

/// The most devices that are changed at a time, as the service has it.
const MAX_BULK: usize = 100;

/// Lists devices.
pub(super) async fn list(asker: &Asker<'_>) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::RegistryRead)?;
    let top = field(asker.parts.uri.query(), "top").and_then(|top| top.parse().ok());
    let page = Page {
        after: None,
        limit: top
            .filter(|top| (1..=MAX_LISTED).contains(top))
            .unwrap_or(MAX_LISTED),
    };
    let listed = asker.core().identity.registry(&actor, &page).await?;
    let told = listed.items.iter().map(|one| identity(asker, one));
    Ok(Json(told.collect::<Vec<_>>()).into_response())
}

/// Reads, makes, changes or removes one device.
pub(super) async fn device(
    asker: &Asker<'_>,
    id: &DeviceId,
    body: Body,
) -> Result<Response, Failure> {
    let core = asker.core();
    match asker.parts.method {
        Method::GET => {
            let actor = asker.actor(Permission::RegistryRead)?;
            let registered = core.identity.registered(&actor, id).await?;
            Ok(told(asker, &registered))
        }
        Method::PUT => {
            let actor = asker.actor(Permission::RegistryWrite)?;
            let wanted: Wanted = read_json(body, &asker.held, MAX_BODY).await?;
            if wanted
                .device_id
                .as_deref()
                .is_some_and(|its| its != id.as_str())
            {
                return Err(Failure::argument("deviceId: the name in the path"));
            }
            let before = match if_match(&asker.parts.headers)? {
                None => Before::Nothing,
                Some(None) => Before::Anything,
                Some(Some(version)) => Before::Version(version),
            };
            let registered = declare(asker, &actor, id, &wanted, before).await?;
            Ok(told(asker, &registered))
        }
        Method::DELETE => {
            let actor = asker.actor(Permission::RegistryWrite)?;
            let version = if_match(&asker.parts.headers)?.flatten();
            core.identity.remove_device(&actor, id, version).await?;
            Ok(done())
        }
        _ => Err(unknown(asker.parts)),
    }
}

/// Makes, changes and removes up to 100 devices, each by itself: what fails of them is told.
pub(super) async fn bulk(asker: &Asker<'_>, body: Body) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::RegistryWrite)?;
    let all: Vec<Wanted> = read_json(body, &asker.held, MAX_BODY).await?;
    let names: BTreeSet<_> = all.iter().map(|one| &one.device_id).collect();
    if all.len() > MAX_BULK || names.len() < all.len() {
        let why = format!("at most {MAX_BULK} devices, each only once");
        return Err(Failure::argument(why));
    }
    let mut errors = Vec::new();
    for wanted in &all {
        if let Err(failure) = one_of_many(asker, &actor, wanted).await {
            errors.push(json!({
                "deviceId": wanted.device_id, "errorCode": failure.code().name(),
                "errorStatus": failure.why(), "operation": wanted.import_mode,
            }));
        }
    }
    let status = if errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let result = json!({
        "isSuccessful": errors.is_empty(), "errors": errors, "warnings": [],
    });
    Ok((status, Json(result)).into_response())
}

async fn one_of_many(asker: &Asker<'_>, actor: &Actor, wanted: &Wanted) -> Result<(), Failure> {
    if wanted.module_id.is_some() {
        let why = "modules are not in this registry";
        return Err(Failure::new(ErrorCode::ModuleNotFound, why));
    }
    let name = wanted.device_id.as_deref();
    let id = super::device(name.ok_or_else(|| Failure::argument("id: a name"))?)?;
    let its_version = || match wanted.etag.as_deref().map(version_of) {
        None => Ok(None),
        Some(Ok(version)) => Ok(version),
        Some(Err(error)) => Err(Failure::new(
            ErrorCode::PreconditionFailed,
            error.to_string(),
        )),
    };
    let before = match wanted.import_mode.as_deref() {
        None | Some("createOrUpdate") => Before::Whatever,
        Some("create") => Before::Nothing,
        Some("update") => Before::Anything,
        Some("updateIfMatchETag") => its_version()?.map_or(Before::Anything, Before::Version),
        Some(mode @ ("delete" | "deleteIfMatchETag")) => {
            let version = match mode {
                "delete" => None,
                _ => its_version()?,
            };
            asker
                .core()
                .identity
                .remove_device(actor, &id, version)
                .await?;
            return Ok(());
        }
        Some(other) => {
            let why = format!("importMode {other} is not served");
            return Err(Failure::argument(why));
        }
    };
    declare(asker, actor, &id, wanted, before).await.map(drop)
}

/// No modules: none is kept apart from its device.
pub(super) async fn modules(asker: &Asker<'_>, id: &DeviceId) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::RegistryRead)?;
    asker.core().identity.device(&actor, id).await?;
    Ok(Json(json!([])).into_response())
}

/// How many devices there are.
pub(super) async fn statistics(asker: &Asker<'_>) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::RegistryRead)?;
    let counted = asker.core().identity.count_devices(&actor).await?;
    let told = json!({
        "totalDeviceCount": counted.all,
        "enabledDeviceCount": counted.all - counted.revoked,
        "disabledDeviceCount": counted.revoked,
    });
    Ok(Json(told).into_response())
}

/// How many devices are there now.
pub(super) fn connected(asker: &Asker<'_>) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::ServiceConnect)?;
    let selector = match &actor.scope {
        Scope::All => Selector::All,
        Scope::Site(site) => Selector::Site(site.clone()),
    };
    let sessions = &asker.core().sessions;
    let present = sessions.present(&selector);
    let devices: BTreeSet<_> = present
        .iter()
        .filter_map(|presence| match &presence.principal {
            Principal::Device { device, .. } => Some(device),
            Principal::Operator { .. } | Principal::Service { .. } => None,
        })
        // Others may be doing something in the name of one that is not there.
        .filter(|device| sessions.is_present(device))
        .collect();
    Ok(Json(json!({ "connectedDeviceCount": devices.len() })).into_response())
}

async fn declare(
    asker: &Asker<'_>,
    actor: &Actor,
    id: &DeviceId,
    wanted: &Wanted,
    before: Before,
) -> Result<Registered, Failure> {
    let site = match &actor.scope {
        Scope::Site(site) => Some(site.clone()),
        Scope::All => asker.service.state.config.load().azure.site.clone(),
    };
    let declared = Declared {
        site,
        enabled: wanted.status.map(|status| status == Status::Enabled),
        proofs: proofs(wanted, before)?,
    };
    let identity = &asker.core().identity;
    let declared = identity.declare_device(actor, id, declared, before).await;
    declared.map_err(|refusal| {
        if let Refusal::Invalid { field, .. } = &refusal
            && field == "site"
        {
            let why = "azure.site in the hub's configuration says where such devices stand";
            return Failure::argument(why);
        }
        refusal.into()
    })
}

/// By what a device is to prove who it is.
fn proofs(wanted: &Wanted, before: Before) -> Result<Option<Proofs>, Failure> {
    if wanted.authentication.is_none() && before != Before::Nothing {
        return Ok(None);
    }
    let given = wanted.authentication.clone().unwrap_or_default();
    Ok(match wanted.authentication_kind() {
        AuthenticationKind::Sas => {
            let keys = given.symmetric_key.unwrap_or_default();
            let read = |key: Option<Key>| match key.filter(|key| !key.is_empty()) {
                None => Ok(None),
                Some(key) => match key.bytes() {
                    Some(bytes) => Ok(Some(Secret::new(bytes))),
                    None => Err(Failure::argument("keys: 16 to 64 bytes in base 64")),
                },
            };
            Some(Proofs::Keys([
                read(keys.primary_key)?,
                read(keys.secondary_key)?,
            ]))
        }
        AuthenticationKind::SelfSigned => {
            let prints = given.x509_thumbprint.unwrap_or_default();
            let right = "thumbprints: SHA-256 in 64 hexadecimal digits (SHA-1 is not taken)";
            let prints = prints.sha256().ok_or_else(|| Failure::argument(right))?;
            Some(Proofs::Thumbprints(prints))
        }
        AuthenticationKind::CertificateAuthority => Some(Proofs::Authority),
        AuthenticationKind::None => {
            return Err(Failure::argument(
                "authentication: sas, selfSigned or certificateAuthority",
            ));
        }
    })
}

/// What `If-Match` says: nothing, any version, or one.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Option<u64>>, Failure> {
    let Some(tag) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let version = tag.to_str().ok().map(version_of);
    match version {
        Some(Ok(version)) => Ok(Some(version)),
        Some(Err(_)) | None => Err(Failure::new(
            ErrorCode::PreconditionFailed,
            "If-Match: the entity tag of the version to be changed, or *",
        )),
    }
}

fn told(asker: &Asker<'_>, registered: &Registered) -> Response {
    let identity = identity(asker, registered);
    let tag = HeaderValue::try_from(format!("\"{}\"", identity.etag));
    let mut response = Json(identity).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// A device as back ends are told of it. Its keys are for those only who may also set them.
fn identity(asker: &Asker<'_>, registered: &Registered) -> Identity {
    let device = &registered.device;
    let seen = device
        .seen
        .map_or(NEVER.to_owned(), |seen| seen.to_string());
    let keys = asker.may(Permission::RegistryWrite).then(|| {
        let mut keys = registered.keys.iter().map(|key| Key::of(key.expose()));
        Keys {
            primary_key: keys.next(),
            secondary_key: keys.next(),
        }
    });
    Identity {
        device_id: device.id.to_string(),
        // A device that is removed and made anew was made at another time.
        generation_id: device.created.as_millis().to_string(),
        etag: tag_of(device.version),
        connection_state: connection_state(asker, &device.id),
        status: status(registered),
        status_reason: None,
        connection_state_updated_time: seen.clone(),
        status_updated_time: NEVER.to_owned(),
        last_activity_time: seen,
        cloud_to_device_message_count: registered.commands,
        authentication: Authentication {
            kind: Some(authentication_kind(registered)),
            symmetric_key: Some(keys.unwrap_or_default()),
            x509_thumbprint: Some(thumbprints(registered)),
        },
        capabilities: Capabilities::default(),
    }
}

pub(super) fn status(registered: &Registered) -> Status {
    match registered.device.state {
        DeviceState::Active | DeviceState::AwaitsApproval => Status::Enabled,
        DeviceState::Revoked => Status::Disabled,
    }
}

pub(super) fn connection_state(asker: &Asker<'_>, device: &DeviceId) -> ConnectionState {
    if asker.core().sessions.is_present(device) {
        ConnectionState::Connected
    } else {
        ConnectionState::Disconnected
    }
}

pub(super) fn authentication_kind(registered: &Registered) -> AuthenticationKind {
    if !registered.keys.is_empty() {
        AuthenticationKind::Sas
    } else if !registered.thumbprints.is_empty() {
        AuthenticationKind::SelfSigned
    } else {
        AuthenticationKind::CertificateAuthority
    }
}

pub(super) fn thumbprints(registered: &Registered) -> Thumbprints {
    let mut prints = registered
        .thumbprints
        .iter()
        .map(|print| print.to_uppercase());
    Thumbprints {
        primary_thumbprint: prints.next(),
        secondary_thumbprint: prints.next(),
    }
}

/// What an answer to a query tells of a device, as [`Value`].
pub(super) fn as_value(told: impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(told).map_err(|_| Refusal::Internal("an answer cannot be written").into())
}
