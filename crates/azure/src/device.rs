//! What devices of IoT Hub say over MQTT: who they are, and what their topics mean.

use std::fmt;

use crate::bag::{Bag, BagError};

/// The most bytes of what a device calls a request by (`$rid`).
pub const REQUEST_MAX_BYTES: usize = 256;

/// The most bytes of a message's payload and of what is said of it.
pub const MESSAGE_MAX_BYTES: usize = 262_144;

/// The path at which the hub speaks MQTT over WebSocket.
pub const WEBSOCKET: &str = "/$iothub/websocket";

/// What a message from the cloud is called where it needs a name, as among commands.
pub const DEVICEBOUND: &str = "devicebound";

/// A device, or a module on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// The device.
    pub device: &'a str,
    /// The module, if it is one.
    pub module: Option<&'a str>,
}

/// Who connects, as the user name of a CONNECT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserName<'a> {
    /// The name of the hub, which need not be the one that was connected to.
    pub hub: &'a str,
    /// Who.
    pub endpoint: Endpoint<'a>,
    /// What follows, as `api-version=2021-04-12&DeviceClientType=…`; may be empty.
    pub query: &'a str,
}

/// What a device publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published<'a> {
    /// A message to the cloud, with these properties.
    Message(Bag),
    /// The answer to a call of a method.
    Answer {
        /// The device's own status.
        status: i32,
        /// Which call.
        request: &'a str,
    },
    /// It asks for its twin.
    TwinGet {
        /// By which it knows the answer.
        request: &'a str,
    },
    /// A patch of what its twin says it is.
    Reported {
        /// By which it knows the answer.
        request: &'a str,
    },
}

impl<'a> UserName<'a> {
    /// Reads a user name: `HUB/DEVICE[/MODULE]/?api-version=…`, without the question mark as older
    /// clients have it, or `HUB/DEVICE[/MODULE]` alone. `None` for any other.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (hub, mut rest) = text.split_once('/')?;
        let mut query = "";
        if let Some((before, after)) = rest.split_once("/?") {
            (rest, query) = (before, after);
        } else if let Some((before, after)) = rest.rsplit_once('/')
            && (after.is_empty() || after.starts_with("api-version="))
        {
            (rest, query) = (before, after);
        }
        let (device, module) = match rest.split_once('/') {
            Some((device, module)) => (device, Some(module)),
            None => (rest, None),
        };
        let is_name = |name: &str| !name.is_empty() && !name.contains(['/', '?']);
        if !is_name(hub) || !is_name(device) || !module.is_none_or(is_name) {
            return None;
        }
        if device == "registrations" && module.is_some() {
            // The provisioning service's: `SCOPE/registrations/REGISTRATION`.
            return None;
        }
        Some(Self {
            hub,
            endpoint: Endpoint { device, module },
            query,
        })
    }
}

impl Endpoint<'_> {
    /// What it calls itself in a CONNECT: `DEVICE` or `DEVICE/MODULE`.
    #[must_use]
    pub fn client_id(&self) -> String {
        match self.module {
            Some(module) => format!("{}/{module}", self.device),
            None => self.device.to_owned(),
        }
    }

    /// What its tokens are for, below the name of the hub.
    #[must_use]
    pub fn resource(&self) -> Vec<&str> {
        match self.module {
            Some(module) => vec!["devices", self.device, "modules", module],
            None => vec!["devices", self.device],
        }
    }

    /// What it publishes by `topic`; `None` for what it may not.
    ///
    /// # Errors
    /// [`BagError`] for a message whose properties cannot be read.
    pub fn published<'t>(&self, topic: &'t str) -> Result<Option<Published<'t>>, BagError> {
        if let Some(rest) = topic.strip_prefix("$iothub/") {
            return Ok(of_the_hub(rest));
        }
        let rest = topic.strip_prefix(&self.to_string());
        let bag = match rest.and_then(|rest| rest.strip_prefix("/messages/events")) {
            Some("") => "",
            Some(bag) => match bag.strip_prefix('/') {
                Some(bag) if !bag.trim_end_matches('/').contains('/') => bag.trim_end_matches('/'),
                Some(_) | None => return Ok(None),
            },
            None => return Ok(None),
        };
        let bag = bag.strip_prefix('?').unwrap_or(bag);
        Bag::parse(bag).map(|bag| Some(Published::Message(bag)))
    }

    /// What it may subscribe to, each with all that lies in it.
    #[must_use]
    pub fn filters(&self) -> Vec<String> {
        vec![
            format!("{self}/messages/devicebound/#"),
            METHODS.to_owned() + "#",
            TWIN_RESULTS.to_owned() + "#",
            DESIRED.to_owned() + "#",
        ]
    }

    /// Where messages from the cloud come, with these properties.
    #[must_use]
    pub fn devicebound(&self, bag: &Bag) -> String {
        format!("{self}/messages/devicebound/{bag}")
    }
}

impl fmt::Display for Endpoint<'_> {
    /// Where its topics begin.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "devices/{}", self.device)?;
        match self.module {
            Some(module) => write!(f, "/modules/{module}"),
            None => Ok(()),
        }
    }
}

/// Where methods are called.
const METHODS: &str = "$iothub/methods/POST/";

/// Where it is told what came of asking for its twin or changing it.
const TWIN_RESULTS: &str = "$iothub/twin/res/";

/// Where changes of what it is wanted to be come.
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/";

/// Where a method is called; the device answers with `request`.
#[must_use]
pub fn method(name: &str, request: &str) -> String {
    format!("{METHODS}{name}/?$rid={request}")
}

/// Where a device is told what came of its request: a status as of HTTP, and the version of what it
/// has reported if it did.
#[must_use]
pub fn twin_result(status: u16, request: &str, version: Option<u64>) -> String {
    match version {
        Some(version) => format!("{TWIN_RESULTS}{status}/?$rid={request}&$version={version}"),
        None => format!("{TWIN_RESULTS}{status}/?$rid={request}"),
    }
}

/// Where a change of what a device is wanted to be comes, which makes it of this version.
#[must_use]
pub fn desired(version: u64) -> String {
    format!("{DESIRED}?$version={version}")
}

fn of_the_hub(topic: &str) -> Option<Published<'_>> {
    let (path, query) = topic.split_once("/?")?;
    let request = request(query)?;
    match path {
        "twin/GET" => Some(Published::TwinGet { request }),
        "twin/PATCH/properties/reported" => Some(Published::Reported { request }),
        _ => {
            let status = path.strip_prefix("methods/res/")?.parse().ok()?;
            Some(Published::Answer { status, request })
        }
    }
}

/// By what a request is known, as it was sent: it is sent back so.
fn request(query: &str) -> Option<&str> {
    let mut pairs = query.split('&');
    let request = pairs.find_map(|pair| pair.strip_prefix("$rid="))?;
    let fits = !request.is_empty() && request.len() <= REQUEST_MAX_BYTES;
    (fits && !request.contains(['/', '?'])).then_some(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TILL: Endpoint<'_> = Endpoint {
        device: "till-1",
        module: None,
    };
    const SCANNER: Endpoint<'_> = Endpoint {
        device: "till-1",
        module: Some("scanner"),
    };

    #[test]
    fn user_names_of_all_ages_say_who_connects() {
        let query = "api-version=2019-10-01&DeviceClientType=azure-iot-device%2F2.14";
        for (text, endpoint, rest) in [
            (format!("h.example/till-1/?{query}"), TILL, query),
            (format!("h.example/till-1/{query}"), TILL, query),
            (format!("h.example/till-1/scanner/?{query}"), SCANNER, query),
            (format!("h.example/till-1/scanner/{query}"), SCANNER, query),
            ("h.example/till-1".to_owned(), TILL, ""),
            ("h.example/till-1/".to_owned(), TILL, ""),
            ("h.example/till-1/scanner".to_owned(), SCANNER, ""),
        ] {
            let read = UserName::parse(&text).unwrap();
            assert_eq!(
                (read.hub, read.endpoint, read.query),
                ("h.example", endpoint, rest),
                "{text}"
            );
        }
        for other in [
            "till-1",
            "",
            "h.example/",
            "/till-1/?api-version=1",
            "h.example//?api-version=1",
            "h.example/till-1/a/b",
            "h.example/till-1//?api-version=1",
            "scope/registrations/till-1/api-version=2019-03-31",
        ] {
            assert_eq!(UserName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn messages_to_the_cloud_are_a_device_s_own() {
        let bag = |text: &str| Ok(Some(Published::Message(Bag::parse(text).unwrap())));
        let events = "devices/till-1/messages/events";
        let scanner = "devices/till-1/modules/scanner/messages/events";
        for (endpoint, topic, expected) in [
            (TILL, format!("{events}/"), bag("")),
            (TILL, events.to_owned(), bag("")),
            (
                TILL,
                format!("{events}/%24.mid=1&a=b"),
                bag("%24.mid=1&a=b"),
            ),
            (TILL, format!("{events}/a=b/"), bag("a=b")),
            (TILL, format!("{events}/?a=b"), bag("a=b")),
            (TILL, format!("{events}/a/b"), Ok(None)),
            (TILL, format!("{events}a"), Ok(None)),
            (TILL, format!("{events}/a=%ff"), Err(BagError::Property)),
            (TILL, events.replace("-1", "-10"), Ok(None)),
            (TILL, scanner.to_owned(), Ok(None)),
            (TILL, "site/lights".to_owned(), Ok(None)),
            (SCANNER, format!("{scanner}/a=b"), bag("a=b")),
            (SCANNER, events.to_owned(), Ok(None)),
        ] {
            assert_eq!(endpoint.published(&topic), expected, "{topic}");
        }
    }

    #[test]
    fn answers_and_requests_carry_what_they_are_known_by() {
        let answer = |status, request| Some(Published::Answer { status, request });
        let get = |request| Some(Published::TwinGet { request });
        let reported = |request| Some(Published::Reported { request });
        for (topic, expected) in [
            ("methods/res/200/?$rid=1f", answer(200, "1f")),
            ("methods/res/-1/?$rid=1f", answer(-1, "1f")),
            ("methods/res/x/?$rid=1f", None),
            ("methods/res/?$rid=1f", None),
            ("twin/GET/?$rid=a-b", get("a-b")),
            ("twin/GET/?a=b&$rid=2", get("2")),
            ("twin/GET/?$rid=", None),
            ("twin/GET/", None),
            ("twin/PATCH/properties/reported/?$rid=3", reported("3")),
            ("twin/PATCH/properties/desired/?$rid=3", None),
            ("twin/POST/?$rid=3", None),
        ] {
            let topic = format!("$iothub/{topic}");
            assert_eq!(TILL.published(&topic), Ok(expected), "{topic}");
        }
        let long = format!("$iothub/twin/GET/?$rid={}", "a".repeat(257));
        assert_eq!(TILL.published(&long), Ok(None));
    }

    #[test]
    fn topics_to_a_device_are_those_that_the_sdks_wait_for() {
        let mut bag = Bag::default();
        bag.push("$.to", "/devices/till-1/messages/devicebound");
        bag.push("iothub-ack", "full");
        assert_eq!(
            TILL.devicebound(&bag),
            "devices/till-1/messages/devicebound/%24.to=%2Fdevices%2Ftill-1%2Fmessages%2Fdevicebound&iothub-ack=full"
        );
        assert_eq!(
            method("reboot", "1f"),
            "$iothub/methods/POST/reboot/?$rid=1f"
        );
        assert_eq!(
            twin_result(204, "7", Some(3)),
            "$iothub/twin/res/204/?$rid=7&$version=3"
        );
        assert_eq!(twin_result(200, "7", None), "$iothub/twin/res/200/?$rid=7");
        assert_eq!(
            desired(4),
            "$iothub/twin/PATCH/properties/desired/?$version=4"
        );
        assert_eq!(SCANNER.client_id(), "till-1/scanner");
        assert_eq!(
            SCANNER.resource(),
            ["devices", "till-1", "modules", "scanner"]
        );
    }

    proptest! {
        #[test]
        fn any_topic_and_user_name_is_read_or_refused(text in any::<String>(), prefix in 0_usize..4) {
            let prefix = ["", "devices/till-1/messages/events/", "$iothub/", "h.example/till-1"][prefix];
            let text = format!("{prefix}{text}");
            let _ = TILL.published(&text);
            if let Some(name) = UserName::parse(&text) {
                prop_assert!(!name.endpoint.device.is_empty());
            }
        }
    }
}
