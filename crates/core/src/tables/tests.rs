use super::*;
use crate::Settings;
use crate::identity::{Claim, Given};
use crate::open::Core;
use crate::sessions::Session;

fn table(name: &str, site: Option<&str>) -> NewTable {
    NewTable {
        name: name.parse().unwrap(),
        site: site.map(|site| site.parse().unwrap()),
        key: Some("card".to_owned()),
    }
}

fn rows(rows: &[(&str, &str)]) -> Vec<Row> {
    let row = |(key, value): &(&str, &str)| Row {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    rows.iter().map(row).collect()
}

/// A core with the sites `shop` and `bar`, and a session of a device of `shop`.
async fn core() -> (tempfile::TempDir, Core, Session) {
    let folder = tempfile::tempdir().unwrap();
    let core = Core::open(&Settings::new(folder.path())).unwrap();
    let (hub, identity) = (Actor::hub(), &core.identity);
    for site in ["shop", "bar"] {
        let made = identity.create_site(&hub, site.parse().unwrap(), site.to_owned());
        made.await.unwrap();
    }
    let (id, site) = ("till-1".parse().unwrap(), "shop".parse().unwrap());
    let till = identity.create_device(&hub, id, site, None).await.unwrap();
    let issued = identity.add_token(&hub, &till.id, "t".to_owned(), None);
    let Given::Token(token) = issued.await.unwrap().given else {
        panic!("a token was expected");
    };
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let who = identity.authenticate(claim).await.unwrap();
    let session = core.open_session(&who, "test", ([127, 0, 0, 1], 1).into());
    let session = session.await.unwrap();
    (folder, core, session)
}

async fn found(core: &Core, session: &Session, name: &str, key: &str) -> Option<String> {
    let (name, key) = (name.parse().unwrap(), key.to_owned());
    let found = core.tables.find(&session.pass(), name, key).await;
    found.unwrap()
}

fn page() -> Page {
    Page {
        after: None,
        limit: 10,
    }
}

fn rows_on_the_disk(core: &Core) -> u64 {
    let count = |connection: &rusqlite::Connection| {
        let count = connection.query_row("SELECT count(*) FROM lookup_row", [], |row| row.get(0));
        Ok(count?)
    };
    core.store.read_now(count).unwrap()
}

#[tokio::test]
async fn a_device_asks_the_table_of_its_own_site_before_that_of_all() {
    let (_folder, core, session) = core().await;
    let (hub, tables) = (Actor::hub(), &core.tables);
    for (site, value) in [(None, "1"), (Some("bar"), "2")] {
        let loaded = tables.load(&hub, table("cards", site), rows(&[("17", value)]));
        loaded.await.unwrap();
    }
    assert_eq!(found(&core, &session, "cards", "17").await.unwrap(), "1");
    let own = tables.load(&hub, table("cards", Some("shop")), rows(&[("18", "3")]));
    own.await.unwrap();
    assert_eq!(found(&core, &session, "cards", "18").await.unwrap(), "3");
    assert_eq!(found(&core, &session, "cards", "17").await, None);
    let name = "other".parse().unwrap();
    let missing = tables.find(&session.pass(), name, "17".to_owned()).await;
    assert!(matches!(missing, Err(Refusal::NotFound { .. })));
}

#[tokio::test]
async fn a_load_takes_the_place_of_the_one_before_as_a_whole_and_leaves_nothing_of_it() {
    let (_folder, core, session) = core().await;
    let (hub, tables) = (Actor::hub(), &core.tables);
    let many: Vec<Row> = (0..2 * PIECE.0 + 1)
        .map(|number| Row {
            key: number.to_string(),
            value: "{}".to_owned(),
        })
        .collect();
    let loaded = tables.load(&hub, table("cards", None), many).await.unwrap();
    assert_eq!(loaded.rows, 2_001);
    assert_eq!(rows_on_the_disk(&core), 2_001);
    let again = tables.load(&hub, table("cards", None), rows(&[("a", "1")]));
    again.await.unwrap();
    assert_eq!(rows_on_the_disk(&core), 1);
    assert_eq!(found(&core, &session, "cards", "2000").await, None);
    let listed = tables.list(&hub, &page()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    tables
        .remove(&hub, &"cards".parse().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(rows_on_the_disk(&core), 0);
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_and_leaves_nothing() {
    let (_folder, core, _session) = core().await;
    let hub = Actor::hub();
    let (long_key, long_row) = ("k".repeat(MAX_KEY + 1), "v".repeat(MAX_ROW + 1));
    for wrong in [
        rows(&[("", "1")]),
        rows(&[(&long_key, "1")]),
        rows(&[("a", &long_row)]),
        rows(&[("a", "1"), ("a", "2")]),
        vec![rows(&[("a", "1")]).remove(0); MAX_ROWS + 1],
    ] {
        let loaded = core.tables.load(&hub, table("cards", None), wrong);
        assert!(loaded.await.is_err());
    }
    assert_eq!(rows_on_the_disk(&core), 0);
    for name in ["", "A", "1a", "a.b", "fleet", "token"] {
        assert!(name.parse::<TableName>().is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_a_stopped_load_left_is_cleared_away_at_the_next_start() {
    let (_folder, core, _session) = core().await;
    let half = |connection: &rusqlite::Connection| {
        let id = rows::begin(connection)?;
        rows::keep(connection, id, &rows(&[("a", "1")]))
    };
    core.store.write(half).await.unwrap();
    let (hub, tables) = (Actor::hub(), &core.tables);
    let whole = tables.load(&hub, table("cards", None), rows(&[("b", "2")]));
    whole.await.unwrap();
    assert_eq!(rows_on_the_disk(&core), 2);
    tables.clear_unfinished().await.unwrap();
    assert_eq!(rows_on_the_disk(&core), 1);
}

#[tokio::test]
async fn an_operator_of_a_site_loads_and_sees_its_tables_only() {
    let (_folder, core, _session) = core().await;
    let tables = &core.tables;
    let of_shop = Actor {
        scope: crate::identity::Scope::Site("shop".parse().unwrap()),
        ..Actor::hub()
    };
    for (site, good) in [(Some("shop"), true), (Some("bar"), false), (None, false)] {
        let loaded = tables.load(&of_shop, table("cards", site), rows(&[("a", "1")]));
        assert_eq!(loaded.await.is_ok(), good, "{site:?}");
    }
    let hub = Actor::hub();
    let bars = tables.load(&hub, table("cards", Some("bar")), rows(&[("a", "1")]));
    bars.await.unwrap();
    let seen = tables.list(&of_shop, &page()).await.unwrap();
    assert_eq!(seen.items.len(), 1);
}
