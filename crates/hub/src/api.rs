//! The administration API, described by OpenAPI.

use axum::Router;

use crate::hub::State;

/// Everything under `/api`.
pub fn router(state: State) -> Router {
    let _ = state;
    Router::new()
}
