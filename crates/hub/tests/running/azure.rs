//! A hub at the ports that Azure's programs insist on, on a machine of its own, and those programs.

use outgate_testbed::{on_own_machine, packages, python_program};
use tokio::process::Command;

use crate::running::Running;

/// What the hub is called.
pub(crate) const HUB: &str = "hub.example";

/// Runs `test` with a hub on a machine of its own that is called [`HUB`], and is configured by
/// `text` beside its ports and its name.
pub(crate) fn with_hub<F: Future<Output = ()>>(
    text: &'static str,
    test: impl FnOnce(Running) -> F,
) {
    let text = format!(
        "[[listen]]
        address = '127.0.0.1:443'
        [[listen]]
        address = '127.0.0.1:8883'
        carries = 'mqtt'
        [tls]
        names = ['{HUB}']
        {text}"
    );
    on_own_machine(|machine| {
        let name = format!("echo 127.0.0.1 {HUB} >> /etc/hosts");
        machine.shell(&name).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let running = Running::on(tempfile::tempdir().unwrap(), &text).await;
            running.furnish().await;
            test(running).await;
        });
    })
    .unwrap();
}

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
