//! Whole agents of one site beside a whole hub: who knows whom, and who is refused.

#![cfg(test)]

mod cut;
#[expect(dead_code, reason = "other tests look at where its data lies")]
#[path = "../../../hub/tests/running/hub.rs"]
mod running;
#[path = "../../../hub/tests/running/site.rs"]
mod site;
mod till;

use std::collections::BTreeSet;

use outgate_agent::status::Neighbours;
use outgate_core::assets::NewAsset;
use outgate_core::events::EventFilter;
use outgate_core::identity::{Actor, Scope};
use outgate_testbed::PATIENCE;
use reqwest::Method;
use serde_json::json;

use self::cut::Way;
use self::running::Running;
use self::till::{Folder, Till, hub};

/// Three tills of one site, and their hub.
async fn three(hub: &Running) -> (Vec<Folder>, Vec<Till>) {
    let (mut folders, mut tills) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        let token = hub.device(&format!("till-{number}")).await;
        let folder = Folder::new(hub, &token);
        let known: Vec<_> = tills.iter().map(Till::address).collect();
        tills.push(folder.start(&known).await);
        folders.push(folder);
    }
    (folders, tills)
}

async fn all_meet(tills: &[Till]) {
    for till in tills {
        till.shows(|column| column.there.len() + 1 == tills.len())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_a_site_are_made_known_to_each_other_by_the_hub_and_by_nobody_else() {
    let hub = hub().await;
    let (folders, tills) = three(&hub).await;
    all_meet(&tills).await;
    let identity = &hub.core().identity;
    let site = "s".parse().unwrap();
    let roster = identity.roster(&Actor::hub(), &site).await.unwrap();
    for (till, folder) in tills.iter().zip(&folders) {
        // Before it was heard another one may have begun to.
        let is_first = |column: &Neighbours| column.coordinator.as_deref() == Some("till-1");
        let column = till.shows(is_first).await;
        assert_eq!(
            (column.roster, column.site.as_deref()),
            (roster.epoch, Some("s"))
        );
        assert_eq!(folder.mode_of_key(), 0o600);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_hub_revokes_its_neighbours_refuse_and_count() {
    let hub = hub().await;
    let (_folders, tills) = three(&hub).await;
    all_meet(&tills).await;
    let identity = &hub.core().identity;
    let third = "till-3".parse().unwrap();
    identity.revoke_device(&Actor::hub(), &third).await.unwrap();
    for till in &tills[..2] {
        till.shows(|column| column.members.len() == 1).await;
        till.shows(|column| column.there.len() == 1).await;
        till.shows(|column| column.refused.contains_key("it was revoked"))
            .await;
    }
    // It goes on until it hears of it, from those that refuse it.
    tills[2]
        .shows(|column| column.members.len() == 2 && column.there.is_empty())
        .await;
    identity
        .restore_device(&Actor::hub(), &third)
        .await
        .unwrap();
    tills[0].shows(|column| column.members.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_hub_agents_find_each_other_by_what_it_said_before() {
    let running = hub().await;
    let (folders, mut tills) = three(&running).await;
    all_meet(&tills).await;
    let before = tills[0].shows(|_| true).await.roster;
    for till in tills.drain(..) {
        till.stop().await;
    }
    drop(running);
    for folder in &folders {
        let known: Vec<_> = tills.iter().map(Till::address).collect();
        tills.push(folder.start(&known).await);
    }
    all_meet(&tills).await;
    let after = tills[0].shows(|_| true).await;
    assert_eq!(
        (after.roster, after.name.as_deref()),
        (before, Some("till-1"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_shows_another_key_of_the_site_is_not_believed() {
    let right = hub().await;
    let token = right.device("till-1").await;
    let mut folder = Folder::new(&right, &token);
    let till = folder.start(&[]).await;
    let before = till.shows(|_| true).await.roster;
    till.stop().await;
    let wrong = hub().await;
    folder.turn_to(&wrong, &wrong.device("till-1").await);
    let till = folder.start(&[]).await;
    till.has_trouble("shows another key of the site s").await;
    assert_eq!(till.shows(|_| true).await.roster, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_devices_software_shares_that_of_the_others_reads_and_changes() {
    let hub = hub().await;
    let (_folders, tills) = three(&hub).await;
    let set = tills[0]
        .ask(Method::PUT, "/site/state/order:17/table", "5")
        .await;
    assert_eq!(set.0, 200);
    let added = tills[0]
        .ask(Method::POST, "/site/state/order:17", "{\"cents\":250}")
        .await;
    assert_eq!(added.0, 201);
    let there =
        |shared: &serde_json::Value| shared["items"].as_array().is_some_and(|it| it.len() == 1);
    let shared = tills[1]
        .shares("order:17", |it| {
            there(it) && !it["fields"]["table"].is_null()
        })
        .await;
    assert_eq!(shared["fields"]["table"], json!({"payload": 5}));
    assert_eq!(shared["items"][0]["payload"], json!({"cents": 250}));
    assert_eq!(shared["items"][0]["id"], added.1["id"]);

    tills[1]
        .ask(Method::PUT, "/site/state/order:17/table", "the bar")
        .await;
    let bar = json!({"payload_base64": "dGhlIGJhcg=="});
    tills[2]
        .shares("order:17", |it| it["fields"]["table"] == bar)
        .await;
    let id = added.1["id"].as_str().unwrap();
    let path = format!("/site/state/order:17?id={id}");
    assert_eq!(tills[2].ask(Method::DELETE, &path, "").await.0, 204);
    let path = "/site/state/order:17/table";
    assert_eq!(tills[2].ask(Method::DELETE, path, "").await.0, 204);
    tills[0]
        .shares("order:17", serde_json::Value::is_null)
        .await;

    let long = "x".repeat(4_097);
    let refused = tills[0].ask(Method::PUT, "/site/state/a/b", &long).await;
    assert_eq!(refused.0, 413);
    assert_eq!(
        tills[0]
            .ask(Method::PUT, "/site/state/a%20b/c", "1")
            .await
            .0,
        422
    );
    assert_eq!(
        tills[0]
            .ask(Method::DELETE, "/site/state/a?id=1", "")
            .await
            .0,
        422
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_is_given_twice_at_a_site_also_after_a_restart() {
    let hub = hub().await;
    let (folders, mut tills) = three(&hub).await;
    all_meet(&tills).await;
    let mut given = BTreeSet::new();
    for round in 0..2 {
        for till in &tills {
            for number in 1..=25 {
                let receipt = till.ask(Method::POST, "/site/numbers/receipt", "").await.1;
                assert_eq!(receipt["number"], round * 25 + number);
                let ticket = till.ask(Method::POST, "/site/numbers/ticket", "").await.1;
                for one in [receipt, ticket] {
                    let text = one["text"].as_str().unwrap().to_owned();
                    assert!(given.insert(text), "{one}");
                }
            }
        }
        tills.remove(0).stop().await;
        tills.insert(0, folders[0].start(&[]).await);
    }
    assert_eq!(given.len(), 2 * 2 * 3 * 25);
}

/// Makes a file at the hub that the site's devices should hold, and gives its address and digest.
async fn asset(hub: &Running, name: &str, content: &[u8]) -> (String, String) {
    let new = NewAsset {
        name: name.parse().unwrap(),
        site: None,
        content_type: "image/png".to_owned(),
    };
    let (assets, actor) = (&hub.core().assets, Actor::hub());
    let incoming = assets.begin(&actor, &new).await.unwrap();
    let content = bytes::Bytes::copy_from_slice(content);
    let incoming = incoming.take(content).await.unwrap();
    let whole = incoming.finish().await.unwrap();
    let digest = assets
        .put(&actor, new, whole)
        .await
        .unwrap()
        .digest
        .to_string();
    (format!("/assets/{digest}/{name}"), digest)
}

/// Three that are linked and know it of each other, the last by a way that can be cut.
async fn three_by_a_way(hub: &Running) -> (Vec<Folder>, Vec<Till>, Way) {
    let (mut folders, mut tills) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        let token = hub.device(&format!("till-{number}")).await;
        folders.push(Folder::new(hub, &token));
    }
    let way = folders[2].by_a_way().await;
    for folder in &folders {
        let known: Vec<_> = tills.iter().map(Till::address).collect();
        tills.push(folder.start(&known).await);
    }
    for till in &tills {
        till.is_linked().await;
        till.shows(|column| column.linked.len() == 2).await;
    }
    (folders, tills, way)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_hub_is_fetched_once_a_site_also_for_who_has_no_link() {
    let hub = hub().await;
    let logo: Vec<u8> = (0..300_000_u32).map(|it| (it % 251) as u8).collect();
    let (url, digest) = asset(&hub, "images/logo.png", &logo).await;
    let (folders, mut tills, way) = three_by_a_way(&hub).await;
    let list = tills[0].ask(Method::GET, "/assets", "").await.1;
    assert_eq!(list["assets"][0]["url"], url);
    for till in &tills {
        assert_eq!(till.file(&url).await, (200, logo.clone()));
    }
    // Once more from the folder.
    assert_eq!(tills[0].file(&url).await, (200, logo));
    let count = |tills: &[Till]| {
        let fetched = tills.iter().map(Till::fetched);
        fetched.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    };
    assert_eq!(count(&tills), (1, 2));

    drop(way);
    let (later, _) = asset(&hub, "menu.json", b"[]").await;
    tills[2].is_cut_off().await;
    let before = tills[2].fetched();
    assert_eq!(tills[2].file(&later).await, (200, b"[]".to_vec()));
    assert_eq!(tills[2].fetched(), (before.0, before.1 + 1));
    assert_eq!(tills[2].ask(Method::GET, "/assets", "").await.0, 503);
    let unknown = format!("/assets/{}/x", "0".repeat(64));
    assert_eq!(tills[2].file(&unknown).await.0, 503);
    assert_eq!(tills[1].file(&unknown).await.0, 404);

    // Who has no link is not deceived by who has another file under that digest.
    for (till, folder) in tills.drain(..).zip(&folders) {
        till.stop().await;
        folder.spoil(&digest);
    }
    drop(hub);
    folders[2].lose(&digest);
    let first = folders[0].start(&[]).await;
    let third = folders[2].start(&[first.address()]).await;
    third.shows(|column| column.there.len() == 1).await;
    assert_eq!(third.file(&url).await.0, 503);
    let refused = |column: &Neighbours| {
        column
            .refused
            .contains_key("another file than was asked for")
    };
    third.shows(refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_more_want_at_once_than_it_is_given_to_comes_once_from_the_hub() {
    // One more than it is given to at a time, and who gives it.
    const TILLS: usize = 10;
    let hub = hub().await;
    let film: Vec<u8> = (0..16_000_000_u32).map(|it| (it % 251) as u8).collect();
    let (url, _) = asset(&hub, "film.mp4", &film).await;
    let (mut folders, mut tills) = (Vec::new(), Vec::new());
    for number in 1..=TILLS {
        let token = hub.device(&format!("till-{number}")).await;
        folders.push(Folder::new(&hub, &token));
    }
    for folder in &folders {
        let known: Vec<_> = tills.iter().map(Till::address).collect();
        tills.push(folder.start(&known).await);
    }
    for till in &tills {
        till.shows(|column| column.linked.len() + 1 == TILLS).await;
    }
    let all = futures_util::future::join_all(tills.iter().map(|till| till.file(&url)));
    for (status, content) in all.await {
        assert_eq!((status, content.len()), (200, film.len()));
    }
    let fetched = tills.iter().map(Till::fetched);
    let fetched = fetched.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(fetched, (1, TILLS as u64 - 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_link_speaks_through_a_neighbour_as_itself_in_order_and_once() {
    let hub = hub().await;
    let (_folders, mut tills, way) = three_by_a_way(&hub).await;
    tills[2].says("sale/1").await;
    heard(&hub, 1).await;
    drop(way);
    tills[2].is_cut_off().await;
    tills[2].shows(|column| column.through.is_some()).await;
    for number in 2..=20 {
        tills[2].says(&format!("sale/{number}")).await;
    }
    let expected: Vec<_> = (1..=20)
        .map(|it| ("till-3".to_owned(), format!("sale/{it}")))
        .collect();
    assert_eq!(heard(&hub, 20).await, expected);
    // Through another one, when the first is away.
    let through = tills[2]
        .shows(|column| column.through.is_some())
        .await
        .through
        .unwrap();
    let other = if through == "till-1" { 0 } else { 1 };
    tills.remove(other).stop().await;
    let third = &tills[1];
    third
        .shows(|column| column.through.as_ref().is_some_and(|it| *it != through))
        .await;
    third.says("sale/21").await;
    let all = heard(&hub, 21).await;
    assert_eq!(all[20], ("till-3".to_owned(), "sale/21".to_owned()));
    assert_eq!(all.len(), 21);
}

/// Whose events the hub has, and their names, as soon as there are so many.
async fn heard(hub: &Running, number: usize) -> Vec<(String, String)> {
    let all = EventFilter {
        scope: Scope::All,
        device: None,
        prefix: None,
    };
    let events = &hub.core().events;
    let mut newest = events.newest();
    loop {
        newest.mark_unchanged();
        let found = events.after(&all, 0, 1_000).await.unwrap().events;
        if found.len() >= number {
            let named = found.into_iter().map(|it| (it.device.to_string(), it.name));
            return named.collect();
        }
        let changed = tokio::time::timeout(PATIENCE, newest.changed()).await;
        changed.unwrap_or_else(|_| panic!("{found:?}")).unwrap();
    }
}
