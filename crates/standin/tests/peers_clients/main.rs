//! The stand-ins as clients written by others see them.
//!
//! Needs curl, openssl, dig and chronyd, Python with `websockets`, Node with `ws`; `cargo xtask
//! test` installs them.
fn main() {}
