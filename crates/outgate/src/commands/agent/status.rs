//! `outgate agent status`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use outgate_agent::clock::WRONG;
use serde_json::Value;

use super::{Place, local};
use crate::answer::{properties, versioned, wait};
use crate::output::{Failure, print};

/// `outgate agent status`: how the agent on this machine is.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 the device is connected, 2 bad input, 3 the agent does not answer,
            4 it is not connected"
)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let config = self.place.read()?;
        let status = wait(local::status(&config))?;
        if self.json {
            print(&format!("{:#}\n", versioned("agent", &status)?))?;
        } else {
            print(&lines(&status))?;
        }
        let connected = text(&status, "/link/state") == "connected";
        Ok(ExitCode::from(if connected { 0 } else { 4 }))
    }
}

fn lines(status: &Value) -> String {
    let mut pairs = vec![
        ("version", text(status, "/version")),
        ("hub", text(status, "/link/hub")),
        ("link", text(status, "/link/state")),
        ("since", text(status, "/link/since")),
        ("clock", clock(status)),
        ("waiting", text(status, "/queue/entries")),
        ("dropped", text(status, "/queue/dropped")),
    ];
    if let Some(product) = status.pointer("/product").and_then(Value::as_str) {
        pairs.insert(0, ("product", product.to_owned()));
    }
    if let Some(ssh) = status.pointer("/ssh").filter(|ssh| !ssh.is_null()) {
        pairs.push(("ssh", switched(ssh)));
    }
    let rungs = status.pointer("/link/ladder").and_then(Value::as_array);
    for rung in rungs.into_iter().flatten() {
        let reason = rung.get("reason").and_then(Value::as_str);
        let reason = reason
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        let (transport, state) = (text(rung, "/transport"), text(rung, "/state"));
        pairs.push(("rung", format!("{transport} {state}{reason}")));
    }
    let asked = status.pointer("/clock/asked").and_then(Value::as_array);
    for source in asked.into_iter().flatten() {
        let refused = source.get("refused").and_then(Value::as_array);
        for why in refused.into_iter().flatten().filter_map(Value::as_str) {
            pairs.push(("no time", format!("{} {why}", text(source, "/source"))));
        }
    }
    let places = status.pointer("/page/places").and_then(Value::as_array);
    for place in places.into_iter().flatten() {
        let trouble = place.get("trouble").and_then(Value::as_str);
        let text = trouble.map_or_else(|| text(place, "/address"), str::to_owned);
        pairs.push(("page", format!("{} {text}", self::text(place, "/page"))));
    }
    pairs.extend(on_site(status));
    pairs.extend(neighbours(status));
    let troubles = status.pointer("/troubles").and_then(Value::as_array);
    for trouble in troubles.into_iter().flatten().take(5) {
        let (at, part) = (text(trouble, "/at"), text(trouble, "/part"));
        pairs.push((
            "trouble",
            format!("{at} {part}: {}", text(trouble, "/text")),
        ));
    }
    properties(pairs)
}

/// Who has told the time, and what that says of the machine's own clock.
fn clock(status: &Value) -> String {
    let Some(offset) = offset(status) else {
        return format!(
            "nobody has told the time; not before {}",
            text(status, "/clock/not_before")
        );
    };
    let source = text(status, "/clock/source");
    format!("told by {source}; the machine's own is {}", side(offset))
}

/// What a check from here should be read with, if the agent knows that the machine's clock is wrong.
pub(super) fn clock_wrong(status: &Value) -> Option<String> {
    let offset = offset(status)?;
    if Duration::from_millis(offset.unsigned_abs()) <= WRONG {
        return None;
    }
    let (side, source) = (side(offset), text(status, "/clock/source"));
    Some(format!(
        "this machine's clock is {side}, says the agent by {source}; the agent goes by the right \
         time, this check by the machine's, as other programs do"
    ))
}

fn offset(status: &Value) -> Option<i64> {
    let offset = status.pointer("/clock/offset_millis");
    offset.and_then(Value::as_i64)
}

/// Which side of the right time the machine's clock is on.
fn side(offset_millis: i64) -> String {
    let seconds = Duration::from_millis(offset_millis.unsigned_abs()).as_secs_f64();
    let side = if offset_millis < 0 { "ahead" } else { "behind" };
    format!("{seconds:.3} s {side}")
}

/// What the device is to whoever is on its networks.
fn on_site(status: &Value) -> Vec<(&'static str, String)> {
    let mut pairs = Vec::new();
    let names = status.pointer("/network/names").and_then(Value::as_array);
    for name in names.into_iter().flatten().filter_map(Value::as_str) {
        pairs.push(("name", name.to_owned()));
    }
    for (way, place) in [
        ("mDNS", "/network/naming/mdns"),
        ("LLMNR", "/network/naming/llmnr"),
    ] {
        let claim = text(status, place);
        if matches!(claim.as_str(), "renamed" | "taken" | "failed") {
            let wanted = text(status, "/network/naming/wanted");
            pairs.push(("name", format!("{wanted} is {claim} in {way}")));
        }
    }
    let rate = text(status, "/network/ping/rate");
    match text(status, "/network/ping/limit").as_str() {
        "on" => pairs.push(("pings", format!("at most {rate}"))),
        "failed" => {
            let reason = text(status, "/network/ping/reason");
            pairs.push(("pings", format!("not bounded to {rate}: {reason}")));
        }
        _ => {}
    }
    pairs
}

/// How the device is among the others of its site, if it is one of several.
fn neighbours(status: &Value) -> Vec<(&'static str, String)> {
    let Some(column) = status.pointer("/neighbours").filter(|it| !it.is_null()) else {
        return Vec::new();
    };
    if text(column, "/site") == "-" {
        let waits = "the hub has not told yet who they are";
        return vec![("neighbours", waits.to_owned())];
    }
    let names = |place: &str| {
        let names = column.pointer(place).and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    let or_nobody = |names: String| match names.is_empty() {
        true => "nobody".to_owned(),
        false => names,
    };
    let mut pairs = vec![
        ("site", text(column, "/site")),
        ("known as", text(column, "/name")),
        ("neighbours", or_nobody(names("/members"))),
        ("there", or_nobody(names("/there"))),
        ("coordinator", text(column, "/coordinator")),
    ];
    if let Some(through) = column.pointer("/through").and_then(Value::as_str) {
        pairs.push(("reaches the hub", format!("through {through}")));
    }
    let refused = column.pointer("/refused").and_then(Value::as_object);
    for (why, count) in refused.into_iter().flatten() {
        pairs.push(("refused", format!("{count}: {why}")));
    }
    let forked = names("/forked");
    if !forked.is_empty() {
        pairs.push(("to be enrolled anew", forked));
    }
    pairs
}

/// How the SSH switch is.
fn switched(ssh: &Value) -> String {
    let state = text(ssh, "/state");
    match state.as_str() {
        "on" => format!(
            "on until {}, by {}, connections: {}",
            text(ssh, "/until"),
            text(ssh, "/by"),
            text(ssh, "/connections")
        ),
        _ => state,
    }
}

/// What stands there, as text; `-` when nothing does.
fn text(of: &Value, place: &str) -> String {
    match of.pointer(place) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            other.to_string()
        }
    }
}
