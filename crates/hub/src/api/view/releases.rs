//! Releases, the keys by which they are signed, and deployments.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::deployments::State;
use outgate_core::{Timestamp, deployments, releases};

/// What devices are updated to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Release {
    /// Its name: what a device is on afterwards.
    #[schema(value_type = crate::api::names::Name, example = "fort-1.2")]
    name: String,
    /// The types of devices that it is for.
    device_types: Vec<String>,
    /// The releases of which a device must be on one; of any, when it is empty.
    depends_on: Vec<String>,
    /// Who installs its payload on the device; absent when it installs nothing.
    #[schema(example = "rootfs-image")]
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_type: Option<String>,
    /// Whether its signer lets it be installed in the place of a newer one.
    may_go_back: bool,
    /// By which key it is signed.
    #[schema(value_type = crate::api::names::Name, example = "rk-0123456789abcdefghjk")]
    signed_by: String,
    /// The SHA-256 of its artifact, in hexadecimal.
    #[schema(min_length = 64, max_length = 64)]
    sha256: String,
    /// How many bytes that has.
    size: u64,
    /// Since when it is there.
    #[schema(value_type = String, format = DateTime)]
    added: Timestamp,
    /// Since when no device gets it any more, if so.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<Timestamp>,
}

impl From<releases::Release> for Release {
    fn from(release: releases::Release) -> Self {
        Self {
            name: release.name.into(),
            device_types: release.described.device_types,
            depends_on: release.described.depends_name,
            payload_type: release.described.payload_type,
            may_go_back: release.described.may_go_back,
            signed_by: release.signed_by.into(),
            sha256: release.digest.to_string(),
            size: release.size,
            added: release.added,
            retired: release.retired,
        }
    }
}

/// A key by which releases are signed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleaseKey {
    /// Its name.
    #[schema(value_type = crate::api::names::Name, example = "rk-0123456789abcdefghjk")]
    id: String,
    /// What people call it.
    label: String,
    /// The SHA-256 of its public half (SPKI in DER), in hexadecimal.
    #[schema(min_length = 64, max_length = 64)]
    thumbprint: String,
    /// Since when it is trusted.
    #[schema(value_type = String, format = DateTime)]
    added: Timestamp,
    /// Since when it is trusted no more, if so.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Timestamp>,
}

impl From<releases::ReleaseKey> for ReleaseKey {
    fn from(key: releases::ReleaseKey) -> Self {
        Self {
            id: key.id.into(),
            label: key.label,
            thumbprint: key.thumbprint,
            added: key.added,
            revoked: key.revoked,
        }
    }
}

/// A release on its way to some devices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deployment {
    /// Its name.
    #[schema(value_type = crate::api::names::Name, example = "dp-0123456789abcdefghjk")]
    id: String,
    /// Of what.
    #[schema(value_type = crate::api::names::Name, example = "fort-1.2")]
    release: String,
    /// Who made it.
    by: String,
    /// Since when it is there.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// `running`, `paused` (by an operator), `stopped` (too many devices have failed), `aborted`
    /// or `ended`.
    #[schema(example = "running")]
    state: &'static str,
    /// Since when it is paused, stopped or aborted.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Why it is paused or stopped.
    #[schema(example = "3 of 40 devices that came to an end have failed")]
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// To which tag, if to one.
    #[schema(value_type = Option<crate::api::names::Name>, example = "ring=first")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// Whether devices that get the tag later are meant as well.
    stands: bool,
    /// Which of its phases is under way, the first being 1.
    #[schema(minimum = 1, example = 2)]
    phase: u32,
    /// How many of the devices it is for, in each of its phases.
    #[schema(example = json!(["1%", "10%", "100%"]))]
    phases: Vec<String>,
    /// How many devices of a phase must have ended well before the next begins.
    #[schema(example = "100%")]
    next_at: String,
    /// When devices are offered the release; always when it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    windows: Option<Windows>,
    /// At how many failures it stops; never when it is absent.
    #[schema(example = "5%")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_at_failures: Option<String>,
    /// How many devices are how far.
    #[schema(example = json!({"success": 12, "pending": 3}))]
    devices: BTreeMap<String, u64>,
}

/// Ranges of local time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Windows {
    /// The zone, by its name in IANA's database.
    #[schema(example = "Europe/Stockholm")]
    zone: String,
    /// Each of them.
    #[schema(example = json!(["mon-fri 22:00-04:00"]))]
    windows: Vec<String>,
}

impl From<deployments::Deployment> for Deployment {
    fn from(deployment: deployments::Deployment) -> Self {
        let (state, since, why) = told(&deployment.state);
        let plan = deployment.plan;
        let tagged = deployment.tagged;
        let shares = plan.phases.shares().iter();
        let counts = deployment.counts.into_iter();
        Self {
            id: deployment.id.into(),
            release: deployment.release.into(),
            by: deployment.by,
            created: deployment.created,
            state,
            since,
            why,
            stands: tagged.as_ref().is_some_and(|tagged| tagged.stands),
            tag: tagged.map(|tagged| tagged.tag.into()),
            phase: deployment.phase + 1,
            phases: shares.map(ToString::to_string).collect(),
            next_at: plan.next_at.to_string(),
            windows: plan.windows.map(|windows| Windows {
                zone: windows.zone().to_owned(),
                windows: windows.windows(),
            }),
            stop_at_failures: plan.stop_at.map(|stop| stop.to_string()),
            devices: counts
                .map(|(progress, count)| (progress.as_str().to_owned(), count))
                .collect(),
        }
    }
}

/// A state in a word, since when it is so, and why.
pub(crate) fn told(state: &State) -> (&'static str, Option<Timestamp>, Option<String>) {
    match state {
        State::Running => ("running", None, None),
        State::Paused { since, by } => ("paused", Some(*since), Some(format!("by {by}"))),
        State::Stopped { since, ends } => {
            let all = ends.well + ends.failed;
            let failed = ends.failed;
            let why = format!("{failed} of {all} devices that came to an end have failed");
            ("stopped", Some(*since), Some(why))
        }
        State::Aborted { since } => ("aborted", Some(*since), None),
        State::Ended => ("ended", None, None),
    }
}

/// A device of a deployment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deployed {
    /// Which.
    #[schema(value_type = crate::api::names::Name)]
    device: String,
    /// How far it is: `pending`, `downloading`, `pause-before-installing`, `installing`,
    /// `pause-before-rebooting`, `rebooting` or `pause-before-committing`; and at the end
    /// `success`, `failure`, `already-installed`, `no-artifact` (it is not for a device like it),
    /// `older` (it has confirmed a newer one) or `aborted`.
    #[schema(example = "downloading")]
    progress: String,
    /// What exactly it does, in words of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    doing: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    changed: Timestamp,
    /// Whether it has sent a log.
    has_log: bool,
    /// In which phase it is, the first being 1.
    #[schema(minimum = 1)]
    phase: u32,
}

impl From<deployments::Deployed> for Deployed {
    fn from(deployed: deployments::Deployed) -> Self {
        Self {
            device: deployed.device.into(),
            progress: deployed.progress.as_str().to_owned(),
            doing: deployed.doing,
            changed: deployed.changed,
            has_log: deployed.has_log,
            phase: deployed.phase + 1,
        }
    }
}

/// What a device had to say of a deployment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeploymentLog {
    /// Lines, each with its time and how grave it is.
    pub(crate) log: String,
}
