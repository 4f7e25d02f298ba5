//! A hub at the ports that device SDKs insist on, on a machine of its own.

use outgate_testbed::on_own_machine;

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
