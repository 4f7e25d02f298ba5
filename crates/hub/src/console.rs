//! The console: pages for people, rendered by the server.
//!
//! Everything but what happens live works without JavaScript. Nothing is loaded from elsewhere,
//! and nothing that a device or an operator has written can become part of a page's structure.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use outgate_core::limits::Rates;

use crate::hub::State;

mod assets;
mod device;
mod devices;
mod events;
mod guard;
mod live;
mod login;
mod logs;
mod page;
mod preview;
mod releases;
mod rows;
mod table;
mod trouble;
mod visits;

use visits::Visits;

/// The most bytes of a form.
const MAX_FORM: usize = 4 * 1024;

/// What all pages share.
#[derive(Debug)]
struct Console {
    state: State,
    visits: Arc<Visits>,
    tries: Rates<IpAddr>,
}

/// The pages at `/` and below `/console`.
pub fn router(state: State) -> Router {
    let visits = Arc::new(Visits::new(state.core.clock.clone()));
    let console = Arc::new(Console {
        visits,
        tries: Rates::new(login::TRIES, state.core.clock.clone()),
        state,
    });
    Router::new()
        .route("/", get(devices::list))
        .route("/console/device/{device}", get(device::show))
        .route("/console/device/{device}/logs", get(logs::list))
        .route("/console/events", get(events::latest))
        .route("/console/releases", get(releases::releases))
        .route("/console/deployments", get(releases::deployments))
        .route(
            "/console/deployment/{deployment}",
            get(releases::deployment),
        )
        .route("/console/live", get(live::events))
        .route("/console/live/devices", get(live::devices))
        .route("/console/login", get(login::form).post(login::enter))
        .route("/console/logout", post(login::leave))
        .route("/console/console.css", get(assets::style))
        .route("/console/live.js", get(assets::script))
        .route("/console/icon.svg", get(assets::icon))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(middleware::from_fn(guard::headers))
        .with_state(console)
}
