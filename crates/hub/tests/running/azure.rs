//! Azure's programs, for a hub on a machine of its own.

use outgate_testbed::{packages, python_program};
use tokio::process::Command;

pub(crate) use crate::machine::{HUB, with_hub};
use crate::running::Running;

/// A script for Python that has Azure's packages, and trusts the hub where nobody tells it whom.
pub(crate) fn python(hub: &Running, script: &str) -> Command {
    let mut command = Command::new(python_program("azure", "python").unwrap());
    command.args(["-u", "-c", script]);
    let authority = hub.folder.path().join("tls/ca.pem");
    command.env("REQUESTS_CA_BUNDLE", authority);
    // Libraries that other peers bring along are not those that Python was built with.
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// The same for Node, which is told where the packages are.
pub(crate) fn node(hub: &Running, script: &str) -> Command {
    let mut command = Command::new("node");
    command.args(["-e", script]);
    command.arg(packages().unwrap().join("node/node_modules"));
    let authority = hub.folder.path().join("tls/ca.pem");
    command.env("NODE_EXTRA_CA_CERTS", authority);
    command.env_remove("LD_LIBRARY_PATH");
    command
}
