//! Commands.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::commands::{Command, CommandState, MAX_OPEN, NewCommand, Settlement};
use outgate_core::identity::{Actor, Role, Scope};
use outgate_core::sessions::{Session, Signal};

use crate::hub::{HOUR, Hub, actor, admin, command, id, page, till};

#[tokio::test]
async fn a_command_is_told_of_taken_settled_and_listed() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let sent = hub.send("door/open").await;
    assert_eq!(sent.state, CommandState::Queued);
    assert!(matches!(session.signal().await, Signal::Commands));
    let taken = hub.take(&session).await;
    let [one] = taken.as_slice() else {
        panic!("one command was expected: {taken:?}");
    };
    assert_eq!((&one.id, one.deliveries), (&sent.id, 1));
    assert_eq!(one.properties["colour"], "blue");
    assert_eq!(one.payload, "door/open");
    assert_eq!(one.content_type, "text/plain");
    assert_eq!(hub.state(&sent).await, CommandState::Delivered);
    hub.settle(&session, &sent, Settlement::Completed)
        .await
        .unwrap();
    let kept = hub.get(&sent).await;
    assert_eq!(kept.state, CommandState::Completed);
    assert_eq!(kept.ended, Some(hub.core.clock.now()));
    assert!(kept.payload.is_empty());
    assert!(hub.take(&session).await.is_empty());
}

#[tokio::test]
async fn a_sealed_payload_is_for_its_device_alone() {
    let hub = Hub::new().await;
    let commands = &hub.core.commands;
    let command = command("file.download");
    let secret = command.payload.clone();
    let sent = commands
        .send_sealed(admin(), till(), command)
        .await
        .unwrap();
    assert!(sent.payload.is_empty());
    let got = commands.get(admin(), till(), &sent.id).await.unwrap();
    let listed = commands.list(admin(), till(), &page(10)).await.unwrap();
    assert!(got.payload.is_empty() && listed.items[0].payload.is_empty());
    let kept = hub.core.store.read(|connection| {
        let sql = "SELECT payload FROM commands";
        Ok(connection.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0))?)
    });
    let kept = kept.await.unwrap();
    assert!(!kept.windows(secret.len()).any(|part| part == secret));
    let hub = hub.restarted();
    let session = hub.session("till-1").await;
    assert_eq!(hub.take(&session).await[0].payload, secret);
}

#[tokio::test]
async fn what_is_queued_and_settled_survives_a_restart_and_leases_do_not() {
    let hub = Hub::new().await;
    let (one, two) = (hub.send("one").await, hub.send("two").await);
    let session = hub.session("till-1").await;
    assert_eq!(names(&hub.take(&session).await), ["one", "two"]);
    hub.settle(&session, &one, Settlement::Rejected)
        .await
        .unwrap();
    drop(session);
    let hub = hub.restarted();
    assert_eq!(hub.state(&one).await, CommandState::Rejected);
    assert_eq!(hub.state(&two).await, CommandState::Queued);
    let session = hub.session("till-1").await;
    let again = hub.take(&session).await;
    assert_eq!(names(&again), ["two"]);
    assert_eq!(again[0].deliveries, 2);
}

#[tokio::test]
async fn another_session_gets_nothing_before_the_first_has_settled_or_gone() {
    let hub = Hub::new().await;
    let [first, second] = [hub.session("till-1").await, hub.session("till-1").await];
    let one = hub.send("one").await;
    assert_eq!(names(&hub.take(&first).await), ["one"]);
    hub.send("two").await;
    assert!(hub.take(&second).await.is_empty());
    forget_signals(&second).await;
    hub.settle(&first, &one, Settlement::Completed)
        .await
        .unwrap();
    assert!(matches!(second.signal().await, Signal::Commands));
    assert_eq!(names(&hub.take(&second).await), ["two"]);
    assert!(hub.take(&first).await.is_empty());
    forget_signals(&first).await;
    drop(second);
    assert!(matches!(first.signal().await, Signal::Commands));
    assert_eq!(names(&hub.take(&first).await), ["two"]);
}

#[tokio::test]
async fn a_revoked_session_takes_and_settles_nothing_and_holds_nobody_up() {
    let hub = Hub::new().await;
    let sent = hub.send("one").await;
    let stale = hub.session("till-1").await;
    hub.take(&stale).await;
    let credential = stale.presence().credential.clone();
    let revoke = hub
        .core
        .identity
        .revoke_credential(admin(), till(), &credential);
    let (revoked, ()) = tokio::join!(revoke, async {
        stale.ended().await;
        let settled = hub.settle(&stale, &sent, Settlement::Completed).await;
        assert!(matches!(settled, Err(Refusal::Revoked)));
        let taken = hub.core.commands.take(&stale, 1).await;
        assert!(matches!(taken, Err(Refusal::Revoked)));
        let fresh = hub.session("till-1").await;
        assert_eq!(names(&hub.take(&fresh).await), ["one"]);
        drop(stale);
    });
    revoked.unwrap();
}

#[tokio::test]
async fn who_stops_waiting_for_commands_has_taken_none() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    hub.send("one").await;
    forget_signals(&session).await;
    for _ in 0..20 {
        let given_up = tokio::time::timeout(Duration::ZERO, hub.core.commands.take(&session, 1));
        match given_up.await {
            Ok(taken) => {
                let [one] = taken.unwrap().try_into().unwrap();
                hub.settle(&session, &one, Settlement::Abandoned)
                    .await
                    .unwrap();
                // That it was given back is news, too, and none of what is given up below.
                forget_signals(&session).await;
            }
            Err(_) => assert!(matches!(session.signal().await, Signal::Commands)),
        }
    }
    assert_eq!(names(&hub.take(&session).await), ["one"]);
}

#[tokio::test]
async fn an_abandoned_command_comes_again_before_later_ones() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let one = hub.send("one").await;
    hub.send("two").await;
    hub.take(&session).await;
    hub.send("three").await;
    hub.settle(&session, &one, Settlement::Abandoned)
        .await
        .unwrap();
    assert_eq!(hub.state(&one).await, CommandState::Queued);
    let again = hub.take(&session).await;
    assert_eq!(names(&again), ["one", "three"]);
    assert_eq!(again[0].deliveries, 2);
}

#[tokio::test]
async fn settling_again_in_the_same_way_is_harmless_and_otherwise_is_refused() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let sent = hub.send("one").await;
    let early = hub.settle(&session, &sent, Settlement::Completed).await;
    assert!(matches!(early, Err(Refusal::Conflict { .. })));
    hub.take(&session).await;
    for _ in 0..2 {
        hub.settle(&session, &sent, Settlement::Completed)
            .await
            .unwrap();
    }
    for how in [Settlement::Rejected, Settlement::Abandoned] {
        let other = hub.settle(&session, &sent, how).await;
        assert!(matches!(other, Err(Refusal::Conflict { .. })), "{how:?}");
    }
}

#[tokio::test]
async fn a_device_settles_only_its_own() {
    let hub = Hub::new().await;
    let (own, other) = (hub.session("till-1").await, hub.session("clock-1").await);
    let sent = hub.send("one").await;
    hub.take(&own).await;
    let settled = hub.settle(&other, &sent, Settlement::Completed).await;
    assert!(matches!(settled, Err(Refusal::NotFound { .. })));
    assert!(hub.take(&other).await.is_empty());
}

#[tokio::test]
async fn nobody_gets_or_settles_what_is_past_its_time() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let (taken, queued) = (hub.send("one").await, hub.send("two").await);
    hub.core.commands.take(&session, 1).await.unwrap();
    hub.core.clock.advance(HOUR);
    for sent in [&taken, &queued] {
        let kept = hub.get(sent).await;
        assert_eq!(kept.state, CommandState::Expired);
        assert_eq!(kept.ended, Some(sent.expires));
    }
    let late = hub.settle(&session, &taken, Settlement::Completed).await;
    assert!(matches!(late, Err(Refusal::Conflict { .. })));
    assert!(hub.take(&session).await.is_empty());
    assert_eq!(hub.state(&taken).await, CommandState::Expired);
}

#[tokio::test]
async fn a_cancelled_command_is_not_given_again_and_frees_the_queue() {
    let hub = Hub::new().await;
    let [first, second] = [hub.session("till-1").await, hub.session("till-1").await];
    let one = hub.send("one").await;
    hub.take(&first).await;
    hub.send("two").await;
    for _ in 0..2 {
        let cancelled = hub.core.commands.cancel(&hub.operator, till(), &one.id);
        assert_eq!(cancelled.await.unwrap().state, CommandState::Cancelled);
    }
    assert_eq!(names(&hub.take(&second).await), ["two"]);
    let late = hub.settle(&first, &one, Settlement::Completed).await;
    assert!(matches!(late, Err(Refusal::Conflict { .. })));
}

#[tokio::test]
async fn a_full_queue_refuses_until_there_is_room() {
    let hub = Hub::new().await;
    let mut sent = Vec::new();
    for name in 0..MAX_OPEN {
        sent.push(hub.send(&name.to_string()).await);
    }
    let more = hub
        .core
        .commands
        .send(&hub.operator, till(), command("more"));
    assert!(matches!(more.await, Err(Refusal::Limited { .. })));
    let other = id("clock-1");
    let other = hub
        .core
        .commands
        .send(&hub.operator, &other, command("more"));
    other.await.unwrap();
    let cancel = hub
        .core
        .commands
        .cancel(&hub.operator, till(), &sent[500].id);
    cancel.await.unwrap();
    hub.send("more").await;
}

#[tokio::test]
async fn a_queue_has_a_bound_in_bytes() {
    let hub = Hub::new().await;
    let large = || NewCommand {
        payload: vec![0; outgate_core::limits::MAX_EVENT].into(),
        ..command("large")
    };
    for _ in 0..64 {
        let sent = hub.core.commands.send(&hub.operator, till(), large());
        sent.await.unwrap();
    }
    let more = hub
        .core
        .commands
        .send(&hub.operator, till(), command("more"));
    assert!(matches!(more.await, Err(Refusal::Limited { .. })));
    let listed = hub
        .core
        .commands
        .list(&hub.operator, till(), &page(1_000))
        .await
        .unwrap();
    assert_eq!((listed.items.len(), listed.next.is_some()), (16, true));
    let session = hub.session("till-1").await;
    assert_eq!(hub.take(&session).await.len(), 16);
}

#[tokio::test]
async fn only_operators_who_see_the_device_send_and_each_act_is_written_down() {
    let hub = Hub::new().await;
    let send = |actor: Actor| async move {
        let hub = Hub::new().await;
        hub.core.commands.send(&actor, till(), command("one")).await
    };
    let viewer = send(actor(Role::Viewer, Scope::All)).await;
    assert!(matches!(viewer, Err(Refusal::Forbidden { .. })));
    let stranger = send(actor(Role::Admin, Scope::Site(id("mill")))).await;
    assert!(matches!(stranger, Err(Refusal::NotFound { .. })));
    send(actor(Role::Operator, Scope::Site(id("shop"))))
        .await
        .unwrap();
    let sent = hub.send("one").await;
    let stranger = actor(Role::Admin, Scope::Site(id("mill")));
    let seen = hub.core.commands.get(&stranger, till(), &sent.id).await;
    assert!(matches!(seen, Err(Refusal::NotFound { .. })));
    let seen = hub.core.commands.list(&stranger, till(), &page(10)).await;
    assert!(matches!(seen, Err(Refusal::NotFound { .. })));
    let viewer = actor(Role::Viewer, Scope::All);
    hub.core
        .commands
        .get(&viewer, till(), &sent.id)
        .await
        .unwrap();
    let refused = hub.core.commands.cancel(&viewer, till(), &sent.id).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    let (who, act, on) = hub.audited().await.swap_remove(0);
    assert_eq!(
        (who.as_str(), act.as_str(), on.as_str()),
        ("op-test", "command.send", "device/till-1")
    );
}

#[tokio::test]
async fn what_is_not_as_it_must_be_is_refused() {
    let hub = Hub::new().await;
    for wrong in [
        NewCommand {
            lasts: Duration::from_millis(999),
            ..command("one")
        },
        NewCommand {
            lasts: 721 * HOUR,
            ..command("one")
        },
        NewCommand {
            payload: vec![0; 262_145].into(),
            ..command("one")
        },
        command("a//b"),
        command(""),
    ] {
        let sent = hub.core.commands.send(&hub.operator, till(), wrong.clone());
        assert!(
            matches!(
                sent.await,
                Err(Refusal::Invalid { .. } | Refusal::TooLarge { .. })
            ),
            "{wrong:?}"
        );
    }
    let nobody = id("nobody");
    let nobody = hub
        .core
        .commands
        .send(&hub.operator, &nobody, command("one"));
    assert!(matches!(nobody.await, Err(Refusal::NotFound { .. })));
}

#[tokio::test]
async fn a_list_goes_on_where_it_stopped_and_forgets_what_ended_long_ago() {
    let hub = Hub::new().await;
    for name in ["one", "two", "three"] {
        hub.send(name).await;
    }
    let first = hub
        .core
        .commands
        .list(&hub.operator, till(), &page(2))
        .await
        .unwrap();
    assert_eq!(names(&first.items), ["three", "two"]);
    let mut rest = page(2);
    rest.after = first.next;
    let rest = hub
        .core
        .commands
        .list(&hub.operator, till(), &rest)
        .await
        .unwrap();
    assert_eq!((names(&rest.items), rest.next), (vec!["one"], None));
    hub.core.clock.advance(HOUR);
    hub.send("four").await;
    hub.core.clock.advance(7 * 24 * HOUR);
    hub.send("five").await;
    let left = hub
        .core
        .commands
        .list(&hub.operator, till(), &page(10))
        .await
        .unwrap();
    assert_eq!(names(&left.items), ["five", "four"]);
}

impl Hub {
    pub(crate) async fn send(&self, name: &str) -> Command {
        let sent = self
            .core
            .commands
            .send(&self.operator, till(), command(name));
        sent.await.unwrap()
    }

    pub(crate) async fn take(&self, session: &Session) -> Vec<Command> {
        self.core.commands.take(session, 100).await.unwrap()
    }

    pub(crate) async fn settle(
        &self,
        session: &Session,
        command: &Command,
        how: Settlement,
    ) -> Result<(), Refusal> {
        self.core.commands.settle(session, &command.id, how).await
    }

    async fn get(&self, command: &Command) -> Command {
        let found = self.core.commands.get(&self.operator, till(), &command.id);
        found.await.unwrap()
    }

    async fn state(&self, command: &Command) -> CommandState {
        self.get(command).await.state
    }
}

fn names(commands: &[Command]) -> Vec<&str> {
    commands
        .iter()
        .map(|command| command.name.as_str())
        .collect()
}

/// Hears what a session was told so far. Signals of a kind are told once however many there were.
async fn forget_signals(session: &Session) {
    session.remind(&Signal::Commands);
    assert!(matches!(session.signal().await, Signal::Commands));
}
