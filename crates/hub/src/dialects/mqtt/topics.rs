//! The plain topics of a device, and whose they are.
//!
//! | topic | who | what |
//! |---|---|---|
//! | `devices/{device}/events/{name…}` | device publishes | an event; `name` may have slashes or be left out |
//! | `devices/{device}/commands/{command}/{name…}` | hub publishes, QoS 1 | a command; acknowledging it settles it |
//! | `devices/{device}/calls/{call}/{method}` | hub publishes | a call; MQTT 5 has the response topic and the correlation data |
//! | `devices/{device}/answers/{call}` | device publishes | its answer; user property `status`, 200 without |
//! | `devices/{device}/answers/{call}/{status}` | device publishes | its answer, without MQTT 5 |
//! | `devices/{device}/twin/get` | device publishes, empty | asks for its twin |
//! | `devices/{device}/twin/document` | hub publishes | the twin |
//! | `devices/{device}/twin/reported` | device publishes | a merge patch (RFC 7396) of the reported half |
//! | `devices/{device}/twin/result` | hub publishes | what came of it |
//! | `devices/{device}/twin/desired` | hub publishes | the desired half, on subscribing and on each change |
//! | `events/{site}/{device}/{name…}` | hub publishes to services | the events |
//!
//! Nobody else publishes there, whatever their policy says; nor where devices of Azure IoT Hub are
//! spoken to: `devices/{device}/messages/events`, `…/messages/devicebound` and `…/modules`.

use outgate_core::id::{CallId, DeviceId};

/// The part of a twin's topics with all of it.
pub(super) const DOCUMENT: &str = "document";

/// The part of a twin's topics with the desired half.
pub(super) const DESIRED: &str = "desired";

/// The part of a twin's topics with what came of a report.
pub(super) const RESULT: &str = "result";

/// The first level of a device's topics.
const DEVICES: &str = "devices";

/// The first level of what services see.
const EVENTS: &str = "events";

/// What a publish of a device means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// An event of this name.
    Event(&'a str),
    /// The answer to a call, and its status if the topic says one.
    Answer(CallId, Option<i32>),
    /// It asks for its twin.
    TwinGet,
    /// A patch of the reported half of its twin.
    Reported,
    /// A message between devices, for the policy to allow.
    Message,
    /// Nothing that a device may publish: the hub's own, or another device's.
    Refused,
}

/// What it means that `device` publishes to `topic`.
pub(super) fn meaning<'a>(topic: &'a str, device: &DeviceId) -> Meaning<'a> {
    if topic.starts_with('$') {
        return Meaning::Refused;
    }
    if topic.split('/').next() == Some(EVENTS) {
        return Meaning::Refused;
    }
    let Some((owner, part, rest)) = parts(topic) else {
        return Meaning::Message;
    };
    if is_azures(part, rest) {
        return Meaning::Refused;
    }
    if !is_the_hubs(part) {
        return Meaning::Message;
    }
    if owner != device.as_str() {
        return Meaning::Refused;
    }
    match (part, rest) {
        ("events", name) => Meaning::Event(name.unwrap_or_default()),
        ("answers", Some(rest)) => answer(rest).unwrap_or(Meaning::Refused),
        ("twin", Some("get")) => Meaning::TwinGet,
        ("twin", Some("reported")) => Meaning::Reported,
        _ => Meaning::Refused,
    }
}

/// Device, part and rest of a topic below `devices`.
fn parts(topic: &str) -> Option<(&str, &str, Option<&str>)> {
    let below = topic.strip_prefix(DEVICES)?.strip_prefix('/')?;
    let (owner, rest) = below.split_once('/')?;
    match rest.split_once('/') {
        Some((part, rest)) => Some((owner, part, Some(rest))),
        None => Some((owner, rest, None)),
    }
}

fn is_the_hubs(part: &str) -> bool {
    matches!(part, "events" | "commands" | "calls" | "answers" | "twin")
}

/// Whether devices of Azure's are spoken to there: what others publish must not look like it.
fn is_azures(part: &str, rest: Option<&str>) -> bool {
    let first = rest.and_then(|rest| rest.split('/').next());
    match part {
        "messages" => matches!(first, Some("events" | "devicebound")),
        "modules" => true,
        _ => false,
    }
}

fn answer(rest: &str) -> Option<Meaning<'_>> {
    let (call, status) = match rest.split_once('/') {
        Some((call, status)) => (call, Some(status.parse().ok()?)),
        None => (rest, None),
    };
    Some(Meaning::Answer(call.parse().ok()?, status))
}

/// Where a device's events come from, as services see them.
pub(super) fn event(site: &str, device: &str, name: &str) -> String {
    if name.is_empty() {
        format!("events/{site}/{device}")
    } else {
        format!("events/{site}/{device}/{name}")
    }
}

/// Where a command is published.
pub(super) fn command(device: &DeviceId, command: &str, name: &str) -> String {
    format!("devices/{device}/commands/{command}/{name}")
}

/// Where a call is published.
pub(super) fn call(device: &DeviceId, call: &str, method: &str) -> String {
    format!("devices/{device}/calls/{call}/{method}")
}

/// Where the answer to a call is expected.
pub(super) fn answers(device: &DeviceId, call: &str) -> String {
    format!("devices/{device}/answers/{call}")
}

/// A topic of a device's twin.
pub(super) fn twin(device: &DeviceId, part: &str) -> String {
    format!("devices/{device}/twin/{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_publishes_means_what_its_topic_says() {
        let device: DeviceId = "d".parse().unwrap();
        let call = |id: &str, status| Meaning::Answer(id.parse().unwrap(), status);
        for (topic, expected) in [
            ("devices/d/events", Meaning::Event("")),
            ("devices/d/events/", Meaning::Event("")),
            (
                "devices/d/events/door/opened",
                Meaning::Event("door/opened"),
            ),
            ("devices/d/answers/ca-1", call("ca-1", None)),
            ("devices/d/answers/ca-1/404", call("ca-1", Some(404))),
            ("devices/d/answers/ca-1/x", Meaning::Refused),
            ("devices/d/answers/", Meaning::Refused),
            ("devices/d/twin/get", Meaning::TwinGet),
            ("devices/d/twin/reported", Meaning::Reported),
            ("devices/d/twin/desired", Meaning::Refused),
            ("devices/d/commands/x/y", Meaning::Refused),
            ("devices/d/calls", Meaning::Refused),
            ("devices/e/events/x", Meaning::Refused),
            ("devices/e/commands/x/y", Meaning::Refused),
            ("$SYS/x", Meaning::Refused),
            ("events/s/e/x", Meaning::Refused),
            ("events", Meaning::Refused),
            ("eventsx/s", Meaning::Message),
            ("devices/d/messages/devicebound/a=b", Meaning::Refused),
            ("devices/d/messages/events/", Meaning::Refused),
            ("devices/d/modules/m/messages/devicebound", Meaning::Refused),
            ("devices/d/messages/x", Meaning::Message),
            ("devices/d/notes/x", Meaning::Message),
            ("devices/e/notes", Meaning::Message),
            ("devices/d", Meaning::Message),
            ("devices", Meaning::Message),
            ("site/lights", Meaning::Message),
            ("devicesx/d/events", Meaning::Message),
        ] {
            assert_eq!(meaning(topic, &device), expected, "{topic}");
        }
    }
}
