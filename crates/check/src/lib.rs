//! The check: exercises the lanes of a manifest from here and says what is wrong and whose it is.
//!
//! [`Plan::new`] turns lanes into asks without sending anything; [`run`] exercises them in the
//! order that the flows demand and joins what was found into a [`Report`]. The crate speaks no
//! protocol itself: that is the probes' part.

mod cause;
mod clock;
mod facts;
mod firewall;
mod inspection;
mod judge;
mod plan;
mod report;
mod run;
mod samples;
mod speech;
mod words;

pub use cause::{Cause, CauseKind, Owner};
pub use firewall::{CauseRules, Firewall, RuleGap};
pub use inspection::inspector;
pub use plan::{Plan, PlannedLane, Subject};
pub use report::{
    CauseView, Counts, Heading, LaneReport, Mask, PlanView, PlannedProbe, PlannedView, ProbeReport,
    Report, Verdict, html, junit, metrics, tell_texts,
};
pub use run::{Event, MAX_CONCURRENT, run};
pub use samples::{SampleError, Samples};
pub use words::{Language, UnknownLanguage};
