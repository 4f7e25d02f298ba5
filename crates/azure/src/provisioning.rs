//! The device provisioning service: where a device of a fleet is told which hub is its own.
//!
//! Over MQTT a device connects under its registration's name, subscribes to [`ANSWERS`], publishes
//! a request ([`Request::of_topic`]) and is answered on [`answer_topic`]. It is told an operation
//! first and asks after that until it is assigned.

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::UNRESERVED;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The filter under which a device waits for answers.
pub const ANSWERS: &str = "$dps/registrations/res/#";

/// The path at which the service speaks MQTT over WebSocket.
pub const WEBSOCKET: &str = "/$dps/websocket";

/// The most bytes of the body of a registration, its payload within.
pub const BODY_MAX_BYTES: usize = 64 * 1024;

/// The most bytes of a request's own name (`$rid`) and of an operation's.
pub const NAME_MAX_BYTES: usize = 128;

/// What stands between the scope and the registration wherever both are named.
const REGISTRATIONS: &str = "/registrations/";

/// Who registers, as a user name or a path says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registrant {
    /// The scope of the service: whose fleet it is.
    pub scope: String,
    /// The name of the registration, which is the device's.
    pub registration: String,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To be registered.
    Register,
    /// What has become of an operation.
    Status {
        /// Which.
        operation: String,
    },
}

/// A request over MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What its answer carries; not longer than [`NAME_MAX_BYTES`].
    pub rid: String,
    /// What is asked.
    pub ask: Ask,
}

/// The body of a registration.
#[derive(Debug, Default, Deserialize)]
pub struct Registration<'a> {
    /// Who registers, once more.
    #[serde(rename = "registrationId")]
    pub registration: Option<String>,
    /// What else the device says of itself, in JSON.
    #[serde(borrow)]
    pub payload: Option<&'a RawValue>,
}

/// Where a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It is not known yet where the device belongs; ask again.
    Assigning,
    /// The device has a hub.
    Assigned,
}

/// What a device is told of its registration.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer<'a> {
    /// What to ask after.
    pub operation_id: &'a str,
    /// Where it stands.
    pub status: Status,
    /// More of it, once it is assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<State<'a>>,
}

/// What has become of a registration.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State<'a> {
    /// How the device proved who it is.
    #[serde(flatten)]
    pub proof: Proof<'a>,
    /// The registration's name.
    pub registration_id: &'a str,
    /// When it was made, in UTC.
    pub created_date_time_utc: String,
    /// The host name of the device's hub.
    pub assigned_hub: &'a str,
    /// Its name at that hub.
    pub device_id: &'a str,
    /// Where it stands.
    pub status: Status,
    /// How it came about.
    pub substatus: Substatus,
    /// When it was last changed, in UTC.
    pub last_updated_date_time_utc: String,
    /// Changes with it.
    pub etag: String,
    /// What the service has for the device, in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a Value>,
}

/// How a device proved who it is, as answers say it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Proof<'a> {
    /// By a symmetric key.
    SymmetricKey {
        /// The fleet's key by which it was taken up, if it was just now.
        #[serde(rename = "enrollmentGroupId")]
        group: Option<&'a str>,
    },
    /// By a certificate.
    X509 {
        /// Nothing more is told of it.
        #[serde(rename = "enrollmentGroupId")]
        group: Option<&'a str>,
    },
}

/// How an assignment came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Substatus {
    /// For the first time.
    InitialAssignment,
    /// The device had been assigned before; what the hub keeps of it stays.
    DeviceDataMigrated,
}

/// Why something was refused.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused<'a> {
    /// The service's number: the status, and three digits more.
    pub error_code: u32,
    /// By which an answer may be found again in the log.
    pub tracking_id: &'a str,
    /// Why, for people.
    pub message: &'a str,
    /// When, in UTC.
    pub timestamp_utc: &'a str,
}

impl Registrant {
    /// Reads a user name: `{scope}/registrations/{registration}/api-version=…&ClientVersion=…`,
    /// with or without a question mark before the query, or without one at all.
    #[must_use]
    pub fn of_user_name(text: &str) -> Option<Self> {
        let (scope, rest) = text.split_once(REGISTRATIONS)?;
        let registration = rest.split('/').next()?;
        Self::new(scope, registration)
    }

    /// Reads the resource that a token is for: `{scope}/registrations/{registration}`.
    #[must_use]
    pub fn of_resource(text: &str) -> Option<Self> {
        let (scope, registration) = text.split_once(REGISTRATIONS)?;
        Self::new(scope, registration)
    }

    /// Names in the way that services write them: letters, digits and a few signs, so that nothing
    /// in them needs quoting.
    fn new(scope: &str, registration: &str) -> Option<Self> {
        let fits = |name: &str, signs: &[u8]| {
            (1..=NAME_MAX_BYTES).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
        };
        (fits(scope, b"-_.") && fits(registration, b"-_.:")).then(|| Self {
            scope: scope.to_owned(),
            registration: registration.to_owned(),
        })
    }
}

impl Request {
    /// Reads the topic of a request; `None` for any other topic.
    #[must_use]
    pub fn of_topic(topic: &str) -> Option<Self> {
        let rest = topic.strip_prefix("$dps/registrations/")?;
        let (act, query) = rest.split_once("/?")?;
        let ask = match act {
            "PUT/iotdps-register" => Ask::Register,
            "GET/iotdps-get-operationstatus" => Ask::Status {
                operation: field(query, "operationId")?,
            },
            _ => return None,
        };
        Some(Self {
            rid: field(query, "$rid")?,
            ask,
        })
    }
}

impl Registration<'_> {
    /// Reads the body of a registration: JSON, or nothing but white space.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8]) -> Result<Registration<'_>, serde_json::Error> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Registration::default());
        }
        serde_json::from_slice(body)
    }
}

/// The topic of an answer. `retry_after` says in how many seconds to ask (again).
#[must_use]
pub fn answer_topic(status: u16, rid: &str, retry_after: Option<u64>) -> String {
    let rid = utf8_percent_encode(rid, UNRESERVED);
    let topic = format!("$dps/registrations/res/{status}/?$rid={rid}");
    match retry_after {
        Some(seconds) => format!("{topic}&retry-after={seconds}"),
        None => topic,
    }
}

/// The key of one device of an enrolment group: made of the group's key and the name of its
/// registration, in small letters.
#[must_use]
pub fn device_key(group: &[u8], registration: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, group);
    let name = registration.to_lowercase();
    hmac::sign(&key, name.as_bytes()).as_ref().to_vec()
}

/// The same in base 64, as devices are given it.
#[must_use]
pub fn device_key_text(group: &[u8], registration: &str) -> String {
    STANDARD.encode(device_key(group, registration))
}

/// A field of a query; not empty and not longer than [`NAME_MAX_BYTES`].
fn field(query: &str, wanted: &str) -> Option<String> {
    let mut fields = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = fields.find(|(name, _)| {
        let name = percent_decode_str(name).decode_utf8();
        name.is_ok_and(|name| name == wanted)
    })?;
    let value = percent_decode_str(value).decode_utf8().ok()?;
    (1..=NAME_MAX_BYTES)
        .contains(&value.len())
        .then(|| value.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn user_names_of_both_sdks_say_who_registers() {
        for name in [
            "0ne1/registrations/till-1/api-version=2019-03-31&ClientVersion=py",
            "0ne1/registrations/till-1/?api-version=2019-03-31",
            "0ne1/registrations/till-1",
        ] {
            let registrant = Registrant::of_user_name(name).unwrap();
            assert_eq!(registrant.scope, "0ne1", "{name}");
            assert_eq!(registrant.registration, "till-1", "{name}");
        }
        for name in [
            "hub.example/till-1/?api-version=2021-04-12",
            "/registrations/till-1",
            "0ne1/registrations/",
            "0ne1/registrations/a b/api-version=1",
            "a/b/registrations/till-1",
            "0ne1/registration/till-1",
        ] {
            assert_eq!(Registrant::of_user_name(name), None, "{name}");
        }
        let resource = Registrant::of_resource("0ne1/registrations/till-1");
        assert_eq!(resource.unwrap().registration, "till-1");
        assert_eq!(Registrant::of_resource("0ne1/registrations/till-1/x"), None);
    }

    #[test]
    fn both_requests_are_read_from_their_topics() {
        let register = Request::of_topic("$dps/registrations/PUT/iotdps-register/?$rid=7f");
        assert_eq!(
            register,
            Some(Request {
                rid: "7f".to_owned(),
                ask: Ask::Register
            })
        );
        let topic = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=8&operationId=4.d%2Fe";
        let operation = "4.d/e".to_owned();
        let status = Request::of_topic(topic).unwrap();
        assert_eq!(status.ask, Ask::Status { operation });
        for topic in [
            "$dps/registrations/PUT/iotdps-register/",
            "$dps/registrations/PUT/iotdps-register/?rid=7",
            "$dps/registrations/PUT/iotdps-register/?$rid=",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=8",
            "$dps/registrations/PUT/other/?$rid=8",
            "$iothub/twin/GET/?$rid=1",
        ] {
            assert_eq!(Request::of_topic(topic), None, "{topic}");
        }
    }

    #[test]
    fn a_device_s_key_is_as_microsoft_s_documents_make_it() {
        // The example of "Symmetric key attestation": group key and registration to device key.
        let group = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
        let group = STANDARD.decode(group).unwrap();
        let key = device_key_text(&group, "SN-007-888-abc-MAC-a1-b2-c3-d4-e5-f6");
        assert_eq!(key, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
    }

    #[test]
    fn answers_look_as_the_service_s_do() {
        assert_eq!(
            answer_topic(202, "7f", Some(3)),
            "$dps/registrations/res/202/?$rid=7f&retry-after=3"
        );
        let waits = Answer {
            operation_id: "4.x",
            status: Status::Assigning,
            registration_state: None,
        };
        let text = serde_json::to_string(&waits).unwrap();
        assert_eq!(text, r#"{"operationId":"4.x","status":"assigning"}"#);
        let assigned = Answer {
            operation_id: "4.x",
            status: Status::Assigned,
            registration_state: Some(State {
                proof: Proof::SymmetricKey { group: Some("fk") },
                registration_id: "t",
                created_date_time_utc: String::new(),
                assigned_hub: "hub.example",
                device_id: "t",
                status: Status::Assigned,
                substatus: Substatus::InitialAssignment,
                last_updated_date_time_utc: String::new(),
                etag: "1".to_owned(),
                payload: None,
            }),
        };
        let told = serde_json::to_value(&assigned).unwrap();
        let state = &told["registrationState"];
        assert_eq!(state["assignedHub"], "hub.example");
        assert_eq!(state["status"], "assigned");
        assert_eq!(state["substatus"], "initialAssignment");
        assert_eq!(state["symmetricKey"]["enrollmentGroupId"], "fk");
    }

    #[test]
    fn a_registration_may_say_nothing() {
        assert!(Registration::read(b" ").unwrap().payload.is_none());
        let body = br#"{"registrationId":"t","payload":{"a":[1]}}"#;
        let read = Registration::read(body).unwrap();
        assert_eq!(read.payload.unwrap().get(), r#"{"a":[1]}"#);
        assert!(Registration::read(b"{").is_err());
    }

    proptest! {
        #[test]
        fn no_topic_and_no_user_name_is_too_strange(text in ".{0,300}") {
            let _ = Request::of_topic(&text);
            let _ = Registrant::of_user_name(&text);
            let topic = format!("$dps/registrations/PUT/iotdps-register/?$rid={text}");
            if let Some(request) = Request::of_topic(&topic) {
                prop_assert!(request.rid.len() <= NAME_MAX_BYTES);
                // What is answered names the same request.
                let answer = answer_topic(200, &request.rid, None);
                let query = answer.split_once("/?").map(|(_, query)| query.to_owned());
                prop_assert_eq!(field(&query.unwrap(), "$rid"), Some(request.rid));
            }
        }
    }
}
