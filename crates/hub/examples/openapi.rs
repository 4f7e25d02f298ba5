//! Writes the OpenAPI document to standard output, for `cargo xtask openapi`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let document = outgate_hub::api::document();
    std::io::stdout().write_all(outgate_hub::api::document_text(&document).as_bytes())
}
