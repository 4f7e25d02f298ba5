//! Writes an OpenAPI document to standard output, for `cargo xtask openapi`: that of the API, or with
//! the argument `devices` that of what devices ask.

use std::io::Write as _;

use outgate_hub::{api, dialects};

fn main() -> std::io::Result<()> {
    let document = match std::env::args().nth(1).as_deref() {
        Some("devices") => dialects::document(),
        Some(_) | None => api::document(),
    };
    std::io::stdout().write_all(api::document_text(&document).as_bytes())
}
