//! Debian's Mender client, unmodified, against a whole hub, with artifacts that Mender's own tool
//! has made.
//!
//! The client's folders cannot be moved, so each test has a machine of its own.
//!
//! Needs the programs in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

mod fort;
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;
mod workshop;

use std::time::Duration;

use outgate_core::deployments::{Plan, Progress, Share, Tagged, Target};
use outgate_core::identity::{Actor, DeviceState, NewFleetKey};
use outgate_testbed::on_own_machine;

use crate::fort::Fort;
use crate::running::Running;
use crate::workshop::Workshop;

/// A hub over TLS.
const CONFIGURATION: &str = "
    [[listen]]
    address = '127.0.0.1:0'
";

/// Runs `test` with a hub on a machine of its own, where there is room for a Mender client.
fn with_hub<F: Future<Output = ()>>(test: impl FnOnce(Running, Workshop) -> F) {
    on_own_machine(|machine| {
        machine.shell(fort::FURNISH).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let running = Running::on(tempfile::tempdir().unwrap(), CONFIGURATION).await;
            running.furnish().await;
            let workshop = Workshop::open(&running).await;
            test(running, workshop).await;
        });
    })
    .unwrap();
}

/// What a fleet's devices have as their tenant token.
async fn tenant_token(running: &Running) -> String {
    let new = NewFleetKey {
        site: "s".parse().unwrap(),
        ids: "fort-*".to_owned(),
        uses: 5,
        lasts: Duration::from_hours(1),
        from: Vec::new(),
        key: None,
    };
    let (hub, identity) = (Actor::hub(), &running.core().identity);
    let (key, secret) = identity.create_fleet_key(&hub, new).await.unwrap();
    format!("{}:{}", key.id, *secret.to_base64())
}

#[test]
fn a_fort_of_the_fleet_is_taken_up_updated_and_goes_back_when_that_fails() {
    with_hub(|running, workshop| async move {
        let token = tenant_token(&running).await;
        let fort = Fort::start(&running, "fort-1", &[("TenantToken", &token)]);
        fort.is_known(&running, DeviceState::Active).await;
        workshop.add(&running, "fort-2", &[]);
        let id = workshop.deploy(&running, "fort-2", "fort-1").await;
        assert_eq!(workshop.end(&running, &id, &fort).await, Progress::Success);
        assert_eq!(fort.installed(), workshop.payload("fort-2"));
        // Its inventory is in its twin.
        let inventory = fort.inventory(&running).await;
        assert_eq!(inventory["device_type"], "fort");
        fort.fails();
        workshop.add(&running, "fort-3", &[]);
        let id = workshop.deploy(&running, "fort-3", "fort-1").await;
        assert_eq!(workshop.end(&running, &id, &fort).await, Progress::Failure);
        assert_eq!(fort.installed(), workshop.payload("fort-2"));
        let log = workshop.log(&running, &id, "fort-1", &fort).await;
        assert!(log.contains("error"), "{log}");
    });
}

#[test]
fn a_fort_comes_by_its_certificate_and_nothing_older_is_installed_unless_signed_to_be() {
    with_hub(|running, workshop| async move {
        running.device("fort-1").await;
        let fort = Fort::with_certificate(&running, "fort-1").await;
        workshop.add(&running, "fort-2", &[]);
        workshop.add(&running, "fort-1", &[]);
        let back = ["--provides", "outgate.downgrade:allowed"];
        workshop.add(&running, "fort-1.5", &back);
        for (release, end, on) in [
            ("fort-2", Progress::Success, "fort-2"),
            ("fort-1", Progress::Older, "fort-2"),
            ("fort-1.5", Progress::Success, "fort-1.5"),
        ] {
            let id = workshop.deploy(&running, release, "fort-1").await;
            assert_eq!(workshop.end(&running, &id, &fort).await, end, "{release}");
            assert_eq!(fort.installed(), workshop.payload(on), "{release}");
        }
    });
}

#[test]
fn a_fort_whose_deployment_is_aborted_goes_back_and_a_revoked_one_gets_nothing_more() {
    with_hub(|running, workshop| async move {
        let token = tenant_token(&running).await;
        let fort = Fort::start(&running, "fort-1", &[("TenantToken", &token)]);
        fort.is_known(&running, DeviceState::Active).await;
        let before = fort.installed();
        fort.holds();
        workshop.add(&running, "fort-2", &[]);
        let id = workshop.deploy(&running, "fort-2", "fort-1").await;
        fort.is_installing().await;
        let (hub, deployments) = (Actor::hub(), &running.core().deployments);
        deployments.abort(&hub, &id).await.unwrap();
        fort.goes_on();
        fort.says("aborted").await;
        fort.is_on(&before).await;
        let device = "fort-1".parse().unwrap();
        let identity = &running.core().identity;
        identity.revoke_device(&hub, &device).await.unwrap();
        workshop.add(&running, "fort-3", &[]);
        let id = workshop.deploy(&running, "fort-3", "fort-1").await;
        fort.says("authorization request failed").await;
        let got = deployments.get(&hub, &id).await.unwrap();
        assert_eq!(got.counts, [(Progress::Pending, 1)]);
        assert_eq!(fort.installed(), before);
    });
}

#[test]
fn a_fort_waits_for_its_phase_and_while_a_deployment_is_paused() {
    with_hub(|running, workshop| async move {
        let token = tenant_token(&running).await;
        let fort = Fort::start(&running, "fort-1", &[("TenantToken", &token)]);
        fort.is_known(&running, DeviceState::Active).await;
        for release in ["fort-2", "fort-3", "fort-4", "fort-5"] {
            workshop.add(&running, release, &[]);
        }
        // Another is of the first phase, and the fort, which gets the tag later, of the last.
        let other = workshop::stand_in(&running, "fort-9").await;
        workshop::tag(&running, "fort-9", "first").await;
        let phased = workshop.deploy_as(&running, "fort-3", stands("first"), halves());
        let phased = phased.await;
        workshop::tag(&running, "fort-1", "first").await;
        // What is offered comes before what is not, though that was deployed earlier.
        let id = workshop.deploy(&running, "fort-2", "fort-1").await;
        assert_eq!(workshop.end(&running, &id, &fort).await, Progress::Success);
        let waits = [(Progress::Pending, 2)];
        assert_eq!(workshop.counts(&running, &phased).await, waits);
        let (hub, deployments) = (Actor::hub(), &running.core().deployments);
        let reported = deployments.report(&other, &phased, Progress::Success, None);
        reported.await.unwrap();
        let end = workshop.end(&running, &phased, &fort).await;
        assert_eq!(
            (end, fort.installed()),
            (Progress::Success, workshop.payload("fort-3"))
        );

        let plan = Plan::default();
        let paused = workshop.deploy_as(&running, "fort-5", stands("second"), plan);
        let paused = paused.await;
        deployments.pause(&hub, &paused).await.unwrap();
        workshop::tag(&running, "fort-1", "second").await;
        let id = workshop.deploy(&running, "fort-4", "fort-1").await;
        assert_eq!(workshop.end(&running, &id, &fort).await, Progress::Success);
        let waits = [(Progress::Pending, 1)];
        assert_eq!(workshop.counts(&running, &paused).await, waits);
        deployments.resume(&hub, &paused).await.unwrap();
        let end = workshop.end(&running, &paused, &fort).await;
        assert_eq!(
            (end, fort.installed()),
            (Progress::Success, workshop.payload("fort-5"))
        );
    });
}

/// All that have a tag, also later.
fn stands(tag: &str) -> Target {
    let tag = tag.parse().unwrap();
    Target::Tag(Tagged { tag, stands: true })
}

/// Half of them first.
fn halves() -> Plan {
    let shares = ["50%", "100%"].map(|share| share.parse::<Share>().unwrap());
    Plan {
        phases: shares.to_vec().try_into().unwrap(),
        ..Plan::default()
    }
}

#[test]
fn a_key_that_nobody_knows_waits_until_an_operator_says_whose_it_is() {
    with_hub(|running, workshop| async move {
        running.device("fort-1").await;
        let fort = Fort::start(&running, "fort-1", &[]);
        fort.says("authorization request failed").await;
        let key = fort.public_key(&running);
        let (identity, device) = (&running.core().identity, "fort-1".parse().unwrap());
        let print = *key.thumbprint();
        identity
            .add_public_key(&Actor::hub(), &device, print)
            .await
            .unwrap();
        workshop.add(&running, "fort-2", &[]);
        let id = workshop.deploy(&running, "fort-2", "fort-1").await;
        assert_eq!(workshop.end(&running, &id, &fort).await, Progress::Success);
    });
}

#[test]
fn what_is_unsigned_signed_by_another_or_changed_is_no_release() {
    with_hub(|running, workshop| async move {
        let unsigned = workshop.write("fort-2", None, &[]);
        let by_other = workshop.write("fort-3", Some("other"), &[]);
        let mut flipped = workshop.write("fort-4", Some("ours"), &[]);
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let mut cut = workshop.write("fort-5", Some("ours"), &[]);
        cut.truncate(cut.len() / 2);
        for (artifact, why) in [
            (unsigned, "nobody has signed"),
            (by_other, "none of the keys"),
            (flipped, "artifact"),
            (cut, "artifact"),
        ] {
            let (status, told) = workshop.hand_in(&running, &artifact);
            assert_eq!(status, 422, "{told}");
            assert!(told.contains(why), "{told}");
        }
        let right = workshop.write("fort-6", Some("ours"), &[]);
        let (status, told) = workshop.hand_in(&running, &right);
        assert_eq!(status, 201, "{told}");
    });
}
