//! By which names the hub is called in tokens.

use crate::running::config;
use crate::{Bench, CONFIG, token};

#[tokio::test]
async fn the_certificate_s_names_and_the_configured_ones_count_also_when_they_change() {
    let bench = Bench::start().await;
    let key = bench.device("till-1").await;
    let says = async |hub: &str| {
        let token = token(&format!("{hub}/devices/till-1"), 60, &key, None);
        let path = "/devices/till-1/messages/events";
        bench.post(path, &token, "hello").await.status().as_u16()
    };
    // What the hub's own certificate is for.
    assert_eq!(says("localhost").await, 204);
    assert_eq!(says("Vendor.Azure-Devices.net").await, 204);
    assert_eq!(says("other.example").await, 401);
    let text = CONFIG.replace("vendor.azure-devices.net", "other.example");
    let config = config(bench.running.folder.path(), &text);
    bench.running.hub.reload(config).unwrap();
    assert_eq!(says("localhost").await, 204);
    assert_eq!(says("other.example").await, 204);
    assert_eq!(says("vendor.azure-devices.net").await, 401);
}

#[tokio::test]
async fn a_first_policy_needs_a_new_start_and_others_do_not() {
    let policies = |text: &str| format!("{CONFIG}policies.a = []\n{text}");
    let bench = Bench::start().await;
    let first = config(bench.running.folder.path(), &policies(""));
    let refused = bench.running.hub.reload(first).unwrap_err();
    assert!(refused.to_string().contains("azure.policies"), "{refused}");
    let bench = Bench::configured("policies.a = []").await;
    let text = policies("policies.b = ['device-connect']");
    let second = config(bench.running.folder.path(), &text);
    bench.running.hub.reload(second).unwrap();
}
