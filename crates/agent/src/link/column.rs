//! The link's column of the board.

use std::collections::HashMap;
use std::time::Instant;

use outgate_check::CauseKind;
use outgate_signalr_client::Transport;
use time::OffsetDateTime;

use super::climb::Ended;
use super::driver::Plan;
use super::{Doing, Link};
use crate::clock::Keeper;
use crate::status::{LinkState, Rung, RungState, Trouble};

/// Writes how the link is, and why transports failed here.
pub(super) fn write(plan: &Plan, link: &Link, reasons: &HashMap<Transport, String>, now: Instant) {
    let doing = link.doing();
    let in_use = match doing {
        Doing::Standing { transport, .. } => Some(transport),
        Doing::Idle | Doing::Dialling | Doing::Waiting { .. } => None,
    };
    let failed: Vec<Transport> = link.failed(now).map(|(transport, _)| transport).collect();
    let rung = |transport: &Transport| {
        let state = match in_use {
            Some(in_use) if in_use == *transport => RungState::InUse,
            _ if failed.contains(transport) => RungState::Failed,
            Some(_) | None if link.has_held(*transport) => RungState::Worked,
            Some(_) | None => RungState::Untried,
        };
        Rung {
            transport: transport.as_str().to_owned(),
            state,
            reason: match state {
                RungState::Failed => reasons.get(transport).cloned(),
                RungState::InUse | RungState::Worked | RungState::Untried => None,
            },
        }
    };
    plan.board.write(|status| {
        let state = state(doing);
        let column = &mut status.link;
        if column.state != state {
            column.state = state;
            let clock = plan.clock.as_ref().filter(|_| status.clock.trusted);
            column.since = clock.map(Keeper::time);
        }
        column.hub.clone_from(&plan.hub);
        column.ladder = plan.settings.transports.iter().map(rung).collect();
        column.heartbeat_seconds = Some(link.silence().as_secs().max(1));
    });
}

/// What the board calls what the link is doing.
fn state(doing: Doing) -> LinkState {
    match doing {
        Doing::Idle => LinkState::Idle,
        Doing::Dialling => LinkState::Connecting,
        Doing::Standing { .. } => LinkState::Connected,
        Doing::Waiting { refused: true, .. } => LinkState::Refused,
        Doing::Waiting { refused: false, .. } => LinkState::Waiting,
    }
}

/// The key of a kind of cause, as a check tells it.
fn key(kind: CauseKind) -> String {
    let key = serde_json::to_value(kind).ok();
    key.and_then(|key| key.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Notes why there is no connection.
pub(super) fn trouble(plan: &Plan, ended: &Ended) {
    let clock = plan.clock.as_ref();
    let (cause, clocks) = clock.and_then(Keeper::cause).unzip();
    plan.board.trouble(Trouble {
        at: clock.map_or_else(OffsetDateTime::now_utc, Keeper::time),
        part: "link",
        text: format!("{}{}", ended.why, clocks.unwrap_or_default()),
        cause: cause.map(str::to_owned).or_else(|| ended.cause.map(key)),
    });
}
