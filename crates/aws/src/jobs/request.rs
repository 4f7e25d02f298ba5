//! What devices ask of their jobs, in JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Asked, Code, MAX_BYTES, MAX_DETAIL, MAX_DETAIL_NAME, MAX_DETAILS, MAX_TOKEN};
use super::{Rejected, Status};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Which jobs are to be done.
    Pending,
    /// To begin the next, with these details where they are said.
    StartNext(Option<BTreeMap<String, String>>),
    /// To tell of a job.
    Describe(Describe),
    /// To say how far a job is.
    Update(Update),
}

/// What is to be told of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Describe {
    /// What is to be done, too.
    pub document: bool,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Its status: none that the cloud alone gives.
    pub status: Status,
    /// What else there is to say; those that were there stay where nothing is.
    pub details: Option<BTreeMap<String, String>>,
    /// Which version it has to have.
    pub version: Option<u64>,
    /// Whether its state is to be told.
    pub tell_state: bool,
    /// Whether it is to be told what is to be done.
    pub tell_document: bool,
}

impl Request {
    /// Reads a request, and the text by which the device knows it: that is there although the
    /// request is refused, if it could be made out. Only who says how far a job is has to say
    /// something at all.
    pub fn read(asked: Asked<'_>, payload: &[u8]) -> (Option<String>, Result<Self, Rejected>) {
        let members = match members_of(payload) {
            Ok(members) => members,
            Err(rejected) => return (None, Err(rejected)),
        };
        let token = match members.get("clientToken") {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) if token.len() <= MAX_TOKEN => Some(token.clone()),
            Some(_) => return (None, Err(invalid("clientToken: at most 64 bytes"))),
        };
        (token, Self::of(asked, &members))
    }

    fn of(asked: Asked<'_>, members: &Map<String, Value>) -> Result<Self, Rejected> {
        match members.get("executionNumber").map(Value::as_u64) {
            None | Some(Some(1)) => {}
            Some(Some(_)) => return Err(Rejected::of(Code::ResourceNotFound, "No such execution")),
            Some(None) => return Err(invalid("executionNumber: a whole number")),
        }
        step_timeout(members)?;
        match asked {
            Asked::Pending => Ok(Self::Pending),
            Asked::StartNext => Ok(Self::StartNext(details(members)?)),
            Asked::DescribeNext | Asked::Describe(_) => Ok(Self::Describe(Describe {
                document: flag(members, "includeJobDocument", true)?,
            })),
            Asked::Update(_) => Update::of(members).map(Self::Update),
        }
    }
}

impl Update {
    fn of(members: &Map<String, Value>) -> Result<Self, Rejected> {
        const STATUS: &str = "status: IN_PROGRESS, SUCCEEDED, FAILED or REJECTED";
        const VERSION: &str = "expectedVersion: a whole number";
        let status = members.get("status").and_then(Value::as_str);
        let version = match members.get("expectedVersion") {
            None | Some(Value::Null) => None,
            // AWS's own documentation has it as a text as well.
            Some(Value::String(text)) => Some(text.parse().map_err(|_| invalid(VERSION))?),
            Some(number) => Some(number.as_u64().ok_or_else(|| invalid(VERSION))?),
        };
        Ok(Self {
            status: status
                .and_then(Status::said)
                .ok_or_else(|| invalid(STATUS))?,
            details: details(members)?,
            version,
            tell_state: flag(members, "includeJobExecutionState", false)?,
            tell_document: flag(members, "includeJobDocument", false)?,
        })
    }
}

fn members_of(payload: &[u8]) -> Result<Map<String, Value>, Rejected> {
    if payload.len() > MAX_BYTES {
        return Err(invalid("a request of at most 16 KiB"));
    }
    if payload.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(payload) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err(Rejected::of(Code::InvalidJson, "a JSON object is wanted")),
    }
}

/// How long a step may take: -1, or 1 minute to 7 days.
fn step_timeout(members: &Map<String, Value>) -> Result<(), Rejected> {
    match members.get("stepTimeoutInMinutes") {
        None | Some(Value::Null) => Ok(()),
        Some(minutes) => match minutes.as_i64() {
            Some(-1 | 1..=10_080) => Ok(()),
            Some(_) | None => Err(invalid("stepTimeoutInMinutes: -1, or 1 to 10080")),
        },
    }
}

fn flag(members: &Map<String, Value>, name: &str, otherwise: bool) -> Result<bool, Rejected> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(otherwise),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Rejected {
            code: Code::InvalidRequest,
            message: format!("{name}: true or false"),
        }),
    }
}

fn details(members: &Map<String, Value>) -> Result<Option<BTreeMap<String, String>>, Rejected> {
    const RIGHT: &str = "statusDetails: at most 10 texts of at most 1024 bytes, \
                         under names of at most 128";
    let details = match members.get("statusDetails") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(details)) if details.len() <= MAX_DETAILS => details,
        Some(_) => return Err(invalid(RIGHT)),
    };
    let pairs = details.iter().map(|(name, text)| {
        let text = text.as_str().filter(|text| text.len() <= MAX_DETAIL);
        let fits = !name.is_empty() && name.len() <= MAX_DETAIL_NAME;
        text.filter(|_| fits)
            .map(|text| (name.clone(), text.to_owned()))
    });
    let details: Option<BTreeMap<String, String>> = pairs.collect();
    details.map(Some).ok_or_else(|| invalid(RIGHT))
}

fn invalid(right: &str) -> Rejected {
    Rejected::of(Code::InvalidRequest, right)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const UPDATE: Asked<'_> = Asked::Update("j-1");

    fn read(asked: Asked<'_>, payload: &Value) -> Result<Request, Code> {
        let (_, request) = Request::read(asked, payload.to_string().as_bytes());
        request.map_err(|rejected| rejected.code)
    }

    #[test]
    fn an_update_says_how_far_a_job_is() {
        let payload = json!({
            "status": "FAILED", "statusDetails": {"step": "2"}, "expectedVersion": 3,
            "includeJobExecutionState": true, "stepTimeoutInMinutes": -1,
            "executionNumber": 1, "clientToken": "t",
        });
        let (token, request) = Request::read(UPDATE, payload.to_string().as_bytes());
        let expected = Update {
            status: Status::Failed,
            details: Some(BTreeMap::from([("step".to_owned(), "2".to_owned())])),
            version: Some(3),
            tell_state: true,
            tell_document: false,
        };
        assert_eq!(
            (token.as_deref(), request),
            (Some("t"), Ok(Request::Update(expected)))
        );
    }

    #[test]
    fn who_asks_which_jobs_there_are_may_say_nothing() {
        for (asked, expected) in [
            (Asked::Pending, Request::Pending),
            (Asked::StartNext, Request::StartNext(None)),
            (
                Asked::DescribeNext,
                Request::Describe(Describe { document: true }),
            ),
        ] {
            for payload in ["", "{}"] {
                let (_, request) = Request::read(asked, payload.as_bytes());
                assert_eq!(request.as_ref(), Ok(&expected));
            }
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let many: Map<String, Value> = (0..11).map(|n| (n.to_string(), json!("x"))).collect();
        for wrong in [
            json!({}),
            json!({"status": "QUEUED"}),
            json!({"status": "CANCELED"}),
            json!({"status": 1}),
            json!({"status": "FAILED", "statusDetails": {"a": 1}}),
            json!({"status": "FAILED", "statusDetails": many}),
            json!({"status": "FAILED", "statusDetails": {"a": "x".repeat(1_025)}}),
            json!({"status": "FAILED", "statusDetails": {"": "x"}}),
            json!({"status": "FAILED", "expectedVersion": -1}),
            json!({"status": "FAILED", "stepTimeoutInMinutes": 0}),
            json!({"status": "FAILED", "includeJobDocument": 1}),
            json!({"status": "FAILED", "clientToken": "x".repeat(65)}),
        ] {
            assert_eq!(read(UPDATE, &wrong), Err(Code::InvalidRequest), "{wrong}");
        }
        let large = json!({"status": "x".repeat(MAX_BYTES)});
        assert_eq!(read(UPDATE, &large), Err(Code::InvalidRequest));
        assert_eq!(read(UPDATE, &json!([])), Err(Code::InvalidJson));
        let other = json!({"executionNumber": 2});
        let asked = Asked::Describe("j-1");
        assert_eq!(read(asked, &other), Err(Code::ResourceNotFound));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            for asked in [Asked::Pending, Asked::StartNext, UPDATE] {
                let _ = Request::read(asked, &payload);
            }
        }
    }
}
