//! One device: who it is, what it is wanted to be, and what it says.

use std::sync::Arc;

use axum::extract::{Path, State};
use maud::{Markup, html};
use outgate_core::Timestamp;
use outgate_core::commands::{Command, CommandState};
use outgate_core::events::EventFilter;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Credential, CredentialKind, CredentialState, DeviceState, Page};
use outgate_core::sessions::{Presence, Selector};
use outgate_core::twin::{Half, Twin};

use super::page::{Place, full};
use super::preview::preview;
use super::trouble::Trouble;
use super::visits::Visit;
use super::{Console, events};

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
    let page = Page {
        after: None,
        limit: COMMANDS,
    };
    let commands = core.commands.list(&actor, &id, &page).await?;
    let filter = EventFilter {
        scope: actor.scope,
        device: Some(id.clone()),
        prefix: None,
    };
    let events = events::shown(core, &filter).await?;
    let sessions = core.sessions.present(&Selector::Device(id.clone()));
    let body = html! {
        h1 { (id) }
        dl {
            dt { "Site" } dd { (site.title) " (" (site.id) ")" }
            @if site.revoked.is_some() {
                dt { "Site's state" } dd.bad { "revoked" }
            }
            dt { "State" } dd { (state(device.state)) }
            dt { "Connection" } dd { (presence(!sessions.is_empty())) }
            dt { "Last seen" } dd { (moment(device.seen)) }
            dt { "Policy" } dd { (device.policy) }
            dt { "Since" } dd { (moment(Some(device.created))) }
        }
        h2 { "Last events" }
        (events)
        h2 { "Twin" }
        (halves(&twin))
        h2 { "Last commands" }
        (commands_table(&commands.items))
        h2 { "Sessions" }
        (sessions_table(&sessions))
        h2 { "Credentials" }
        (credentials_table(&credentials))
    };
    Ok(full(id.as_str(), Place::Device, &visit, &body))
}

/// A link to a device's page. What names may hold needs no quoting in a path.
pub(super) fn link(id: &DeviceId) -> Markup {
    html! { a href={ "/console/device/" (id) } { (id) } }
}

/// Whether a device may come in.
pub(super) fn state(state: DeviceState) -> Markup {
    match state {
        DeviceState::Active => html! { span.good { "active" } },
        DeviceState::AwaitsApproval => html! { span.waits { "awaits approval" } },
        DeviceState::Revoked => html! { span.bad { "revoked" } },
    }
}

/// Whether a device is there.
pub(super) fn presence(present: bool) -> Markup {
    if present {
        html! { span.good { "connected" } }
    } else {
        html! { "not connected" }
    }
}

/// A moment, or that there was none.
pub(super) fn moment(at: Option<Timestamp>) -> Markup {
    match at {
        Some(at) => html! { time datetime=(at) { (at) } },
        None => html! { "never" },
    }
}

fn halves(twin: &Twin) -> Markup {
    let half = |title: &str, half: &Half| {
        let text = serde_json::to_string_pretty(&half.document).unwrap_or_default();
        html! {
            section {
                h3 { (title) ", version " (half.version) }
                pre tabindex="0" aria-label=(title) { (text) }
            }
        }
    };
    html! {
        div.halves {
            (half("Desired", &twin.desired))
            (half("Reported", &twin.reported))
        }
    }
}

fn commands_table(commands: &[Command]) -> Markup {
    html! {
        @if commands.is_empty() {
            p.empty { "None." }
        } @else {
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { "Sent" }
                            th scope="col" { "Command" }
                            th scope="col" { "State" }
                            th scope="col" { "Expires" }
                            th scope="col" { "Payload" }
                        }
                    }
                    tbody {
                        @for one in commands {
                            tr {
                                td { (moment(Some(one.created))) }
                                td { (one.name) }
                                td { (command_state(one.state)) }
                                td { (moment(Some(one.expires))) }
                                td.payload { (preview(&one.payload)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn command_state(state: CommandState) -> &'static str {
    match state {
        CommandState::Queued => "queued",
        CommandState::Delivered => "delivered",
        CommandState::Completed => "completed",
        CommandState::Rejected => "rejected",
        CommandState::Expired => "expired",
        CommandState::Cancelled => "cancelled",
    }
}

fn sessions_table(sessions: &[Presence]) -> Markup {
    html! {
        @if sessions.is_empty() {
            p.empty { "None." }
        } @else {
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { "Since" }
                            th scope="col" { "Over" }
                            th scope="col" { "From" }
                            th scope="col" { "Credential" }
                        }
                    }
                    tbody {
                        @for one in sessions.iter().take(SESSIONS) {
                            tr {
                                td { (moment(Some(one.since))) }
                                td { (one.via) }
                                td { (one.peer) }
                                td { (one.credential) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn credentials_table(credentials: &[Credential]) -> Markup {
    html! {
        @if credentials.is_empty() {
            p.empty { "None." }
        } @else {
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { "Credential" }
                            th scope="col" { "Kind" }
                            th scope="col" { "Label" }
                            th scope="col" { "State" }
                            th scope="col" { "Last shown" }
                            th scope="col" { "Ends" }
                        }
                    }
                    tbody {
                        @for one in credentials {
                            tr {
                                td { (one.id) }
                                td { (kind(one.kind)) }
                                td { (one.label) }
                                td { (credential_state(one.state)) }
                                td { (moment(one.used)) }
                                td { (moment(one.expires)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn kind(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::SymmetricKey => "symmetric key",
        CredentialKind::Thumbprint => "thumbprint",
        CredentialKind::Certificate => "certificate",
        CredentialKind::Token => "token",
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
