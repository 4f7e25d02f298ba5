//! What stands in the query of a request.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::device::MAX_WAIT;
use crate::local::problem::Problem;

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
        let wait = Duration::from_secs(self.wait);
        if wait <= MAX_WAIT {
            return Ok(wait);
        }
        let detail = "wait: at most 55 seconds";
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
    }
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
