//! The console: pages for people, rendered by the server.

use axum::Router;

use crate::hub::State;

/// The pages at `/`.
pub fn router(state: State) -> Router {
    let _ = state;
    Router::new()
}
