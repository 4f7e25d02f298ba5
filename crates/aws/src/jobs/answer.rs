//! What devices are told of their jobs, in JSON.

use serde_json::{Map, Value, json};

use super::{Execution, Status};

/// Why something asked of a job is not done, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It is no JSON object.
    InvalidJson,
    /// A member is not what it must be.
    InvalidRequest,
    /// The job has ended otherwise, or is another connection's.
    InvalidStateTransition,
    /// The job that is to be told has ended.
    TerminalStateReached,
    /// There is no such job.
    ResourceNotFound,
    /// The job has another version.
    VersionMismatch,
    /// It comes too soon after others.
    RequestThrottled,
    /// Something of the hub's is wrong.
    InternalError,
}

/// That something asked of a job is not done, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub code: Code,
    /// The same for people.
    pub message: String,
}

impl Code {
    fn word(self) -> &'static str {
        match self {
            Self::InvalidJson => "InvalidJson",
            Self::InvalidRequest => "InvalidRequest",
            Self::InvalidStateTransition => "InvalidStateTransition",
            Self::TerminalStateReached => "TerminalStateReached",
            Self::ResourceNotFound => "ResourceNotFound",
            Self::VersionMismatch => "VersionMismatch",
            Self::RequestThrottled => "RequestThrottled",
            Self::InternalError => "InternalError",
        }
    }
}

impl Rejected {
    /// For this reason, which people are told so.
    #[must_use]
    pub fn of(code: Code, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
        }
    }

    /// That it is not done, for who knows the request by `token`, at `now` (seconds since 1970);
    /// and how far the job is, where that is the reason.
    #[must_use]
    pub fn body(&self, state: Option<&Execution<'_>>, token: Option<&str>, now: i64) -> Value {
        let mut body = Map::new();
        body.insert("code".to_owned(), json!(self.code.word()));
        body.insert("message".to_owned(), json!(self.message));
        if let Some(execution) = state {
            body.insert("executionState".to_owned(), execution.state());
        }
        finished(body, token, now)
    }
}

impl Execution<'_> {
    fn summary(&self) -> Value {
        Value::Object(self.times())
    }

    fn times(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("jobId".to_owned(), json!(self.id));
        members.insert("queuedAt".to_owned(), json!(self.queued));
        if let Some(started) = self.started {
            members.insert("startedAt".to_owned(), json!(started));
        }
        members.insert("lastUpdatedAt".to_owned(), json!(self.updated));
        members.insert("versionNumber".to_owned(), json!(self.version));
        members.insert("executionNumber".to_owned(), json!(1));
        members
    }

    fn whole(&self, thing: &str) -> Value {
        let mut members = self.times();
        members.insert("thingName".to_owned(), json!(thing));
        members.insert("status".to_owned(), json!(self.status.word()));
        members.insert("statusDetails".to_owned(), json!(self.details));
        if let Some(document) = &self.document {
            members.insert("jobDocument".to_owned(), document.clone());
        }
        Value::Object(members)
    }

    fn state(&self) -> Value {
        json!({
            "status": self.status.word(),
            "statusDetails": self.details,
            "versionNumber": self.version,
        })
    }
}

/// Which jobs are to be done, for who knows their request by `token`.
#[must_use]
pub fn pending(executions: &[Execution<'_>], token: Option<&str>, now: i64) -> Value {
    let mut body = Map::new();
    let begun = summaries(executions, Status::InProgress);
    body.insert("inProgressJobs".to_owned(), begun);
    let queued = summaries(executions, Status::Queued);
    body.insert("queuedJobs".to_owned(), queued);
    finished(body, token, now)
}

/// A job of `thing`, if there is one.
#[must_use]
pub fn described(
    thing: &str,
    execution: Option<&Execution<'_>>,
    token: Option<&str>,
    now: i64,
) -> Value {
    let mut body = Map::new();
    if let Some(execution) = execution {
        body.insert("execution".to_owned(), execution.whole(thing));
    }
    finished(body, token, now)
}

/// That a job is as far as was said.
#[must_use]
pub fn updated(
    execution: &Execution<'_>,
    tell_state: bool,
    token: Option<&str>,
    now: i64,
) -> Value {
    let mut body = Map::new();
    if tell_state {
        body.insert("executionState".to_owned(), execution.state());
    }
    if let Some(document) = &execution.document {
        body.insert("jobDocument".to_owned(), document.clone());
    }
    finished(body, token, now)
}

/// Which jobs are to be done, unasked.
#[must_use]
pub fn changed(executions: &[Execution<'_>], now: i64) -> Value {
    let statuses = [Status::InProgress, Status::Queued];
    let jobs = statuses.map(|status| (status.word().to_owned(), summaries(executions, status)));
    let jobs = jobs.into_iter().filter(|(_, some)| *some != json!([]));
    let jobs: Map<String, Value> = jobs.collect();
    json!({"jobs": jobs, "timestamp": now})
}

/// Which job of `thing` is the next, unasked.
#[must_use]
pub fn notified(thing: &str, next: Option<&Execution<'_>>, now: i64) -> Value {
    described(thing, next, None, now)
}

fn summaries(executions: &[Execution<'_>], status: Status) -> Value {
    let all = executions.iter().filter(|its| its.status == status);
    all.map(Execution::summary).collect()
}

fn finished(mut body: Map<String, Value>, token: Option<&str>, now: i64) -> Value {
    body.insert("timestamp".to_owned(), json!(now));
    if let Some(token) = token {
        body.insert("clientToken".to_owned(), json!(token));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn jobs_are_told_by_how_far_they_are() {
        let details = BTreeMap::from([("step".to_owned(), "2".to_owned())]);
        let (mut one, two) = (execution("j-1", &details), execution("j-2", &details));
        one.status = Status::InProgress;
        one.started = Some(6);
        let both = [one, two];
        let told = pending(&both, Some("t"), 9);
        let begun = json!({
            "jobId": "j-1", "queuedAt": 5, "startedAt": 6, "lastUpdatedAt": 7,
            "versionNumber": 2, "executionNumber": 1,
        });
        assert_eq!(told["inProgressJobs"], json!([begun]));
        assert_eq!(told["queuedJobs"][0]["jobId"], "j-2");
        assert_eq!(
            (&told["timestamp"], &told["clientToken"]),
            (&json!(9), &json!("t"))
        );
        assert_eq!(changed(&both, 9)["jobs"]["IN_PROGRESS"], json!([begun]));
        assert_eq!(changed(&[], 9), json!({"jobs": {}, "timestamp": 9}));
    }

    #[test]
    fn a_job_is_told_with_what_is_to_be_done() {
        let details = BTreeMap::new();
        let mut one = execution("j-1", &details);
        one.document = Some(json!({"operation": "reload"}));
        let told = described("fort", Some(&one), None, 9);
        assert_eq!(
            told["execution"]["jobDocument"],
            json!({"operation": "reload"})
        );
        assert_eq!(told["execution"]["status"], "QUEUED");
        assert_eq!(told["execution"]["thingName"], "fort");
        assert_eq!(notified("fort", None, 9), json!({"timestamp": 9}));
        let told = updated(&one, true, None, 9);
        assert_eq!(told["executionState"]["versionNumber"], 2);
    }

    #[test]
    fn a_refusal_is_told_in_aws_s_words() {
        let details = BTreeMap::new();
        let one = execution("j-1", &details);
        let why = Rejected::of(Code::VersionMismatch, "another version");
        let told = json!({
            "code": "VersionMismatch", "message": "another version", "timestamp": 9,
            "executionState": {"status": "QUEUED", "statusDetails": {}, "versionNumber": 2},
        });
        assert_eq!(why.body(Some(&one), None, 9), told);
    }

    fn execution<'a>(id: &'a str, details: &'a BTreeMap<String, String>) -> Execution<'a> {
        Execution {
            id,
            status: Status::Queued,
            details,
            queued: 5,
            started: None,
            updated: 7,
            version: 2,
            document: None,
        }
    }
}
