//! What tests stand on: other people's programs, a machine of a test's own, and a disk that is
//! small enough to fill.
//!
//! Only tests may use it. What goes wrong here is told by an error whose message says what to do;
//! a test gives it to `unwrap`.

mod example;
mod mitmproxy;
mod nginx;
mod own_machine;
mod ports;
mod program;
mod small_disk;
mod squid;

pub use example::Example;
pub use mitmproxy::{MITMPROXY_CA, mitmdump};
pub use nginx::nginx;
pub use own_machine::{OwnMachine, on_own_machine};
pub use ports::{free, free_for_both};
pub use program::{
    BETWEEN_LOOKS, Ends, PATIENCE, Program, installed, packages, python, python_program, run, told,
};
pub use small_disk::{SmallDisk, on_disk_of, on_small_disk};
pub use squid::squid;
