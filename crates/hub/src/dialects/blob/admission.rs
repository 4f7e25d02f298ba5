//! Who is let in to which file.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Uri;
use outgate_azure::storage::operation::Operation;
use outgate_azure::storage::problem::Problem;
use outgate_azure::storage::sas::{Permission, Sas};
use outgate_core::Core;
use outgate_core::files::{Admitted, MAX_LASTS, Place, Shown, Verb};
use outgate_core::limits::Attempt;
use outgate_core::secret::Secret;
use percent_encoding::percent_decode_str;

use super::answer::Refused;
use super::{CONTAINER, resource};

/// By how much the clock of who signed may be ahead of the hub's.
const AHEAD: Duration = Duration::from_secs(15 * 60);

/// Who was let in, and by what.
pub(super) struct LetIn {
    pub(super) admitted: Admitted,
    pub(super) sas: Sas,
}

/// Lets in who shows a signature for what they ask for.
pub(super) async fn admit(
    core: &Core,
    peer: SocketAddr,
    uri: &Uri,
    operation: &Operation,
) -> Result<LetIn, Refused> {
    let sas = Sas::parse(uri.query().unwrap_or_default());
    let sas = sas.map_err(|_| Problem::AuthenticationFailed)?;
    let blob = blob_of(uri).ok_or(Problem::InvalidUri)?;
    let needs = operation.needs();
    let shown = shown(&sas, &blob, needs)?;
    let now = seconds(core.clock.now());
    if !is_in_time(&sas, now) {
        return Err(Problem::AuthenticationFailed.into());
    }
    let attempt = Attempt::new(peer.ip(), None);
    core.failed_logins.check(&attempt)?;
    let is_proved = AtomicBool::new(false);
    let proves = |key: &Secret| {
        let is_signed = sas.is_signed_with(key.expose(), resource(&blob));
        is_proved.store(is_signed, Ordering::Relaxed);
        is_signed
    };
    let admitted = core.files.admit(&shown, peer, proves).await;
    if !is_proved.into_inner() {
        // What is only over is nobody's guess.
        core.failed_logins.count(&attempt)?;
    }
    let admitted = admitted?;
    if sas
        .ends()
        .is_some_and(|ends| ends > seconds(admitted.grant.ends))
    {
        // Whoever has the key signs for as long as the grant holds.
        return Err(Problem::AuthenticationFailed.into());
    }
    if sas.permits(needs) == Some(false) {
        return Err(Problem::AuthorizationPermissionMismatch.into());
    }
    if !sas.is_for(peer.ip()) {
        return Err(Problem::AuthorizationSourceIPMismatch.into());
    }
    Ok(LetIn { admitted, sas })
}

/// What is shown of a grant.
fn shown(sas: &Sas, blob: &str, needs: Permission) -> Result<Shown, Problem> {
    let grant = sas.policy().and_then(|name| name.parse().ok());
    let (device, name) = blob.split_once('/').ok_or(Problem::InvalidUri)?;
    Ok(Shown {
        grant: grant.ok_or(Problem::AuthenticationFailed)?,
        place: Place {
            device: device.parse().map_err(|_| Problem::InvalidUri)?,
            name: name.parse().map_err(|_| Problem::InvalidUri)?,
        },
        verb: match needs {
            Permission::Read => Verb::Read,
            Permission::Create | Permission::Write => Verb::Write,
            Permission::Delete => Verb::Delete,
        },
    })
}

/// The name of the blob, with the device's before it.
fn blob_of(uri: &Uri) -> Option<String> {
    let path = uri.path().strip_prefix('/')?.strip_prefix(CONTAINER)?;
    let blob = percent_decode_str(path.strip_prefix('/')?).decode_utf8();
    Some(blob.ok()?.into_owned())
}

/// Whether a signature holds now, and for no longer than any grant may.
fn is_in_time(sas: &Sas, now: i64) -> bool {
    let (most, ahead) = (whole(MAX_LASTS), whole(AHEAD));
    let starts = sas.starts().unwrap_or(now);
    let has_begun = starts <= now.saturating_add(ahead);
    has_begun
        && sas
            .ends()
            .is_none_or(|ends| now < ends && ends.saturating_sub(starts) <= most)
}

fn seconds(moment: outgate_core::Timestamp) -> i64 {
    moment.as_millis().div_euclid(1_000)
}

fn whole(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}
