//! What is told of a device, its sessions, twin and commands: as a page shows it, and as it comes live
//! for the script to show it the same.

use maud::{Markup, Render, html};
use outgate_core::Timestamp;
use outgate_core::commands::{Command, CommandState};
use outgate_core::identity::{Device, DeviceState};
use outgate_core::sessions::{Presence, Sessions};
use outgate_core::twin::{Half, Twin};
use serde::Serialize;

use super::preview::preview;
use super::table::Column;

/// A word, and the class that it is shown in.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Word {
    text: &'static str,
    class: &'static str,
}

/// A device in a list.
#[derive(Debug, Serialize)]
pub(super) struct DeviceRow {
    device: String,
    site: String,
    pub(super) state: Word,
    pub(super) connection: Word,
    seen: Option<Timestamp>,
    policy: String,
}

/// One of a device's sessions.
#[derive(Debug, Serialize)]
pub(super) struct SessionRow {
    since: Timestamp,
    via: &'static str,
    peer: String,
    credential: String,
}

/// One of a device's commands.
#[derive(Debug, Serialize)]
pub(super) struct CommandRow {
    sent: Timestamp,
    command: String,
    state: &'static str,
    expires: Timestamp,
    payload: String,
}

/// One half of a device's twin.
#[derive(Debug, Serialize)]
pub(super) struct HalfShown {
    /// By which the script finds its place.
    part: &'static str,
    version: u64,
    document: String,
}

impl DeviceRow {
    /// What its cells are.
    pub(super) const COLUMNS: [Column; 6] = [
        ("device", "Device"),
        ("site", "Site"),
        ("state", "State"),
        ("connection", "Connection"),
        ("seen", "Last seen"),
        ("policy", "Policy"),
    ];

    /// A device as it is now.
    pub(super) fn new(device: &Device, sessions: &Sessions) -> Self {
        Self {
            device: device.id.to_string(),
            site: device.site.to_string(),
            state: state(device.state),
            connection: connection(sessions.is_present(&device.id)),
            seen: device.seen,
            policy: device.policy.clone(),
        }
    }

    /// Its cells.
    pub(super) fn cells(&self) -> [Markup; 6] {
        [
            link(&self.device),
            self.site.render(),
            self.state.render(),
            self.connection.render(),
            moment(self.seen),
            self.policy.render(),
        ]
    }
}

impl SessionRow {
    /// What its cells are.
    pub(super) const COLUMNS: [Column; 4] = [
        ("since", "Since"),
        ("via", "Over"),
        ("peer", "From"),
        ("credential", "Credential"),
    ];

    /// A live session.
    pub(super) fn new(presence: &Presence) -> Self {
        Self {
            since: presence.since,
            via: presence.via,
            peer: presence.peer.to_string(),
            credential: presence.credential.to_string(),
        }
    }

    /// Its cells.
    pub(super) fn cells(&self) -> [Markup; 4] {
        [
            moment(Some(self.since)),
            self.via.render(),
            self.peer.render(),
            self.credential.render(),
        ]
    }
}

impl CommandRow {
    /// What its cells are.
    pub(super) const COLUMNS: [Column; 5] = [
        ("sent", "Sent"),
        ("command", "Command"),
        ("state", "State"),
        ("expires", "Expires"),
        ("payload", "Payload"),
    ];

    /// A command as it is now.
    pub(super) fn new(command: &Command) -> Self {
        Self {
            sent: command.created,
            command: command.name.clone(),
            state: command_state(command.state),
            expires: command.expires,
            payload: preview(&command.payload),
        }
    }

    /// Its cells.
    pub(super) fn cells(&self) -> [Markup; 5] {
        [
            moment(Some(self.sent)),
            self.command.render(),
            self.state.render(),
            moment(Some(self.expires)),
            self.payload.render(),
        ]
    }
}

impl HalfShown {
    /// Both halves of a twin: what is desired, and what is reported.
    pub(super) fn of(twin: &Twin) -> [Self; 2] {
        let shown = |part, half: &Half| Self {
            part,
            version: half.version,
            document: serde_json::to_string_pretty(&half.document).unwrap_or_default(),
        };
        [
            shown("desired", &twin.desired),
            shown("reported", &twin.reported),
        ]
    }
}

impl Render for HalfShown {
    fn render(&self) -> Markup {
        let title = match self.part {
            "desired" => "Desired",
            _ => "Reported",
        };
        html! {
            section data-part=(self.part) {
                h3 { (title) ", version " span data-cell="version" { (self.version) } }
                pre tabindex="0" aria-label=(title) { (self.document) }
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

impl Render for Word {
    fn render(&self) -> Markup {
        html! { span class=(self.class) { (self.text) } }
    }
}

/// A link to a device's page. What names may hold needs no quoting in a path.
pub(super) fn link(device: &str) -> Markup {
    html! { a href={ "/console/device/" (device) } { (device) } }
}

/// A moment to the second, as people read it, or that there was none.
pub(super) fn moment(at: Option<Timestamp>) -> Markup {
    let Some(at) = at.map(|at| at.to_string()) else {
        return html! { "never" };
    };
    let shown = match at.split_once('T') {
        Some((day, time)) => format!("{day} {}", &time[..time.len().min(8)]),
        None => at.clone(),
    };
    html! { time datetime=(at) { (shown) " UTC" } }
}

fn state(state: DeviceState) -> Word {
    let (text, class) = match state {
        DeviceState::Active => ("active", "good"),
        DeviceState::AwaitsApproval => ("awaits approval", "waits"),
        DeviceState::Revoked => ("revoked", "bad"),
    };
    Word { text, class }
}

fn connection(present: bool) -> Word {
    let (text, class) = match present {
        true => ("connected", "good"),
        false => ("not connected", "quiet"),
    };
    Word { text, class }
}
