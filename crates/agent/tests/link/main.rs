//! The link against a whole hub, over networks of every kind.

#![cfg(test)]

mod conversation;
mod files;
mod middlebox;
#[cfg(feature = "peers")]
mod peers;
#[expect(dead_code, reason = "other tests look at where its data lies")]
#[path = "../../../hub/tests/running/hub.rs"]
mod running;
#[path = "../../../hub/tests/running/site.rs"]
mod site;
mod stage;
mod transfers;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use outgate_agent::link::driver::start;
use outgate_agent::link::support::{self, Declared};
use outgate_agent::status::{LinkState, RungState};
use outgate_core::commands::NewCommand;
use outgate_core::identity::Actor;
use outgate_probe::Roots;
use outgate_signalr_client::Transport;
use outgate_wire::agent::{COMMAND, Command, PATH, Settlement};
use tokio::sync::mpsc;

use self::middlebox::{Manner, Middlebox};
use self::stage::{Stage, TILL, client, exercise, rungs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_each_transport_the_hub_is_reached_and_has_its_commands_done() {
    for only in Transport::ALL {
        let stage = Stage::new().await;
        let mut plan = stage.plan(stage.address());
        plan.settings.transports = vec![only];
        let (told, mut commands) = mpsc::unbounded_channel();
        plan.prepare = Arc::new(move |client| {
            let told = told.clone();
            client.answer(COMMAND, move |(command,): (Command,)| {
                told.send(command.name).unwrap();
                std::future::ready(Ok::<_, String>(Settlement::Completed))
            });
        });
        let link = start(plan).unwrap();
        let client = client(&mut link.current()).await;
        exercise(&client).await;
        assert!(stage.present());
        let new = NewCommand {
            name: "print".to_owned(),
            content_type: String::new(),
            properties: Default::default(),
            payload: Default::default(),
            lasts: Duration::from_secs(600),
        };
        let commands_of_hub = &stage.running.core().commands;
        let device = TILL.parse().unwrap();
        commands_of_hub
            .send(&Actor::hub(), &device, new)
            .await
            .unwrap();
        assert_eq!(commands.recv().await.unwrap(), "print");
        assert_eq!(rungs(&stage.board.status()), [RungState::InUse]);
        link.stop().await;
        assert_eq!(stage.board.status().link.state, LinkState::Idle);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_upgrades_are_stripped_events_do_until_the_network_is_mended() {
    let stage = Stage::new().await;
    let proxy = Middlebox::start(stage.address(), Manner::Strips);
    let link = stage.link(proxy.address);
    let low = client(&mut link.current()).await;
    let lower = [RungState::Failed, RungState::InUse, RungState::Untried];
    assert_eq!(rungs(&stage.is(LinkState::Connected).await), lower);
    exercise(&low).await;
    proxy.becomes(Manner::Passes);
    let mut current = link.current();
    current.mark_unchanged();
    stage
        .shown(|status| rungs(status)[0] == RungState::InUse)
        .await;
    // It has changed hands and was never cut.
    assert!(current.has_changed().unwrap());
    let high = current.borrow_and_update().clone().unwrap();
    exercise(&high).await;
    assert!(!current.has_changed().unwrap());
    assert_eq!(stage.board.status().troubles.len(), 0);
    // What was learnt is in the file.
    link.stop().await;
    let text = fs::read_to_string(stage.folder.path().join("networks.json")).unwrap();
    assert!(text.contains("\"network\":\"direct\""), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_cuts_what_is_silent_is_learnt_and_outlasted() {
    let stage = Stage::new().await;
    let patience = Duration::from_secs(2);
    let nat = Middlebox::start(stage.address(), Manner::Cuts(patience));
    let mut plan = stage.plan(nat.address);
    // Long enough for silences before it, and all connections of other transports are short.
    plan.settings.transports = vec![Transport::WebSockets];
    let link = start(plan).unwrap();
    stage
        .shown(|status| status.link.heartbeat_seconds == Some(1))
        .await;
    let client = client(&mut link.current()).await;
    let cuts = nat.cuts();
    // A quiet time that the network would not bear.
    tokio::time::sleep(3 * patience).await;
    exercise(&client).await;
    assert_eq!(nat.cuts(), cuts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_dies_is_gone_back_to_and_so_is_one_behind_a_dead_way() {
    let stage = Stage::new().await;
    let way = Middlebox::start(stage.address(), Manner::Passes);
    let link = stage.link(way.address);
    let mut current = link.current();
    for manner in [Manner::Gone, Manner::Swallows] {
        let before = client(&mut current).await;
        exercise(&before).await;
        way.becomes(manner);
        // Half-open: nobody says so.
        stage
            .shown(|status| status.link.state != LinkState::Connected)
            .await;
        assert!(link.current().borrow().is_none());
        way.becomes(Manner::Passes);
        stage.is(LinkState::Connected).await;
    }
    exercise(&client(&mut current).await).await;
    assert!(!stage.board.status().troubles.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_refused_says_so_and_comes_back_with_what_it_shows_next() {
    let stage = Stage::new().await;
    let good = stage.another_token().await;
    "nonsense".clone_into(&mut stage.token.lock().unwrap());
    let link = stage.link(stage.address());
    let status = stage.is(LinkState::Refused).await;
    let text = &status.troubles[0].text;
    assert!(text.contains("401") && !text.contains("nonsense"), "{text}");
    *stage.token.lock().unwrap() = good;
    link.on_change().await;
    stage.is(LinkState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_goes_down_in_good_order_is_no_trouble() {
    let stage = Stage::new().await;
    let link = stage.link(stage.address());
    let _client = client(&mut link.current()).await;
    stage.running.hub.drain();
    stage.is(LinkState::Waiting).await;
    assert_eq!(stage.board.status().troubles.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_whose_certificate_nobody_vouches_for_is_told_by_that() {
    let stage = Stage::with("[[listen]]\naddress = '127.0.0.1:0'\n").await;
    let mut plan = stage.plan(stage.address());
    plan.hub = format!("https://localhost:{}{PATH}", stage.address().port());
    plan.way.connect_to = vec![
        format!("localhost:{0}:127.0.0.1:{0}", stage.address().port())
            .parse()
            .unwrap(),
    ];
    let link = start(plan.clone()).unwrap();
    let status = stage.shown(|status| !status.troubles.is_empty()).await;
    let text = &status.troubles[0].text;
    assert!(text.contains("certificate"), "{text}");
    let cause = status.troubles[0].cause.as_deref();
    assert_eq!(cause, Some("certificate-untrusted"));
    link.stop().await;
    let authority = stage.running.hub.own_authority().unwrap();
    let authority = fs::read(authority).unwrap();
    plan.way.roots = Roots::mozilla().give_pem(&authority).unwrap();
    let link = start(plan).unwrap();
    exercise(&client(&mut link.current()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_support_channel_takes_the_first_port_over_which_the_hub_answers() {
    let stage = Stage::new().await;
    let swallowing = Middlebox::start(stage.address(), Manner::Swallows);
    let (gone, hub) = (
        outgate_testbed::free().unwrap().port(),
        stage.address().port(),
    );
    let plan = stage.plan(stage.address());
    let opened = support::open(
        &plan,
        &[gone, hub, swallowing.address.port()].map(Declared::Tcp),
    )
    .await;
    let opened = opened.unwrap();
    assert_eq!(opened.port, hub);
    exercise(&opened.client).await;
    // One that opens and leads nowhere does not count, and none is left out.
    let nowhere = support::open(&plan, &[swallowing.address.port(), gone].map(Declared::Tcp)).await;
    let tried = nowhere.unwrap_err().tried;
    assert_eq!(tried.len(), 2, "{tried:?}");
    let swallowed = format!("tcp {}: the hub did not answer", swallowing.address.port());
    assert!(tried[0].starts_with(&swallowed), "{tried:?}");
    assert!(tried[1].starts_with(&format!("tcp {gone}: ")), "{tried:?}");
}
