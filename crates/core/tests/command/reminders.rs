//! Who is reminded that commands wait.

use std::time::Duration;

use outgate_core::commands::Settlement;
use outgate_core::reminders::{Due, Names, Reminded, Reminding};

use crate::hub::{HOUR, Hub, admin, command, till};

const AFTER: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_secs(180);

/// What somebody else's service has given the device to be reached by.
const TOKEN: &str = "token-1";

impl Hub {
    /// One that reminds of all commands, and the device can be reached.
    async fn reminding() -> Self {
        Self::reminding_of("*").await
    }

    async fn reminding_of(names: &str) -> Self {
        let hub = Self::new().await;
        hub.remind_of(names).await;
        let session = hub.session("till-1").await;
        let registrations = &hub.core.registrations;
        let reported = registrations.replace(session.pass(), vec![TOKEN.to_owned()]);
        reported.await.unwrap();
        hub
    }

    async fn remind_of(&self, names: &str) {
        let reminding = Reminding {
            of: vec![Names::read(names).unwrap()],
            after: AFTER,
            every: EVERY,
        };
        self.core.reminders.set_up(reminding).await.unwrap();
    }

    /// Who is to be reminded now.
    async fn due(&self) -> Due {
        self.core.reminders.due(10).await.unwrap()
    }

    /// Nobody is to be reminded now; somebody may be in so long.
    async fn nobody_for(&self, next: Option<Duration>) {
        let due = self.due().await;
        assert!(due.reminders.is_empty(), "{due:?}");
        assert_eq!(due.next, next);
    }

    /// The device is to be reminded now.
    async fn till_is_due(&self) {
        let due = self.due().await;
        let [one] = &due.reminders[..] else {
            panic!("one is due: {due:?}");
        };
        assert_eq!(one.device, *till());
        assert!(one.at[0].token.matches(TOKEN.as_bytes()));
    }

    async fn ended(&self, how: Reminded) {
        self.core.reminders.ended(till(), how).await.unwrap();
    }
}

#[tokio::test]
async fn commands_that_come_within_the_time_are_one_reminder_and_later_ones_wait_for_the_next() {
    let hub = Hub::reminding().await;
    let mut changes = hub.core.reminders.changes();
    hub.send("one").await;
    assert!(changes.has_changed().unwrap());
    hub.nobody_for(Some(AFTER)).await;
    for _ in 0..9 {
        hub.core.clock.advance(AFTER / 10);
        hub.send("more").await;
    }
    changes.borrow_and_update();
    hub.nobody_for(Some(AFTER / 10)).await;
    hub.core.clock.advance(AFTER / 10);
    hub.till_is_due().await;
    hub.nobody_for(None).await;
    hub.ended(Reminded::Done).await;
    assert!(changes.has_changed().unwrap());
    hub.nobody_for(None).await;
    hub.core.clock.advance(AFTER);
    hub.send("later").await;
    hub.nobody_for(Some(EVERY - AFTER)).await;
    hub.core.clock.advance(EVERY - AFTER);
    hub.till_is_due().await;
}

#[tokio::test]
async fn a_reminder_tells_until_when_the_last_command_waits() {
    let hub = Hub::reminding().await;
    hub.send("one").await;
    let day = outgate_core::commands::NewCommand {
        lasts: 24 * HOUR,
        ..command("two")
    };
    let sent = hub.core.commands.send(admin(), till(), day).await.unwrap();
    hub.core.clock.advance(AFTER);
    assert_eq!(hub.due().await.reminders[0].until, sent.expires);
}

#[tokio::test]
async fn a_device_that_is_there_is_reminded_once_it_has_gone_and_left_commands() {
    let hub = Hub::reminding().await;
    let session = hub.session("till-1").await;
    hub.send("one").await;
    hub.core.clock.advance(AFTER);
    hub.nobody_for(Some(EVERY)).await;
    hub.core.clock.advance(EVERY);
    hub.nobody_for(Some(EVERY)).await;
    // It has taken it and done nothing.
    hub.take(&session).await;
    drop(session);
    hub.core.clock.advance(EVERY - AFTER);
    // What comes now is not put off because the device was there.
    hub.send("two").await;
    hub.core.clock.advance(AFTER);
    hub.till_is_due().await;
}

#[tokio::test]
async fn a_command_that_comes_after_a_put_off_device_has_gone_does_not_wait_for_that() {
    let hub = Hub::reminding().await;
    let session = hub.session("till-1").await;
    hub.send("one").await;
    hub.core.clock.advance(AFTER);
    hub.nobody_for(Some(EVERY)).await;
    drop(session);
    hub.send("two").await;
    hub.nobody_for(Some(AFTER)).await;
}

#[tokio::test]
async fn whoever_has_nothing_waiting_or_may_not_come_or_is_nowhere_reached_is_not_reminded() {
    let hub = Hub::reminding().await;
    let sent = hub.send("one").await;
    let cancelled = hub.core.commands.cancel(admin(), till(), &sent.id).await;
    cancelled.unwrap();
    hub.core.clock.advance(AFTER);
    hub.nobody_for(None).await;

    let sent = hub.send("two").await;
    let session = hub.session("till-1").await;
    hub.take(&session).await;
    let settled = hub.settle(&session, &sent, Settlement::Completed).await;
    settled.unwrap();
    drop(session);
    hub.core.clock.advance(AFTER);
    hub.nobody_for(None).await;

    hub.send("three").await;
    hub.core.clock.advance(HOUR);
    hub.nobody_for(None).await;

    hub.send("four").await;
    let revoked = hub.core.identity.revoke_device(admin(), till()).await;
    revoked.unwrap();
    hub.core.clock.advance(AFTER);
    hub.nobody_for(None).await;

    let clock = outgate_core::id::DeviceId::clone(&crate::hub::id("clock-1"));
    let sent = hub
        .core
        .commands
        .send(admin(), &clock, command("one"))
        .await;
    sent.unwrap();
    hub.core.clock.advance(AFTER);
    hub.nobody_for(None).await;
}

#[tokio::test]
async fn a_command_that_comes_while_somebody_is_reminded_makes_another_reminder() {
    let hub = Hub::reminding().await;
    hub.send("one").await;
    hub.core.clock.advance(AFTER);
    hub.till_is_due().await;
    hub.send("two").await;
    hub.core.clock.advance(EVERY);
    // Not both at once.
    hub.nobody_for(None).await;
    hub.ended(Reminded::Done).await;
    hub.till_is_due().await;
}

#[tokio::test]
async fn what_could_not_be_done_is_due_again_and_what_a_restart_broke_off_at_once() {
    let hub = Hub::reminding().await;
    hub.send("one").await;
    hub.core.clock.advance(AFTER);
    hub.till_is_due().await;
    hub.ended(Reminded::Later).await;
    hub.nobody_for(Some(EVERY)).await;
    hub.core.clock.advance(EVERY);
    hub.till_is_due().await;
    let hub = hub.restarted();
    hub.nobody_for(None).await;
    hub.remind_of("*").await;
    hub.till_is_due().await;
    hub.ended(Reminded::Done).await;
    let hub = hub.restarted();
    hub.remind_of("*").await;
    hub.nobody_for(None).await;
}

#[tokio::test]
async fn only_commands_that_are_meant_are_reminded_of_and_none_by_default() {
    let hub = Hub::new().await;
    hub.send("door/open").await;
    hub.core.clock.advance(AFTER);
    hub.nobody_for(None).await;
    let hub = Hub::reminding_of("door/*").await;
    hub.send("print").await;
    hub.nobody_for(None).await;
    hub.send("door/open").await;
    hub.core.clock.advance(AFTER);
    hub.till_is_due().await;
}
