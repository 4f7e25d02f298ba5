//! Writes the OpenAPI document to standard output, for `cargo xtask openapi`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(outgate_agent::local::document_text().as_bytes())
}
