use super::*;
use crate::identity::{TicketFor, Ticketed};
use crate::releases::Described;
use crate::releases::tests::{Desk, for_forts, operator};
use crate::sessions::Session;

mod course;

impl Desk {
    async fn deploy(&self, release: &str, devices: &[&str]) -> DeploymentId {
        let devices = devices.iter().map(|name| name.parse().unwrap()).collect();
        let made = self.deploy_as(release, Target::Devices(devices), Plan::default());
        made.await.unwrap().id
    }

    async fn deploy_as(
        &self,
        release: &str,
        target: Target,
        plan: Plan,
    ) -> Result<Deployment, Refusal> {
        let (hub, release) = (Actor::hub(), release.parse().unwrap());
        let deployments = &self.core.deployments;
        deployments.create(&hub, release, target, plan).await
    }

    /// What is due for a fort that is on `on`.
    async fn due(&self, session: &Session, on: &str) -> Option<String> {
        let due = self.core.deployments.next(session, fort(on)).await.unwrap();
        due.map(|due| due.release.name.to_string())
    }

    async fn say(&self, session: &Session, id: &DeploymentId, progress: Progress) {
        let said = self.core.deployments.report(session, id, progress, None);
        said.await.unwrap();
    }

    async fn progress(&self, id: &DeploymentId) -> Vec<(Progress, u64)> {
        let got = self.core.deployments.get(&Actor::hub(), id).await;
        got.unwrap().counts
    }
}

fn fort(on: &str) -> On {
    On {
        name: on.to_owned(),
        device_type: "fort".to_owned(),
        more: std::collections::BTreeMap::new(),
    }
}

#[tokio::test]
async fn a_device_gets_what_is_deployed_to_it_until_it_says_that_it_has_it() {
    let desk = Desk::open().await;
    desk.add("fort-1", for_forts()).await;
    let (one, other) = (desk.session("t7").await, desk.session("t8").await);
    assert_eq!(desk.due(&one, "fort-0").await, None);
    let id = desk.deploy("fort-1", &["t7"]).await;
    assert_eq!(desk.due(&one, "fort-0").await.as_deref(), Some("fort-1"));
    assert_eq!(desk.due(&other, "fort-0").await, None);
    for progress in [Progress::Downloading, Progress::Installing] {
        desk.say(&one, &id, progress).await;
        desk.say(&one, &id, progress).await;
        assert_eq!(desk.progress(&id).await, [(progress, 1)]);
        assert_eq!(desk.due(&one, "fort-0").await.as_deref(), Some("fort-1"));
    }
    desk.say(&one, &id, Progress::Success).await;
    desk.say(&one, &id, Progress::Failure).await;
    assert_eq!(desk.progress(&id).await, [(Progress::Success, 1)]);
    assert_eq!(desk.due(&one, "fort-1").await, None);
}

#[tokio::test]
async fn a_device_has_no_part_in_the_deployments_of_others() {
    let desk = Desk::open().await;
    desk.add("fort-1", for_forts()).await;
    let id = desk.deploy("fort-1", &["t7"]).await;
    let other = desk.session("t8").await;
    let deployments = &desk.core.deployments;
    let reported = deployments.report(&other, &id, Progress::Success, None);
    assert!(matches!(reported.await, Err(Refusal::NotFound { .. })));
    let logged = deployments.keep_log(&other, &id, "log").await;
    assert!(matches!(logged, Err(Refusal::NotFound { .. })));
    let brought = deployments.brought(&other, &id).await;
    assert!(matches!(brought, Err(Refusal::NotFound { .. })));
    assert_eq!(desk.progress(&id).await, [(Progress::Pending, 1)]);
}

#[tokio::test]
async fn nothing_older_than_what_a_device_has_confirmed_is_offered_to_it() {
    let desk = Desk::open().await;
    for name in ["fort-1", "fort-2"] {
        desk.add(name, for_forts()).await;
    }
    let session = desk.session("t7").await;
    let second = desk.deploy("fort-2", &["t7"]).await;
    desk.due(&session, "fort-1").await;
    desk.say(&session, &second, Progress::Success).await;
    let first = desk.deploy("fort-1", &["t7"]).await;
    // Though it says that it has lost what it was on.
    assert_eq!(desk.due(&session, "fort-0").await, None);
    assert_eq!(desk.progress(&first).await, [(Progress::Older, 1)]);
    // What it says it is on counts as well.
    desk.due(&session, "fort-10").await;
    desk.add("fort-9", for_forts()).await;
    let ninth = desk.deploy("fort-9", &["t7"]).await;
    assert_eq!(desk.due(&session, "fort-2").await, None);
    assert_eq!(desk.progress(&ninth).await, [(Progress::Older, 1)]);
}

#[tokio::test]
async fn a_release_whose_signer_lets_it_goes_back_and_is_the_measure_from_then_on() {
    let desk = Desk::open().await;
    let back = Described {
        may_go_back: true,
        ..for_forts()
    };
    desk.add("fort-1.1", back).await;
    desk.add("fort-1.2", for_forts()).await;
    let session = desk.session("t7").await;
    assert_eq!(desk.due(&session, "fort-2").await, None);
    let id = desk.deploy("fort-1.1", &["t7"]).await;
    let due = desk.due(&session, "fort-2").await;
    assert_eq!(due.as_deref(), Some("fort-1.1"));
    desk.say(&session, &id, Progress::Success).await;
    desk.deploy("fort-1.2", &["t7"]).await;
    let due = desk.due(&session, "fort-1.1").await;
    assert_eq!(due.as_deref(), Some("fort-1.2"));
}

#[tokio::test]
async fn what_is_not_for_a_device_or_there_already_comes_to_its_end_unoffered() {
    let desk = Desk::open().await;
    let mut needs = for_forts();
    needs.depends_name = vec!["fort-3".to_owned()];
    let mut feature = for_forts();
    let depends = ("board".to_owned(), vec!["b2".to_owned()]);
    feature.depends = [depends].into();
    let other = Described {
        device_types: vec!["till".to_owned()],
        ..Described::default()
    };
    let session = desk.session("t7").await;
    for (name, described, end) in [
        ("fort-4", needs, Progress::NoArtifact),
        ("fort-5", feature, Progress::NoArtifact),
        ("till-1", other, Progress::NoArtifact),
        ("fort-1", for_forts(), Progress::AlreadyInstalled),
    ] {
        desk.add(name, described).await;
        let id = desk.deploy(name, &["t7"]).await;
        assert_eq!(desk.due(&session, "fort-1").await, None, "{name}");
        assert_eq!(desk.progress(&id).await, [(end, 1)], "{name}");
    }
}

#[tokio::test]
async fn a_device_that_is_on_it_but_was_not_heard_to_say_so_has_succeeded() {
    let desk = Desk::open().await;
    desk.add("fort-1", for_forts()).await;
    let session = desk.session("t7").await;
    let id = desk.deploy("fort-1", &["t7"]).await;
    desk.due(&session, "fort-0").await;
    desk.say(&session, &id, Progress::Rebooting).await;
    assert_eq!(desk.due(&session, "fort-1").await, None);
    assert_eq!(desk.progress(&id).await, [(Progress::Success, 1)]);
}

#[tokio::test]
async fn an_aborted_deployment_and_a_retired_release_are_offered_no_more_and_say_so() {
    let desk = Desk::open().await;
    let (hub, session) = (Actor::hub(), desk.session("t7").await);
    for (name, aborts) in [("fort-1", true), ("fort-2", false)] {
        let release = desk.add(name, for_forts()).await;
        let id = desk.deploy(name, &["t7"]).await;
        assert_eq!(desk.due(&session, "fort-0").await.as_deref(), Some(name));
        if aborts {
            desk.core.deployments.abort(&hub, &id).await.unwrap();
        } else {
            let retired = desk.core.releases.retire(&hub, &release.name).await;
            retired.unwrap();
        }
        assert_eq!(desk.due(&session, "fort-0").await, None, "{name}");
        assert_eq!(desk.progress(&id).await, [(Progress::Aborted, 1)], "{name}");
        let (deployments, installing) = (&desk.core.deployments, Progress::Installing);
        let told = deployments.report(&session, &id, installing, None).await;
        assert!(matches!(told, Err(Refusal::Conflict { .. })), "{name}");
        let brought = deployments.brought(&session, &id).await;
        assert!(matches!(brought, Err(Refusal::NotFound { .. })), "{name}");
    }
}

#[tokio::test]
async fn a_log_is_kept_to_its_last_bytes() {
    let desk = Desk::open().await;
    desk.add("fort-1", for_forts()).await;
    let session = desk.session("t7").await;
    let id = desk.deploy("fort-1", &["t7"]).await;
    let log = format!("first{}last", "ö".repeat(MAX_LOG));
    let deployments = &desk.core.deployments;
    deployments.keep_log(&session, &id, &log).await.unwrap();
    let device = "t7".parse().unwrap();
    let kept = deployments.log(&Actor::hub(), &id, &device).await.unwrap();
    assert!(kept.len() <= MAX_LOG && kept.ends_with("last"));
}

#[tokio::test]
async fn whoever_sees_one_site_deploys_there_and_learns_nothing_of_others() {
    let desk = Desk::open().await;
    desk.add("fort-1", for_forts()).await;
    let shop = operator(Role::Operator, Some("shop"));
    let deployments = &desk.core.deployments;
    let beyond = Target::Devices(vec!["t9".parse().unwrap()]);
    let release = || "fort-1".parse().unwrap();
    let refused = deployments
        .create(&shop, release(), beyond, Plan::default())
        .await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    let refused = Target::Site("mill".parse().unwrap());
    let refused = deployments
        .create(&shop, release(), refused, Plan::default())
        .await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    let own = Target::Site("shop".parse().unwrap());
    let own = deployments.create(&shop, release(), own, Plan::default());
    let own = own.await.unwrap();
    assert_eq!(own.counts, [(Progress::Pending, 2)]);
    let both = desk.deploy("fort-1", &["t7", "t9"]).await;
    let seen = deployments.get(&shop, &both).await.unwrap();
    assert_eq!(seen.counts, [(Progress::Pending, 1)]);
    let aborted = deployments.abort(&shop, &both).await;
    assert!(matches!(aborted, Err(Refusal::Forbidden { .. })));
    let mill = operator(Role::Operator, Some("mill"));
    let unseen = deployments.get(&mill, &own.id).await;
    assert!(matches!(unseen, Err(Refusal::NotFound { .. })));
    let viewer = operator(Role::Viewer, None);
    let own = Target::Site("shop".parse().unwrap());
    let refused = deployments
        .create(&viewer, release(), own, Plan::default())
        .await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
}

#[tokio::test]
async fn a_ticket_is_for_one_thing_and_ends_with_the_credential_by_which_it_was_got() {
    let desk = Desk::open().await;
    let identity = &desk.core.identity;
    let by = desk.by_key("t7").await;
    let lasts = std::time::Duration::from_secs(60);
    let ticket = identity.ticket(TicketFor::Download, &by, "dp-1", lasts);
    let text = ticket.unwrap().text;
    let shown = identity.by_ticket(TicketFor::Download, text.expose()).await;
    let Ticketed { identified, about } = shown.unwrap();
    assert_eq!(
        (identified.credential, about.as_str()),
        (by.credential.clone(), "dp-1")
    );
    let other = identity.by_ticket(TicketFor::Updates, text.expose()).await;
    assert!(matches!(other, Err(Refusal::Unauthenticated)));
    let mut changed = text.expose().to_vec();
    changed[3] ^= 1;
    let changed = identity.by_ticket(TicketFor::Download, &changed).await;
    assert!(matches!(changed, Err(Refusal::Unauthenticated)));
    desk.core.clock.advance(lasts);
    let late = identity.by_ticket(TicketFor::Download, text.expose()).await;
    assert!(matches!(late, Err(Refusal::Unauthenticated)));
    let ticket = identity.ticket(TicketFor::Download, &by, "dp-1", lasts);
    let text = ticket.unwrap().text;
    let device = "t7".parse().unwrap();
    let revoked = identity.revoke_device(&Actor::hub(), &device).await;
    revoked.unwrap();
    let after = identity.by_ticket(TicketFor::Download, text.expose()).await;
    assert!(matches!(after, Err(Refusal::Revoked)), "{after:?}");
}
