//! Commands that devices begin by themselves, and report on.

use std::collections::BTreeMap;
use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::commands::{CommandState, Followed, Report, Stage};
use outgate_core::id::CommandId;
use outgate_core::sessions::{Ending, Selector, Session, Signal};

use crate::hub::{Hub, command, id, till};

fn report(stage: Stage) -> Report {
    Report {
        stage,
        details: None,
        if_version: None,
    }
}

fn details(step: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("step".to_owned(), step.to_owned())])
}

impl Hub {
    async fn sends(&self, name: &str) -> CommandId {
        let commands = &self.core.commands;
        let sent = commands.send(&self.operator, till(), command(name)).await;
        sent.unwrap().id
    }

    async fn begins(&self, session: &Session) -> Option<Followed> {
        self.core.commands.begin(session, None).await.unwrap()
    }

    async fn reports(
        &self,
        session: &Session,
        id: &CommandId,
        report: Report,
    ) -> Result<Followed, Refusal> {
        self.core.commands.report(session, id, report).await
    }

    async fn state_of(&self, id: &CommandId) -> CommandState {
        let commands = &self.core.commands;
        let found = commands.get(&self.operator, till(), id).await;
        found.unwrap().state
    }
}

#[tokio::test]
async fn a_command_is_begun_reported_on_and_done() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let (one, two) = (hub.sends("one").await, hub.sends("two").await);
    let commands = &hub.core.commands;
    let open = commands.own_open(&session, 10).await.unwrap();
    let ids: Vec<_> = open.iter().map(|its| its.command.id.clone()).collect();
    assert_eq!(ids, [one.clone(), two.clone()]);
    assert!(open.iter().all(|its| its.command.payload.is_empty()));
    assert_eq!(hub.state_of(&one).await, CommandState::Queued);

    let begun = hub.begins(&session).await.unwrap();
    assert_eq!((&begun.command.id, begun.course.version), (&one, 1));
    assert_eq!(&begun.command.payload[..], b"one");
    assert_eq!(begun.course.begun, Some(hub.core.clock.now()));
    assert_eq!(hub.state_of(&one).await, CommandState::Delivered);
    let again = hub.begins(&session).await.unwrap();
    assert_eq!((&again.command.id, again.course.version), (&one, 1));
    assert_eq!(again.command.deliveries, 1);

    let going = Report {
        details: Some(details("2")),
        if_version: Some(1),
        ..report(Stage::Begun)
    };
    let going = hub.reports(&session, &one, going).await.unwrap();
    assert_eq!(
        (going.course.version, &going.course.details),
        (2, &details("2"))
    );
    let done = hub.reports(&session, &one, report(Stage::Completed)).await;
    assert_eq!(done.unwrap().course.details, details("2"));
    assert_eq!(hub.state_of(&one).await, CommandState::Completed);
    let next = hub.begins(&session).await.unwrap();
    assert_eq!(next.command.id, two);
    let failed = hub.reports(&session, &two, report(Stage::Failed)).await;
    assert!(failed.unwrap().course.failed);
    assert_eq!(hub.state_of(&two).await, CommandState::Rejected);
    assert!(hub.begins(&session).await.is_none());
    let hub = hub.restarted();
    let session = hub.session("till-1").await;
    let ended = hub.core.commands.own_one(&session, &two).await.unwrap();
    assert!(ended.course.failed);
    assert!(
        hub.core
            .commands
            .own_open(&session, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn who_comes_back_goes_on_with_what_was_begun() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let (_, two) = (hub.sends("one").await, hub.sends("two").await);
    // In another order than they were sent in.
    let begun = hub.reports(&session, &two, report(Stage::Begun)).await;
    assert_eq!(begun.unwrap().command.deliveries, 1);
    drop(session);
    let session = hub.session("till-1").await;
    let again = hub.begins(&session).await.unwrap();
    assert_eq!((&again.command.id, again.course.version), (&two, 1));
    assert_eq!(again.command.deliveries, 2);
    let done = hub.reports(&session, &two, report(Stage::Completed)).await;
    done.unwrap();
}

#[tokio::test]
async fn a_report_that_cannot_be_is_refused_and_changes_nothing() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let one = hub.sends("one").await;
    let stale = Report {
        if_version: Some(1),
        ..report(Stage::Completed)
    };
    let refused = hub.reports(&session, &one, stale).await;
    assert!(matches!(refused, Err(Refusal::Conflict { .. })));
    let many = (0..11).map(|n| (n.to_string(), String::new())).collect();
    let long = details(&"x".repeat(17 * 1024));
    for details in [many, long] {
        let large = Report {
            details: Some(details),
            ..report(Stage::Begun)
        };
        let refused = hub.reports(&session, &one, large).await;
        assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
    }
    assert_eq!(hub.state_of(&one).await, CommandState::Queued);
    let nothing = id("co-nothing");
    let strange = hub.reports(&session, &nothing, report(Stage::Begun)).await;
    assert!(matches!(strange, Err(Refusal::NotFound { .. })));
    let other = hub.session("clock-1").await;
    let foreign = hub.reports(&other, &one, report(Stage::Begun)).await;
    assert!(matches!(foreign, Err(Refusal::NotFound { .. })));
    let foreign = hub.core.commands.own_one(&other, &one).await;
    assert!(matches!(foreign, Err(Refusal::NotFound { .. })));
    assert!(hub.begins(&other).await.is_none());
    let done = hub.reports(&session, &one, report(Stage::Rejected)).await;
    assert!(!done.unwrap().course.failed);
    for stage in [Stage::Begun, Stage::Completed, Stage::Rejected] {
        let late = hub.reports(&session, &one, report(stage)).await;
        assert!(matches!(late, Err(Refusal::Conflict { .. })), "{stage:?}");
    }
}

#[tokio::test]
async fn what_one_session_has_no_other_begins_or_reports_on() {
    let hub = Hub::new().await;
    let (one, two) = (hub.session("till-1").await, hub.session("till-1").await);
    let (first, second) = (hub.sends("one").await, hub.sends("two").await);
    hub.begins(&one).await.unwrap();
    assert!(hub.begins(&two).await.is_none());
    for id in [&first, &second] {
        let refused = hub.reports(&two, id, report(Stage::Completed)).await;
        assert!(matches!(refused, Err(Refusal::Conflict { .. })));
    }
    // Nor does it get there by another way.
    assert!(hub.core.commands.take(&two, 10).await.unwrap().is_empty());
    let rest = hub.core.commands.take(&one, 10).await.unwrap();
    assert_eq!(rest.len(), 1);
}

#[tokio::test]
async fn what_has_expired_or_was_taken_back_is_not_begun() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let (one, two) = (hub.sends("one").await, hub.sends("two").await);
    let commands = &hub.core.commands;
    commands.cancel(&hub.operator, till(), &one).await.unwrap();
    assert!(matches!(session.signal().await, Signal::Commands));
    hub.core.clock.advance(Duration::from_secs(3_601));
    assert!(commands.own_open(&session, 10).await.unwrap().is_empty());
    assert!(hub.begins(&session).await.is_none());
    for (id, state) in [(one, CommandState::Cancelled), (two, CommandState::Expired)] {
        let late = hub.reports(&session, &id, report(Stage::Completed)).await;
        assert!(matches!(late, Err(Refusal::Conflict { .. })));
        let found = commands.own_one(&session, &id).await.unwrap();
        assert_eq!(found.command.state, state);
    }
}

#[tokio::test]
async fn a_sealed_payload_is_told_to_its_device_alone() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let commands = &hub.core.commands;
    let sent = commands.send_sealed(&hub.operator, till(), command("secret"));
    let id = sent.await.unwrap().id;
    let open = commands.own_open(&session, 10).await.unwrap();
    assert!(open[0].command.payload.is_empty());
    let found = commands.own_one(&session, &id).await.unwrap();
    assert_eq!(&found.command.payload[..], b"secret");
    let begun = hub.begins(&session).await.unwrap();
    assert_eq!(&begun.command.payload[..], b"secret");
    let seen = commands.get(&hub.operator, till(), &id).await.unwrap();
    assert!(seen.payload.is_empty());
}

#[tokio::test]
async fn a_session_that_was_ended_begins_and_reports_nothing() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let one = hub.sends("one").await;
    let sessions = &hub.core.sessions;
    sessions
        .end(&Selector::All, Ending::Revoked, Duration::ZERO)
        .await;
    let commands = &hub.core.commands;
    let begun = commands.begin(&session, None).await;
    assert!(matches!(begun, Err(Refusal::Revoked)));
    let done = hub.reports(&session, &one, report(Stage::Completed)).await;
    assert!(matches!(done, Err(Refusal::Revoked)));
    let open = commands.own_open(&session, 1).await;
    assert!(matches!(open, Err(Refusal::Revoked)));
    let found = commands.own_one(&session, &one).await;
    assert!(matches!(found, Err(Refusal::Revoked)));
    assert_eq!(hub.state_of(&one).await, CommandState::Queued);
}

#[tokio::test]
async fn what_was_said_of_a_command_stays_when_it_is_begun_again() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    hub.sends("one").await;
    let begin = |step| hub.core.commands.begin(&session, Some(details(step)));
    let first = begin("1").await.unwrap().unwrap().course;
    let again = begin("2").await.unwrap().unwrap().course;
    assert_eq!(again.details, details("1"));
    assert_eq!(again.version, first.version);
}
