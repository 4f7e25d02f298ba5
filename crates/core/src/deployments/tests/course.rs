//! Phases, windows, stops, pauses and tags.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::releases::tests::{Desk, for_forts, operator};
use crate::twin::{Edit, Steering};
use crate::{Core, Settings};

/// Devices of the shop besides those that there are: `f0` to `f9`.
const FORTS: usize = 10;

impl Desk {
    /// With the release `fort-1` and ten forts, and a session for each.
    async fn with_forts() -> (Self, Vec<Session>) {
        let desk = Self::open().await;
        desk.add("fort-1", for_forts()).await;
        let mut sessions = Vec::new();
        for number in 0..FORTS {
            let (device, site) = (format!("f{number}"), "shop".parse().unwrap());
            let (hub, id) = (Actor::hub(), device.parse().unwrap());
            let made = desk.core.identity.create_device(&hub, id, site, None);
            made.await.unwrap();
            sessions.push(desk.session(&device).await);
        }
        (desk, sessions)
    }

    async fn to_forts(&self, plan: Plan) -> DeploymentId {
        let devices = (0..FORTS).map(|number| format!("f{number}").parse().unwrap());
        let target = Target::Devices(devices.collect());
        self.deploy_as("fort-1", target, plan).await.unwrap().id
    }

    async fn state(&self, id: &DeploymentId) -> State {
        let got = self.core.deployments.get(&Actor::hub(), id).await;
        got.unwrap().state
    }

    /// Which of the sessions are offered the release.
    async fn offered(&self, sessions: &[Session]) -> Vec<usize> {
        let mut offered = Vec::new();
        for (number, session) in sessions.iter().enumerate() {
            if self.due(session, "fort-0").await.is_some() {
                offered.push(number);
            }
        }
        offered
    }

    async fn tag(&self, device: &str, tags: serde_json::Value) {
        let steering = Steering {
            tags: Some(Edit::Merge(tags)),
            ..Steering::default()
        };
        let (hub, device) = (Actor::hub(), device.parse().unwrap());
        let steered = self.core.twins.steer(&hub, &device, steering, None);
        steered.await.unwrap();
    }
}

fn phases(shares: &[&str]) -> Phases {
    let shares: Vec<Share> = shares.iter().map(|share| share.parse().unwrap()).collect();
    shares.try_into().unwrap()
}

fn in_phases(shares: &[&str]) -> Plan {
    Plan {
        phases: phases(shares),
        ..Plan::default()
    }
}

fn to_tag(tag: &str, stands: bool) -> Target {
    let tag = tag.parse().unwrap();
    Target::Tag(Tagged { tag, stands })
}

#[tokio::test]
async fn a_phase_begins_when_all_of_the_one_before_have_ended_well() {
    let (desk, sessions) = Desk::with_forts().await;
    let id = desk.to_forts(in_phases(&["10%", "30%", "100%"])).await;
    for (offered, ended) in [(1, 0), (3, 1), (10, 3)] {
        let now = desk.offered(&sessions).await;
        assert_eq!(now.len() + ended, offered);
        let (last, others) = now.split_last().unwrap();
        for number in others {
            desk.say(&sessions[*number], &id, Progress::Success).await;
        }
        let left = desk.offered(&sessions).await;
        assert_eq!(left, [*last], "the next phase began too soon");
        desk.say(&sessions[*last], &id, Progress::Success).await;
    }
    assert_eq!(desk.state(&id).await, State::Ended);
    assert_eq!(desk.progress(&id).await, [(Progress::Success, 10)]);
}

#[tokio::test]
async fn a_stated_share_is_enough_and_who_it_is_not_for_or_is_revoked_does_not_count() {
    let (desk, sessions) = Desk::with_forts().await;
    let plan = Plan {
        next_at: "50%".parse().unwrap(),
        ..in_phases(&["40%", "100%"])
    };
    let id = desk.to_forts(plan).await;
    let first = desk.offered(&sessions).await;
    assert_eq!(first.len(), 4);
    desk.say(&sessions[first[0]], &id, Progress::Failure).await;
    desk.say(&sessions[first[1]], &id, Progress::Success).await;
    assert_eq!(desk.offered(&sessions).await.len(), 2);
    // One of four has ended well; without this one it is one of three.
    let other = On {
        device_type: "till".to_owned(),
        ..fort("fort-0")
    };
    let due = desk.core.deployments.next(&sessions[first[2]], other).await;
    assert_eq!(due.unwrap(), None);
    assert_eq!(desk.offered(&sessions).await.len(), 1);
    // And of two.
    let device = format!("f{}", first[3]).parse().unwrap();
    let identity = &desk.core.identity;
    identity
        .revoke_device(&Actor::hub(), &device)
        .await
        .unwrap();
    let rest: Vec<_> = (0..FORTS)
        .filter(|number| !first.contains(number))
        .collect();
    for number in &rest {
        let due = desk.due(&sessions[*number], "fort-0").await;
        assert_eq!(due.as_deref(), Some("fort-1"), "f{number}");
    }
}

#[tokio::test]
async fn an_operator_begins_the_next_phase_whatever_has_become_of_the_one_before() {
    let (desk, sessions) = Desk::with_forts().await;
    let id = desk.to_forts(in_phases(&["10%", "20%", "100%"])).await;
    let (hub, deployments) = (Actor::hub(), &desk.core.deployments);
    let first = desk.offered(&sessions).await;
    desk.say(&sessions[first[0]], &id, Progress::Failure).await;
    assert_eq!(desk.offered(&sessions).await, [0_usize; 0]);
    deployments.advance(&hub, &id).await.unwrap();
    let second = desk.offered(&sessions).await;
    assert_eq!(second.len(), 1);
    // From here on it goes by itself.
    desk.say(&sessions[second[0]], &id, Progress::Success).await;
    assert_eq!(desk.offered(&sessions).await.len(), 8);
    let further = deployments.advance(&hub, &id).await;
    assert!(
        matches!(further, Err(Refusal::Invalid { .. })),
        "{further:?}"
    );
}

#[tokio::test]
async fn too_many_failures_stop_it_until_it_is_resumed_and_are_counted_anew_then() {
    let (desk, sessions) = Desk::with_forts().await;
    let plan = Plan {
        stop_at: Some("2".parse().unwrap()),
        ..Plan::default()
    };
    let id = desk.to_forts(plan).await;
    let (hub, deployments) = (Actor::hub(), &desk.core.deployments);
    assert_eq!(desk.offered(&sessions).await.len(), 10);
    desk.say(&sessions[0], &id, Progress::Success).await;
    desk.say(&sessions[1], &id, Progress::Failure).await;
    desk.say(&sessions[9], &id, Progress::Downloading).await;
    assert_eq!(desk.state(&id).await, State::Running);
    desk.say(&sessions[2], &id, Progress::Failure).await;
    let since = desk.core.clock.now();
    let ends = Ends { well: 1, failed: 2 };
    assert_eq!(desk.state(&id).await, State::Stopped { since, ends });
    assert_eq!(desk.offered(&sessions).await, [0_usize; 0]);
    // One that was at it comes to its end, and has what it needs for that.
    deployments.brought(&sessions[9], &id).await.unwrap();
    desk.say(&sessions[9], &id, Progress::Success).await;
    let resumed = deployments.resume(&hub, &id).await.unwrap();
    assert_eq!(resumed.state, State::Running);
    assert_eq!(desk.offered(&sessions).await.len(), 6);
    desk.say(&sessions[3], &id, Progress::Failure).await;
    assert_eq!(desk.state(&id).await, State::Running);
    desk.say(&sessions[4], &id, Progress::Failure).await;
    let ends = Ends { well: 0, failed: 2 };
    assert_eq!(desk.state(&id).await, State::Stopped { since, ends });
}

#[tokio::test]
async fn while_it_is_paused_nobody_is_offered_anything_and_a_restart_changes_nothing() {
    let (desk, sessions) = Desk::with_forts().await;
    let id = desk.to_forts(in_phases(&["50%", "100%"])).await;
    let hub = Actor::hub();
    desk.core.deployments.pause(&hub, &id).await.unwrap();
    assert_eq!(desk.offered(&sessions).await, [0_usize; 0]);
    // One that is on it already is heard all the same.
    assert_eq!(desk.due(&sessions[0], "fort-1").await, None);
    let before = desk.core.deployments.get(&hub, &id).await.unwrap();
    let by = hub.name();
    let since = desk.core.clock.now();
    assert_eq!(before.state, State::Paused { since, by });
    let counts = [(Progress::Pending, 9), (Progress::AlreadyInstalled, 1)];
    assert_eq!(before.counts, counts);
    drop(sessions);
    let (folder, clock) = (desk.folder, desk.core.clock.clone());
    drop(desk.core);
    let settings = Settings {
        clock,
        ..Settings::new(folder.path())
    };
    let core = Core::open(&settings).unwrap();
    let after = core.deployments.get(&hub, &id).await.unwrap();
    assert_eq!(after, before);
    let resumed = core.deployments.resume(&hub, &id).await.unwrap();
    assert_eq!(resumed.state, State::Running);
}

#[tokio::test]
async fn outside_its_windows_nothing_is_offered() {
    let (desk, sessions) = Desk::with_forts().await;
    // The clock stands at 2027-01-15T08:00:00Z.
    let windows = Windows::read("Europe/Stockholm", &["10:00-11:00".to_owned()]);
    let plan = Plan {
        windows: Some(windows.unwrap()),
        ..Plan::default()
    };
    desk.to_forts(plan).await;
    assert_eq!(desk.offered(&sessions).await, [0_usize; 0]);
    desk.core.clock.advance(Duration::from_hours(1));
    assert_eq!(desk.offered(&sessions).await.len(), 10);
    desk.core.clock.advance(Duration::from_hours(1));
    assert_eq!(desk.offered(&sessions).await, [0_usize; 0]);
}

#[tokio::test]
async fn who_has_a_tag_gets_it_and_who_gets_the_tag_later_as_long_as_it_stands() {
    let (desk, sessions) = Desk::with_forts().await;
    desk.tag("f1", json!({"ring": "first"})).await;
    let now = desk.deploy_as("fort-1", to_tag("ring=first", false), Plan::default());
    let now = now.await.unwrap().id;
    assert_eq!(desk.offered(&sessions).await, [1]);
    desk.tag("f2", json!({"ring": "first"})).await;
    assert_eq!(desk.offered(&sessions).await, [1]);
    desk.say(&sessions[1], &now, Progress::Success).await;
    assert_eq!(desk.state(&now).await, State::Ended);

    desk.add("fort-2", for_forts()).await;
    let stands = desk.deploy_as("fort-2", to_tag("ring=first", true), Plan::default());
    let stands = stands.await.unwrap().id;
    assert_eq!(desk.offered(&sessions).await, [1, 2]);
    desk.tag("f3", json!({"ring": "first"})).await;
    desk.tag("f4", json!({"ring": "second"})).await;
    assert_eq!(desk.offered(&sessions).await, [1, 2, 3]);
    for session in &sessions[1..=3] {
        desk.say(session, &stands, Progress::Success).await;
    }
    assert_eq!(desk.state(&stands).await, State::Running);
    let deployments = &desk.core.deployments;
    deployments.abort(&Actor::hub(), &stands).await.unwrap();
    desk.tag("f5", json!({"ring": "first"})).await;
    assert_eq!(desk.offered(&sessions).await, [0_usize; 0]);
}

#[tokio::test]
async fn what_stands_for_a_tag_ends_with_its_release() {
    let (desk, sessions) = Desk::with_forts().await;
    let stands = desk.deploy_as("fort-1", to_tag("canary", true), Plan::default());
    let id = stands.await.unwrap().id;
    let release = "fort-1".parse().unwrap();
    let retired = desk.core.releases.retire(&Actor::hub(), &release).await;
    retired.unwrap();
    assert!(matches!(desk.state(&id).await, State::Aborted { .. }));
    desk.tag("f1", json!({"canary": true})).await;
    assert_eq!(desk.offered(&sessions).await, [0_usize; 0]);
}

#[tokio::test]
async fn whoever_sees_one_site_reaches_a_tag_there_alone_and_steers_no_more_than_they_see() {
    let (desk, sessions) = Desk::with_forts().await;
    let deployments = &desk.core.deployments;
    let shop = operator(Role::Operator, Some("shop"));
    let mill = operator(Role::Operator, Some("mill"));
    for device in ["f1", "t9"] {
        desk.tag(device, json!({"canary": true})).await;
    }
    let release = || "fort-1".parse().unwrap();
    let made = deployments.create(&shop, release(), to_tag("canary", true), Plan::default());
    let own = made.await.unwrap();
    assert_eq!(own.counts, [(Progress::Pending, 1)]);
    desk.tag("t9", json!({"canary": null})).await;
    desk.tag("t9", json!({"canary": true})).await;
    let seen = deployments.get(&Actor::hub(), &own.id).await.unwrap();
    assert_eq!(seen.counts, [(Progress::Pending, 1)]);
    for denied in [
        deployments.pause(&mill, &own.id).await,
        deployments.resume(&mill, &own.id).await,
        deployments.advance(&mill, &own.id).await,
    ] {
        assert!(
            matches!(denied, Err(Refusal::NotFound { .. })),
            "{denied:?}"
        );
    }
    deployments.pause(&shop, &own.id).await.unwrap();
    let viewer = operator(Role::Viewer, None);
    let denied = deployments.resume(&viewer, &own.id).await;
    assert!(
        matches!(denied, Err(Refusal::Forbidden { .. })),
        "{denied:?}"
    );
    // What stands for all sites is not one site's to steer, though only its devices are in it.
    let made = desk.deploy_as("fort-1", to_tag("other", true), Plan::default());
    let all = made.await.unwrap();
    desk.tag("f2", json!({"other": true})).await;
    let denied = deployments.pause(&shop, &all.id).await;
    assert!(
        matches!(denied, Err(Refusal::Forbidden { .. })),
        "{denied:?}"
    );
    assert_eq!(desk.offered(&sessions).await, [2]);
}

#[tokio::test]
async fn what_has_ended_is_neither_paused_nor_resumed() {
    let (desk, sessions) = Desk::with_forts().await;
    let id = desk.deploy("fort-1", &["f0"]).await;
    desk.say(&sessions[0], &id, Progress::Success).await;
    let aborted = desk.deploy("fort-1", &["f1"]).await;
    let (hub, deployments) = (Actor::hub(), &desk.core.deployments);
    deployments.abort(&hub, &aborted).await.unwrap();
    for id in [&id, &aborted] {
        for denied in [
            deployments.pause(&hub, id).await,
            deployments.resume(&hub, id).await,
            deployments.advance(&hub, id).await,
        ] {
            assert!(matches!(denied, Err(Refusal::Invalid { .. })), "{denied:?}");
        }
    }
}
