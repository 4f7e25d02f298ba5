//! A command of a schedule, all the way: from the hub's own clock to a client and back.

use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::NewCommand;
use outgate_core::identity::{Actor, Page};
use outgate_core::schedules::{Fired, Missed, NewSchedule, Outcome, Whom};
use outgate_testbed::PATIENCE;
use tokio::process::Command;

use crate::hub::{Listener, Running};

/// In seconds: a schedule comes by the minute, so this is far more than it takes.
const COMES_WITHIN: &str = "180";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_reaches_mosquitto_and_its_acknowledgement_is_in_the_history() {
    let running = Running::start().await;
    let token = running.device("fort").await;
    let (core, admin) = (running.core(), Actor::hub());
    let mut changes = core.commands.changes();
    let made = core.schedules.add_schedule(&admin, every_minute());
    let schedule = made.await.unwrap();
    let port = running.port(Listener::Tls).to_string();
    let heard = Command::new("mosquitto_sub")
        .args(["-h", "localhost", "-p", &port, "--cafile"])
        .arg(running.authority())
        .args(["-u", "fort", "-P", &token, "-i", "fort", "-q", "1"])
        .args(["-t", "devices/fort/commands/#", "-C", "1"])
        .args(["-W", COMES_WITHIN, "-F", "%t %p"])
        .kill_on_drop(true)
        .output();
    let said = String::from_utf8(heard.await.unwrap().stdout).unwrap();
    assert!(said.starts_with("devices/fort/commands/"), "{said}");
    assert!(said.contains("/reload {\"app\":\"sales\"}"), "{said}");
    let completed = async {
        loop {
            let page = Page {
                after: None,
                limit: 100,
            };
            let listed = core.schedules.firings(&admin, &schedule.name, &page);
            let first: Option<Fired> = listed.await.unwrap().items.pop();
            if let Some(fired) = first.filter(|it| it.counts == [(Outcome::Completed, 1)]) {
                return fired;
            }
            changes.recv().await.unwrap();
        }
    };
    let fired = tokio::time::timeout(PATIENCE, completed).await.unwrap();
    assert_eq!(Some(fired.due), schedule.next);
}

fn every_minute() -> NewSchedule {
    NewSchedule {
        name: "reload".parse().unwrap(),
        cron: "* * * * *".parse().unwrap(),
        zone: "Europe/Stockholm".parse().unwrap(),
        whom: Whom::Devices(vec!["fort".parse().unwrap()]),
        command: NewCommand {
            name: "reload".to_owned(),
            content_type: "application/json".to_owned(),
            properties: [].into(),
            payload: Bytes::from_static(br#"{"app":"sales"}"#),
            lasts: Duration::from_secs(3_600),
        },
        missed: Missed::Once,
        spread: Duration::ZERO,
    }
}
