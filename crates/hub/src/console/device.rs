//! One device: who it is, what it is wanted to be, and what it says.

use std::sync::Arc;

use axum::extract::{Path, State};
use maud::{Markup, Render as _, html};
use outgate_core::commands::Command;
use outgate_core::events::EventFilter;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Credential, CredentialKind, CredentialState, Page};
use outgate_core::sessions::Selector;
use outgate_core::{Core, Refusal};

use super::page::{Place, full, live};
use super::rows::{CommandRow, DeviceRow, HalfShown, SessionRow, moment};
use super::table::table;
use super::trouble::Trouble;
use super::visits::Visit;
use super::{Console, events, logs};
use crate::api::view::SshSwitch;

/// How many of the last commands are shown.
const COMMANDS: u32 = 10;

/// How many live sessions are shown.
const SESSIONS: usize = 50;

/// `GET /console/device/{device}`.
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(device): Path<String>,
) -> Result<Markup, Trouble> {
    let id: DeviceId = device.parse()?;
    let core = &console.state.core;
    let actor = visit.actor()?;
    let device = core.identity.device(&actor, &id).await?;
    let site = core.identity.site(&actor, &device.site).await?;
    let credentials = core.identity.credentials(&actor, &id).await?;
    let twin = core.twins.get(&actor, &id).await?;
    let commands = commands(core, &actor, &id).await?;
    let commands = commands.iter().map(CommandRow::new);
    let filter = EventFilter {
        scope: actor.scope.clone(),
        device: Some(id.clone()),
        prefix: None,
    };
    let (events, stream) = events::shown(core, &filter).await?;
    let kept = core.logs.kept(&id).await?;
    let last_logs = logs::last(core, &id, actor.scope).await?;
    let ssh = SshSwitch::said(&twin, core.clock.now());
    let row = DeviceRow::new(&device, &core.sessions);
    let sessions = sessions(core, &id);
    let body = html! {
        h1 { (id) }
        (live(&stream))
        dl data-part="device" {
            dt { "Site" } dd { (site.title) " (" (site.id) ")" }
            @if site.revoked.is_some() {
                dt { "Site's state" } dd.bad { "revoked" }
            }
            dt { "State" } dd data-cell="state" { (row.state) }
            dt { "Connection" } dd data-cell="connection" { (row.connection) }
            dt { "Last seen" } dd data-cell="seen" { (moment(device.seen)) }
            dt { "Policy" } dd data-cell="policy" { (device.policy) }
            dt { "Logs" } dd { (logs::told(&kept)) }
            @if let Some(ssh) = &ssh {
                dt { "SSH" } dd data-cell="ssh" { (switched(ssh)) }
            }
            dt { "Since" } dd { (moment(Some(device.created))) }
        }
        h2 { "Last events" }
        (events)
        h2 { "Last logs" }
        (last_logs)
        h2 { "Twin" }
        div.halves { @for half in HalfShown::of(&twin) { (half) } }
        h2 { "Last commands" }
        (table("commands", CommandRow::COLUMNS, commands.map(|one| one.cells()), "None."))
        h2 { "Sessions" }
        (table("sessions", SessionRow::COLUMNS, sessions.iter().map(SessionRow::cells), "None."))
        h2 { "Credentials" }
        (credentials_table(&credentials))
    };
    Ok(full(id.as_str(), Place::Device, &visit, &body))
}

/// How a device's SSH is, as it has said last.
fn switched(ssh: &SshSwitch) -> Markup {
    match ssh.until.filter(|_| ssh.on) {
        Some(until) => html! { span.bad { "on" } " until " (moment(Some(until))) },
        None => html! { "off" },
    }
}

/// A device's last commands, as many as are shown.
pub(super) async fn commands(
    core: &Core,
    actor: &Actor,
    device: &DeviceId,
) -> Result<Vec<Command>, Refusal> {
    let page = Page {
        after: None,
        limit: COMMANDS,
    };
    Ok(core.commands.list(actor, device, &page).await?.items)
}

/// A device's live sessions, as many as are shown.
pub(super) fn sessions(core: &Core, device: &DeviceId) -> Vec<SessionRow> {
    let present = core.sessions.present(&Selector::Device(device.clone()));
    let shown = present.iter().take(SESSIONS);
    shown.map(SessionRow::new).collect()
}

fn credentials_table(credentials: &[Credential]) -> Markup {
    let columns = [
        ("credential", "Credential"),
        ("kind", "Kind"),
        ("label", "Label"),
        ("state", "State"),
        ("used", "Last shown"),
        ("expires", "Ends"),
    ];
    let rows = credentials.iter().map(|one| {
        [
            one.id.to_string().render(),
            kind(one.kind).render(),
            one.label.render(),
            credential_state(one.state).render(),
            moment(one.used),
            moment(one.expires),
        ]
    });
    table("credentials", columns, rows, "None.")
}

fn kind(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::SymmetricKey => "symmetric key",
        CredentialKind::Thumbprint => "thumbprint",
        CredentialKind::Certificate => "certificate",
        CredentialKind::Token => "token",
        CredentialKind::PublicKey => "public key",
    }
}

fn credential_state(state: CredentialState) -> &'static str {
    match state {
        CredentialState::AwaitsApproval => "awaits approval",
        CredentialState::Pending => "pending",
        CredentialState::Active => "active",
        CredentialState::Retiring => "retiring",
        CredentialState::Revoked => "revoked",
    }
}
