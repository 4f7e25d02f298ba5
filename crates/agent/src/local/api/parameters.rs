//! What stands in the query of a request.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::device::MAX_WAIT;
use crate::local::problem::Problem;

/// Who decides.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Deciding {
    /// Who is at the device, as the hub is told.
    #[param(
        required = false,
        min_length = 1,
        max_length = 500,
        example = "cashier 7"
    )]
    pub(super) by: Option<String>,
}

/// How long to wait for news.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// For how many seconds to wait when there is nothing yet; not at all when absent.
    #[serde(default)]
    #[param(maximum = 55, default = 0)]
    wait: u64,
}

impl Waiting {
    pub(super) fn time(&self) -> Result<Duration, Problem> {
        time(self.wait)
    }
}

/// So many seconds, if that is no longer than anybody waits.
pub(super) fn time(seconds: u64) -> Result<Duration, Problem> {
    let wait = Duration::from_secs(seconds);
    if wait <= MAX_WAIT {
        return Ok(wait);
    }
    let detail = "wait: at most 55 seconds";
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
}

/// Which part of what is shared, and when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Only what belongs to this; everything when absent.
    #[param(value_type = Option<String>, max_length = 136)]
    pub(super) of: Option<String>,
    /// For how many seconds to wait while nothing is other than `If-None-Match` says.
    #[serde(default)]
    #[param(maximum = 55, default = 0)]
    pub(super) wait: u64,
}

/// Which item.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The item's name.
    #[param(example = "17@till-1")]
    pub(super) id: String,
}

/// How a call is answered.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Answering {
    /// The device's own status, as of HTTP; 200 when absent.
    #[serde(default = "answered")]
    #[param(minimum = 100, maximum = 599, default = 200)]
    pub(super) status: u16,
}

fn answered() -> u16 {
    200
}
