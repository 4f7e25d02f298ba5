//! Commands that are sent at times which were written down once.

use std::time::Duration;

use outgate_core::commands::{CommandState, NewCommand, Settlement};
use outgate_core::identity::{Actor, Role, Scope};
use outgate_core::schedules::{
    Fired, FiredDevice, How, LATE, MAX_MADE_GOOD, MAX_NAMED, MAX_SPREAD, Missed, NewSchedule,
    Outcome, Whom,
};
use outgate_core::{Refusal, Timestamp};

use crate::hub::{HOUR, Hub, actor, admin, command, id, page, till};

const MINUTE: Duration = Duration::from_secs(60);

/// Every hour, for a till.
pub(crate) fn hourly() -> NewSchedule {
    NewSchedule {
        name: id("reload"),
        cron: "0 * * * *".parse().unwrap(),
        zone: "UTC".parse().unwrap(),
        whom: Whom::Devices(vec![id("till-1")]),
        command: command("reload"),
        missed: Missed::Skip,
        spread: Duration::ZERO,
    }
}

impl Hub {
    async fn with(new: NewSchedule) -> Self {
        let hub = Self::new().await;
        let made = hub.core.schedules.add_schedule(admin(), new).await;
        made.unwrap();
        hub
    }

    /// Goes on until something is due, and does it.
    async fn until_due(&self) {
        let next = self.fire().await.expect("something comes");
        self.core.clock.advance(next);
        self.fire().await;
    }

    async fn fire(&self) -> Option<Duration> {
        self.core.schedules.fire().await.unwrap()
    }

    /// What became of the moments of `reload`, the oldest first.
    async fn history(&self) -> Vec<Fired> {
        let (name, page) = (id("reload"), page(1_000));
        let firings = self.core.schedules.firings(admin(), &name, &page).await;
        let mut listed = firings.unwrap().items;
        listed.reverse();
        listed
    }

    async fn came(&self) -> Vec<How> {
        self.history().await.iter().map(|one| one.how).collect()
    }

    async fn devices(&self, firing: &Fired) -> Vec<FiredDevice> {
        let (name, page) = (id("reload"), page(1_000));
        let schedules = &self.core.schedules;
        let devices = schedules.fired_devices(admin(), &name, &firing.id, &page);
        devices.await.unwrap().items
    }

    /// How many commands a device has been sent.
    async fn sent(&self, device: &str) -> usize {
        let commands = &self.core.commands;
        let listed = commands.list(admin(), &id(device), &page(1_000)).await;
        listed.unwrap().items.len()
    }
}

#[tokio::test]
async fn a_device_gets_its_command_does_it_and_the_history_says_so() {
    let hub = Hub::with(hourly()).await;
    let session = hub.session("till-1").await;
    hub.until_due().await;
    let taken = hub.core.commands.take(&session, 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(
        (taken[0].name.as_str(), &taken[0].payload[..]),
        ("reload", &b"reload"[..])
    );
    assert_eq!(taken[0].properties["colour"], "blue");
    let fired = hub.history().await.remove(0);
    assert_eq!(fired.how, How::Fired);
    assert_eq!(fired.due.as_millis() % 3_600_000, 0);
    assert_eq!(fired.counts, [(Outcome::Delivered, 1)]);
    let done = hub
        .core
        .commands
        .settle(&session, &taken[0].id, Settlement::Completed);
    done.await.unwrap();
    let fired = hub.history().await.remove(0);
    assert_eq!(fired.counts, [(Outcome::Completed, 1)]);
    let devices = hub.devices(&fired).await;
    assert_eq!(devices[0].device, *till());
    assert_eq!(devices[0].command.as_ref(), Some(&taken[0].id));
    assert_eq!(devices[0].ended, Some(hub.core.clock.now()));
    // The next hour has its own.
    hub.until_due().await;
    assert_eq!(
        (hub.sent("till-1").await, hub.history().await.len()),
        (2, 2)
    );
    assert_eq!(hub.sent("clock-1").await, 0);
}

#[tokio::test]
async fn however_a_command_ends_the_history_has_it() {
    let mut new = hourly();
    new.cron = "* * * * *".parse().unwrap();
    let hub = Hub::with(new).await;
    let session = hub.session("till-1").await;
    hub.until_due().await;
    let taken = hub.core.commands.take(&session, 1).await.unwrap();
    let rejected = hub
        .core
        .commands
        .settle(&session, &taken[0].id, Settlement::Rejected);
    rejected.await.unwrap();
    hub.until_due().await;
    hub.core.commands.cancel_all(admin(), till()).await.unwrap();
    hub.until_due().await;
    let paused = hub.core.schedules.pause(admin(), &id("reload")).await;
    assert_eq!(paused.unwrap().next, None);
    hub.core.clock.advance(HOUR);
    let outcomes = |history: &[Fired]| -> Vec<_> {
        history.iter().flat_map(|one| one.counts.clone()).collect()
    };
    let expected = [
        (Outcome::Rejected, 1),
        (Outcome::Cancelled, 1),
        (Outcome::Expired, 1),
    ];
    // It has expired though nobody has looked at the queue, and still when somebody has.
    assert_eq!(outcomes(&hub.history().await), expected);
    assert!(
        hub.core
            .commands
            .take(&session, 1)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(outcomes(&hub.history().await), expected);
}

#[tokio::test]
async fn a_moment_comes_once_though_many_look_and_the_hub_starts_anew() {
    let hub = Hub::with(hourly()).await;
    let next = hub.fire().await.unwrap();
    hub.core.clock.advance(next);
    let others = [(); 8].map(|()| {
        let schedules = hub.core.schedules.clone();
        tokio::spawn(async move { schedules.fire().await })
    });
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(
        (hub.sent("till-1").await, hub.history().await.len()),
        (1, 1)
    );
    let hub = hub.restarted();
    assert_eq!(hub.fire().await, Some(HOUR));
    assert_eq!(
        (hub.sent("till-1").await, hub.history().await.len()),
        (1, 1)
    );
    // Nor is the moment lost for which it starts anew.
    hub.core.clock.advance(HOUR);
    let hub = hub.restarted();
    hub.fire().await;
    assert_eq!(
        (hub.sent("till-1").await, hub.history().await.len()),
        (2, 2)
    );
}

#[tokio::test]
async fn what_was_missed_is_left_out_made_good_once_or_one_by_one_as_the_schedule_says() {
    for (missed, came, sent) in [
        (Missed::Skip, vec![How::Missed], 0),
        (Missed::Once, vec![How::MadeGood], 1),
        (Missed::All, vec![How::MadeGood; 5], 5),
    ] {
        let hub = Hub::with(NewSchedule { missed, ..hourly() }).await;
        let next = hub.fire().await.unwrap();
        hub.core.clock.advance(next + 4 * HOUR + LATE + MINUTE);
        let hub = hub.restarted();
        let next = hub.fire().await.unwrap();
        assert_eq!(hub.came().await, came, "{missed:?}");
        assert_eq!(hub.sent("till-1").await, sent, "{missed:?}");
        assert_eq!(next, HOUR - LATE - MINUTE, "{missed:?}");
        hub.until_due().await;
        assert_eq!(hub.came().await.last(), Some(&How::Fired), "{missed:?}");
    }
    // A little late is not missed.
    let hub = Hub::with(hourly()).await;
    let next = hub.fire().await.unwrap();
    hub.core.clock.advance(next + LATE);
    hub.fire().await;
    assert_eq!(hub.came().await, [How::Fired]);
}

#[tokio::test]
async fn no_more_is_made_good_in_a_row_than_the_bound() {
    let mut new = NewSchedule {
        missed: Missed::All,
        ..hourly()
    };
    new.cron = "* * * * *".parse().unwrap();
    let hub = Hub::with(new).await;
    hub.core.clock.advance(24 * HOUR);
    while hub.fire().await == Some(Duration::ZERO) {}
    assert_eq!(hub.sent("till-1").await as u64, MAX_MADE_GOOD);
    let came = hub.came().await;
    // And no more of them is kept.
    assert_eq!((came.len(), came.last()), (100, Some(&How::Missed)));
    hub.until_due().await;
    assert_eq!(hub.came().await.last(), Some(&How::Fired));
    assert_eq!(hub.history().await.len(), 100);
}

#[tokio::test]
async fn devices_are_spread_each_at_its_place_and_a_moment_that_comes_too_soon_is_left_out() {
    let hub = Hub::new().await;
    for number in 0..20 {
        let (device, site) = (id(&format!("fort-{number}")), id("mill"));
        let made = hub.core.identity.create_device(admin(), device, site, None);
        made.await.unwrap();
    }
    let mut new = hourly();
    new.whom = Whom::Site(id("mill"));
    new.spread = 90 * MINUTE;
    hub.core.schedules.add_schedule(admin(), new).await.unwrap();
    hub.until_due().await;
    let first = hub.history().await.remove(0);
    let places: Vec<_> = hub
        .devices(&first)
        .await
        .into_iter()
        .map(|it| it.due)
        .collect();
    assert_eq!(places.len(), 21);
    let spread = |due: Timestamp| due.since(first.due) < 90 * MINUTE;
    assert!(
        places.iter().flatten().all(|due| spread(*due)),
        "{places:?}"
    );
    let distinct: std::collections::BTreeSet<_> = places.iter().flatten().collect();
    assert!(distinct.len() > 15, "{places:?}");
    // The second hour comes before the first is through.
    let end = hub.core.clock.now().after(2 * HOUR);
    while let Some(next) = hub.fire().await {
        if hub.core.clock.now().after(next) >= end {
            break;
        }
        hub.core.clock.advance(next);
    }
    assert_eq!(hub.came().await, [How::Fired, How::Overrun]);
    for number in 0..20 {
        assert_eq!(hub.sent(&format!("fort-{number}")).await, 1);
    }
    // In the third each device is where it was in the first.
    hub.core.clock.advance(end.since(hub.core.clock.now()));
    hub.fire().await;
    let third = hub.history().await.remove(2);
    let again: Vec<_> = hub
        .devices(&third)
        .await
        .into_iter()
        .map(|it| it.due)
        .collect();
    let later = |due: &Option<Timestamp>| due.map(|due| due.after(2 * HOUR));
    assert_eq!(again, places.iter().map(later).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_device_that_may_not_or_cannot_take_a_command_is_noted_and_the_others_get_theirs() {
    let mut new = hourly();
    new.whom = Whom::Devices(vec![id("till-1"), id("clock-1"), id("fort-1")]);
    new.spread = MINUTE;
    let hub = Hub::new().await;
    let made = hub
        .core
        .identity
        .create_device(admin(), id("fort-1"), id("mill"), None);
    made.await.unwrap();
    hub.core.schedules.add_schedule(admin(), new).await.unwrap();
    let full = NewCommand {
        payload: bytes::Bytes::from(vec![b'x'; 256 * 1024]),
        lasts: 24 * HOUR,
        ..command("full")
    };
    while hub
        .core
        .commands
        .send(admin(), till(), full.clone())
        .await
        .is_ok()
    {}
    let next = hub.fire().await.unwrap();
    hub.core.clock.advance(next);
    // Claimed, and nobody's turn yet but by chance.
    hub.fire().await;
    hub.core
        .identity
        .revoke_device(admin(), &id("clock-1"))
        .await
        .unwrap();
    hub.core.clock.advance(MINUTE);
    hub.fire().await;
    let fired = hub.history().await.remove(0);
    let outcomes = [Outcome::Queued, Outcome::Revoked, Outcome::QueueFull];
    assert_eq!(fired.counts, outcomes.map(|outcome| (outcome, 1)));
    assert_eq!(hub.sent("fort-1").await, 1);
    // The next time it is not among them at all.
    hub.until_due().await;
    let fired = hub.history().await.remove(1);
    let devices = hub.devices(&fired).await;
    let names: Vec<_> = devices.iter().map(|one| one.device.to_string()).collect();
    assert_eq!(names, ["fort-1", "till-1"]);
}

#[tokio::test]
async fn a_schedule_of_a_site_is_for_who_stands_there_when_it_comes() {
    let mut new = hourly();
    new.whom = Whom::Site(id("shop"));
    let hub = Hub::with(new).await;
    let made = hub
        .core
        .identity
        .create_device(admin(), id("till-2"), id("shop"), None);
    made.await.unwrap();
    hub.until_due().await;
    assert_eq!((hub.sent("till-1").await, hub.sent("till-2").await), (1, 1));
    assert_eq!(hub.sent("clock-1").await, 0);
}

#[tokio::test]
async fn operators_of_a_site_see_its_schedules_and_no_others() {
    let mut new = hourly();
    new.whom = Whom::Site(id("shop"));
    let hub = Hub::with(new).await;
    hub.until_due().await;
    let schedules = &hub.core.schedules;
    let (of_shop, of_mill) = (of_site("shop"), of_site("mill"));
    assert_eq!(
        schedules
            .list(&of_shop, &page(10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert!(
        schedules
            .list(&of_mill, &page(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let (name, firing) = (id("reload"), hub.history().await.remove(0).id);
    let refusals = [
        schedules.get(&of_mill, &name).await.map(drop),
        schedules.named(&of_mill, &name, &page(1)).await.map(drop),
        schedules.upcoming(&of_mill, &name, 1).await.map(drop),
        schedules.firings(&of_mill, &name, &page(1)).await.map(drop),
        schedules
            .fired_devices(&of_mill, &name, &firing, &page(1))
            .await
            .map(drop),
        schedules.pause(&of_mill, &name).await.map(drop),
        schedules.resume(&of_mill, &name).await.map(drop),
        schedules.remove_schedule(&of_mill, &name).await,
        schedules
            .add_schedule(&of_mill, other(Whom::Site(id("shop"))))
            .await
            .map(drop),
        schedules
            .add_schedule(&of_mill, other(Whom::Devices(vec![id("till-1")])))
            .await
            .map(drop),
    ];
    for refusal in refusals {
        assert!(
            matches!(refusal, Err(Refusal::NotFound { .. })),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn a_viewer_sees_schedules_and_changes_none() {
    let hub = Hub::with(hourly()).await;
    let (schedules, name) = (&hub.core.schedules, id("reload"));
    let viewer = actor(Role::Viewer, Scope::All);
    let refusals = [
        schedules.pause(&viewer, &name).await.map(drop),
        schedules.resume(&viewer, &name).await.map(drop),
        schedules.remove_schedule(&viewer, &name).await,
        schedules
            .add_schedule(&viewer, other(Whom::Site(id("shop"))))
            .await
            .map(drop),
    ];
    for refusal in refusals {
        assert!(
            matches!(refusal, Err(Refusal::Forbidden { .. })),
            "{refusal:?}"
        );
    }
    assert_eq!(schedules.get(&viewer, &name).await.unwrap().devices, 1);
}

fn of_site(site: &str) -> Actor {
    actor(Role::Admin, Scope::Site(id(site)))
}

fn other(whom: Whom) -> NewSchedule {
    NewSchedule {
        name: id("other"),
        whom,
        ..hourly()
    }
}

#[tokio::test]
async fn a_device_that_is_removed_and_made_anew_elsewhere_gets_nothing_of_a_schedule() {
    let hub = Hub::new().await;
    let of_shop = of_site("shop");
    let made = hub.core.schedules.add_schedule(&of_shop, hourly());
    assert_eq!(made.await.unwrap().site, Some(id("shop")));
    let identity = &hub.core.identity;
    identity.remove_device(admin(), till(), None).await.unwrap();
    let moved = outgate_core::identity::Declared {
        site: Some(id("mill")),
        enabled: Some(true),
        proofs: None,
    };
    let before = outgate_core::identity::Before::Nothing;
    let declared = identity.declare_device(admin(), till(), moved, before);
    declared.await.unwrap();
    hub.until_due().await;
    assert_eq!(hub.sent("till-1").await, 0);
    assert_eq!(hub.history().await[0].counts, []);
}

#[tokio::test]
async fn a_schedule_that_is_paused_misses_nothing_and_one_that_is_removed_sends_nothing_more() {
    let mut new = hourly();
    new.missed = Missed::All;
    new.spread = MINUTE;
    let hub = Hub::with(new).await;
    let (schedules, name) = (&hub.core.schedules, id("reload"));
    schedules.pause(admin(), &name).await.unwrap();
    schedules.pause(admin(), &name).await.unwrap();
    assert_eq!(hub.fire().await, None);
    hub.core.clock.advance(3 * HOUR);
    assert_eq!(hub.fire().await, None);
    let resumed = schedules.resume(admin(), &name).await.unwrap();
    assert!(resumed.next.unwrap() > hub.core.clock.now());
    hub.fire().await;
    assert_eq!(hub.came().await, []);
    assert_eq!(
        schedules.upcoming(admin(), &name, 3).await.unwrap().len(),
        3
    );
    let next = hub.fire().await.unwrap();
    hub.core.clock.advance(next);
    hub.fire().await;
    schedules.remove_schedule(admin(), &name).await.unwrap();
    hub.core.clock.advance(2 * HOUR);
    assert_eq!(hub.fire().await, None);
    assert!(matches!(
        schedules.get(admin(), &name).await,
        Err(Refusal::NotFound { .. })
    ));
    let acts: Vec<_> = hub
        .audited()
        .await
        .into_iter()
        .map(|(_, act, on)| (act, on))
        .collect();
    for act in ["add", "pause", "resume", "remove"] {
        let entry = (format!("schedule.{act}"), "schedule/reload".to_owned());
        assert!(acts.contains(&entry), "{acts:?}");
    }
}

#[tokio::test]
async fn what_is_no_good_as_a_schedule_is_refused() {
    let hub = Hub::with(hourly()).await;
    let schedules = &hub.core.schedules;
    let same = schedules.add_schedule(admin(), hourly()).await;
    assert!(matches!(same, Err(Refusal::Exists { .. })), "{same:?}");
    let everybody = (0..=MAX_NAMED).map(|number| id(&format!("fort-{number}")));
    let many = other(Whom::Devices(everybody.collect()));
    let many = schedules.add_schedule(admin(), many).await;
    assert!(matches!(many, Err(Refusal::TooMany { .. })), "{many:?}");
    let named = || other(Whom::Devices(vec![id("till-1")]));
    let mut never = named();
    never.cron = "0 0 30 2 *".parse().unwrap();
    let mut spread = named();
    spread.spread = MAX_SPREAD + MINUTE;
    let mut unnamed = named();
    unnamed.command.name = "a//b".to_owned();
    for new in [never, spread, unnamed, other(Whom::Devices(Vec::new()))] {
        let refused = schedules.add_schedule(admin(), new).await;
        assert!(
            matches!(refused, Err(Refusal::Invalid { .. })),
            "{refused:?}"
        );
    }
    let state = hub
        .core
        .commands
        .list(admin(), till(), &page(10))
        .await
        .unwrap();
    assert!(
        state
            .items
            .iter()
            .all(|it| it.state == CommandState::Queued)
    );
}
