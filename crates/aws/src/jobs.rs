//! Jobs over MQTT ("AWS IoT Jobs"): what devices ask of their executions, and what they are told.
//!
//! A job has one execution on each device, so its number is always 1.

mod answer;
mod request;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::answer::{Code, Rejected, changed, described, notified, pending, updated};
pub use self::request::{Describe, Request, Update};

/// The most bytes of a request.
pub const MAX_BYTES: usize = 16 * 1024;

/// The most details of a status.
pub const MAX_DETAILS: usize = 10;

/// The most bytes of the name of a detail.
pub const MAX_DETAIL_NAME: usize = 128;

/// The most bytes of a detail.
pub const MAX_DETAIL: usize = 1_024;

/// The most bytes of the text by which a device knows its request.
pub const MAX_TOKEN: usize = 64;

/// What stands for the next job where a job is named.
const NEXT: &str = "$next";

/// What is asked, of which job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Which jobs are to be done.
    Pending,
    /// To begin the next.
    StartNext,
    /// To tell of the next, if there is one.
    DescribeNext,
    /// To tell of this.
    Describe(&'a str),
    /// To say how far this is.
    Update(&'a str),
}

/// How far an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits.
    Queued,
    /// The device has begun.
    InProgress,
    /// It is done.
    Succeeded,
    /// The device could not do it.
    Failed,
    /// The device would not do it.
    Rejected,
    /// It was not done in time.
    TimedOut,
    /// It was taken back.
    Canceled,
}

/// A job on a device.
#[derive(Clone, Debug)]
pub struct Execution<'a> {
    /// The job.
    pub id: &'a str,
    /// How far it is.
    pub status: Status,
    /// What the device has said of that.
    pub details: &'a BTreeMap<String, String>,
    /// Since when it waits, in seconds since 1970.
    pub queued: i64,
    /// When the device has begun.
    pub started: Option<i64>,
    /// When its status or its details last changed.
    pub updated: i64,
    /// Goes up with each change.
    pub version: u64,
    /// What is to be done, where it is to be told.
    pub document: Option<Value>,
}

impl<'a> Asked<'a> {
    /// What is asked by a publish to `topic`, and by which thing; `None` for every other topic.
    #[must_use]
    pub fn of(topic: &'a str) -> Option<(&'a str, Self)> {
        let below = topic.strip_prefix("$aws/things/")?;
        let (thing, rest) = below.split_once('/')?;
        let asked = match rest.strip_prefix("jobs/")? {
            "get" => Self::Pending,
            "start-next" => Self::StartNext,
            named => match named.split_once('/')? {
                (NEXT, "get") => Self::DescribeNext,
                (job, "get") => Self::Describe(job),
                (job, "update") => Self::Update(job),
                _ => return None,
            },
        };
        let is_named = !thing.is_empty() && asked.job() != Some("");
        Some((thing, asked)).filter(|_| is_named)
    }

    fn job(self) -> Option<&'a str> {
        match self {
            Self::Pending | Self::StartNext | Self::DescribeNext => None,
            Self::Describe(job) | Self::Update(job) => Some(job),
        }
    }

    /// Where `thing` is told that it was done.
    #[must_use]
    pub fn accepted(self, thing: &str) -> String {
        self.answered(thing, "accepted")
    }

    /// Where `thing` is told that it was not done.
    #[must_use]
    pub fn rejected(self, thing: &str) -> String {
        self.answered(thing, "rejected")
    }

    fn answered(self, thing: &str, how: &str) -> String {
        let what = match self {
            Self::Pending => "get".to_owned(),
            Self::StartNext => "start-next".to_owned(),
            Self::DescribeNext => format!("{NEXT}/get"),
            Self::Describe(job) => format!("{job}/get"),
            Self::Update(job) => format!("{job}/update"),
        };
        format!("$aws/things/{thing}/jobs/{what}/{how}")
    }
}

/// Where `thing` is told which jobs are to be done.
#[must_use]
pub fn notify(thing: &str) -> String {
    format!("$aws/things/{thing}/jobs/notify")
}

/// Where `thing` is told which job is the next.
#[must_use]
pub fn notify_next(thing: &str) -> String {
    format!("$aws/things/{thing}/jobs/notify-next")
}

impl Status {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Rejected => "REJECTED",
            Self::TimedOut => "TIMED_OUT",
            Self::Canceled => "CANCELED",
        }
    }

    /// What a device may say by `word`.
    fn said(word: &str) -> Option<Self> {
        [
            Self::InProgress,
            Self::Succeeded,
            Self::Failed,
            Self::Rejected,
        ]
        .into_iter()
        .find(|status| status.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_what_is_asked_of_which_job() {
        for (topic, expected) in [
            ("$aws/things/fort/jobs/get", Some(Asked::Pending)),
            ("$aws/things/fort/jobs/start-next", Some(Asked::StartNext)),
            ("$aws/things/fort/jobs/$next/get", Some(Asked::DescribeNext)),
            (
                "$aws/things/fort/jobs/j-1/get",
                Some(Asked::Describe("j-1")),
            ),
            (
                "$aws/things/fort/jobs/j-1/update",
                Some(Asked::Update("j-1")),
            ),
            ("$aws/things/fort/jobs/notify", None),
            ("$aws/things/fort/jobs//get", None),
            ("$aws/things/fort/jobs/get/accepted", None),
            ("$aws/things/fort/jobs/j-1/delete", None),
            ("$aws/things//jobs/get", None),
            ("$aws/things/fort/shadow/get", None),
        ] {
            let expected = expected.map(|asked| ("fort", asked));
            assert_eq!(Asked::of(topic), expected, "{topic}");
        }
        let told = Asked::Update("j-1").rejected("fort");
        assert_eq!(told, "$aws/things/fort/jobs/j-1/update/rejected");
        let told = Asked::DescribeNext.accepted("fort");
        assert_eq!(told, "$aws/things/fort/jobs/$next/get/accepted");
    }
}
