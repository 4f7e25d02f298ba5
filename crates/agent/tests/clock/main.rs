//! The agent's clock on a machine whose own is wrong, against time servers and a whole hub.

#![cfg(test)]

#[cfg(all(feature = "peers", feature = "namespaces"))]
mod dhcp;
#[cfg(feature = "peers")]
mod peers;
#[expect(dead_code, reason = "other tests look at where its data lies")]
#[path = "../../../hub/tests/running/hub.rs"]
mod running;
mod servers;
mod signed;
#[path = "../../../hub/tests/running/site.rs"]
mod site;
#[expect(dead_code, reason = "other tests do more with the link")]
#[path = "../link/stage.rs"]
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use outgate_agent::clock::{CLOCK_WRONG, Keeper, Plan};
use outgate_agent::config::Clock;
use outgate_agent::link::driver::start;
use outgate_agent::status::{Board, LinkState};
use outgate_probe::Roots;

use self::servers::{Server, Wrong, keep, keeper, plan, shown};
use self::stage::{Stage, client, exercise};

const YEAR: i64 = 365 * 86_400;

/// Seconds by which the keeper's time differs from what it is.
fn off(keeper: &Keeper) -> i64 {
    let now = time::OffsetDateTime::now_utc();
    (keeper.time() - now).whole_seconds().abs()
}

#[tokio::test]
async fn a_machine_in_1970_goes_by_a_configured_server_and_what_is_wrong_is_shown() {
    let server = Server::start(Wrong::Nothing).await;
    let folder = tempfile::tempdir().unwrap();
    let board = Board::new(None);
    let keeper = keeper(folder.path(), &board, &[server.address], Wrong::In1970);
    assert!(off(&keeper) > YEAR / 12);
    let _keeping = keep(&keeper);
    let status = shown(&board, |status| status.clock.trusted).await;
    let source = format!("configured {}", server.address);
    assert_eq!(status.clock.source, Some(source));
    assert!(off(&keeper) <= 1);
    let trouble = &status.troubles[0];
    assert_eq!(
        (trouble.part, trouble.cause.as_deref()),
        ("clock", Some(CLOCK_WRONG))
    );
    assert!(
        trouble
            .text
            .contains("days behind, says configured 127.0.0.1")
    );
}

#[tokio::test]
async fn servers_that_refuse_lie_or_say_nothing_are_shown_and_one_that_is_right_is_believed() {
    for (wrong, why) in [
        (Wrong::Silent, "timed out"),
        (Wrong::Kisses, "RATE"),
        (Wrong::Unset, "not synchronised"),
        (Wrong::By(-10 * YEAR), "but it has been"),
    ] {
        let bad = Server::start(wrong).await;
        let good = Server::start(Wrong::Nothing).await;
        let folder = tempfile::tempdir().unwrap();
        let board = Board::new(None);
        let at = [bad.address, good.address];
        let keeper = keeper(folder.path(), &board, &at, Wrong::By(5 * YEAR));
        let _keeping = keep(&keeper);
        let status = shown(&board, |status| status.clock.trusted).await;
        assert!(off(&keeper) <= 1, "{why}");
        let refused = &status.clock.asked[0].refused;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].contains(why), "{refused:?}");
    }
}

#[tokio::test]
async fn one_of_three_that_is_years_ahead_is_outvoted() {
    let mut at = Vec::new();
    let mut servers = Vec::new();
    for wrong in [Wrong::By(YEAR), Wrong::Nothing, Wrong::Nothing] {
        let server = Server::start(wrong).await;
        at.push(server.address);
        servers.push(server);
    }
    let folder = tempfile::tempdir().unwrap();
    let board = Board::new(None);
    let keeper = keeper(folder.path(), &board, &at, Wrong::In1970);
    let _keeping = keep(&keeper);
    shown(&board, |status| status.clock.trusted).await;
    assert!(off(&keeper) <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_five_years_ahead_reaches_its_hub_once_a_server_has_told_the_time() {
    let stage = Stage::with("[[listen]]\naddress = '127.0.0.1:0'\n").await;
    let (mut plan, keeper) = five_years_ahead(&stage, &[]);
    let authority = std::fs::read(stage.running.hub.own_authority().unwrap()).unwrap();
    plan.way.roots = Roots::mozilla().give_pem(&authority).unwrap();
    let link = start(plan.clone()).unwrap();
    let status = stage
        .shown(|status| status.troubles.iter().any(|it| it.part == "link"))
        .await;
    let trouble = &status.troubles[0];
    assert!(
        trouble.text.contains("nobody has confirmed that"),
        "{trouble:?}"
    );
    link.stop().await;
    drop(keeper);

    let server = Server::start(Wrong::Nothing).await;
    let (again, keeper) = five_years_ahead(&stage, &[server.address]);
    (plan.clock, plan.way.clock) = (again.clock, again.way.clock);
    let link = start(plan).unwrap();
    let _keeping = keep(&keeper);
    let _telling = tokio::spawn(link.on_time(keeper.clone()));
    exercise(&client(&mut link.current()).await).await;
    let status = stage.is(LinkState::Connected).await;
    let of_link = status.troubles.iter().filter(|it| it.part == "link");
    for trouble in of_link {
        assert_eq!(trouble.cause.as_deref(), Some(CLOCK_WRONG), "{trouble:?}");
        assert!(
            trouble.text.contains("days ahead, says configured"),
            "{trouble:?}"
        );
    }
}

/// A link's plan on a machine whose clock is five years ahead, and who keeps the time there.
fn five_years_ahead(
    stage: &Stage,
    servers: &[std::net::SocketAddr],
) -> (outgate_agent::link::driver::Plan, Keeper) {
    let wrong = Wrong::By(5 * YEAR);
    let keeper = keeper(stage.folder.path(), &stage.board, servers, wrong);
    let mut plan = stage.plan(stage.address());
    plan.hub = plan.hub.replace("http:", "https:");
    plan.way.clock = Arc::new(keeper.clone());
    plan.clock = Some(keeper.clone());
    (plan, keeper)
}

/// A machine a year ahead whose clock can be set, or not, and how often that was tried.
async fn setting(wanted: bool, allowed: bool) -> (Keeper, outgate_agent::status::Status, usize) {
    let server = Server::start(Wrong::Nothing).await;
    let (folder, board) = (tempfile::tempdir().unwrap(), Board::new(None));
    let plan = plan(folder.path(), &board, &[server.address], Wrong::By(YEAR));
    let right = Arc::new(AtomicUsize::new(0));
    let (look, is_set) = (plan.look, right.clone());
    let tried = right.clone();
    let keeper = Keeper::new(Plan {
        clock: Clock {
            set: wanted,
            ..plan.clock
        },
        look: Box::new(move || {
            let mut machine = look();
            if allowed && is_set.load(Ordering::Relaxed) > 0 {
                machine.wall -= time::Duration::seconds(YEAR);
            }
            machine
        }),
        set: Box::new(move |_| {
            tried.fetch_add(1, Ordering::Relaxed);
            match allowed {
                true => Ok(()),
                false => Err(std::io::ErrorKind::PermissionDenied.into()),
            }
        }),
        ..plan
    });
    let _keeping = keep(&keeper);
    let status = shown(&board, |status| status.clock.trusted).await;
    (keeper, status, right.load(Ordering::Relaxed))
}

#[tokio::test]
async fn the_machines_clock_is_set_where_that_is_wanted_and_what_forbids_it_is_said() {
    let (keeper, status, tried) = setting(true, true).await;
    assert_eq!((tried, off(&keeper)), (1, 0));
    assert!(
        status.clock.offset_millis.unwrap().abs() < 2_000,
        "{status:?}"
    );

    let (keeper, status, tried) = setting(true, false).await;
    assert_eq!((tried, off(&keeper)), (1, 0));
    let said = status
        .troubles
        .iter()
        .filter(|it| it.text.contains("CAP_SYS_TIME"));
    assert_eq!(said.count(), 1);
    assert!(status.clock.offset_millis.unwrap() < -YEAR * 900);

    let (keeper, _, tried) = setting(false, true).await;
    assert_eq!((tried, off(&keeper)), (0, 0));
}
