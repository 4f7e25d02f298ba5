//! What is fuzzed: one function for each reader of bytes that others wrote.
//!
//! A function here takes any bytes and panics when a promise is broken. `cargo test` replays the
//! committed corpora through them on any compiler; the programs in `fuzz_targets` hand them to
//! libFuzzer (`cargo xtask fuzz TARGET`).

mod manifest;
mod ntp;

pub use self::manifest::manifest;
pub use self::ntp::ntp_reply;

/// A fuzz target: takes any bytes, panics when a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its file in `fuzz_targets` and of its folder in
/// `corpus`.
pub const TARGETS: [(&str, Target); 2] = [("manifest", manifest), ("ntp_reply", ntp_reply)];
