use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::events::tests::Bench;
use crate::identity::{Role, Scope};
use crate::{Core, Limits, Settings};

fn named(name: &str, site: Option<&str>) -> NewAsset {
    NewAsset {
        name: name.parse().unwrap(),
        site: site.map(|site| site.parse().unwrap()),
        content_type: String::new(),
    }
}

fn operator(role: Role, scope: Scope) -> Actor {
    Actor {
        operator: Some("anna".parse().unwrap()),
        role,
        scope,
        ..Actor::hub()
    }
}

async fn put_by(
    assets: &Assets,
    actor: &Actor,
    new: NewAsset,
    content: &str,
) -> Result<Asset, Refusal> {
    let incoming = assets.begin(actor, &new).await?;
    let incoming = incoming.take(Bytes::from(content.to_owned())).await?;
    assets.put(actor, new, incoming.finish().await?).await
}

async fn put(core: &Core, new: NewAsset, content: &str) -> Asset {
    let made = put_by(&core.assets, &Actor::hub(), new, content).await;
    made.unwrap()
}

async fn site(core: &Core, name: &str) {
    let (hub, title) = (Actor::hub(), name.to_owned());
    let made = core
        .identity
        .create_site(&hub, name.parse().unwrap(), title);
    made.await.unwrap();
}

/// What a device should hold: names and bytes.
async fn held(core: &Core, session: &Session) -> Vec<(String, String)> {
    let mut held = Vec::new();
    for asset in core.assets.of_device(session).await.unwrap() {
        let fetched = core.assets.fetch(session, &asset.name, &asset.digest);
        let (_, path) = fetched.await.unwrap();
        let bytes = std::fs::read_to_string(path).unwrap();
        held.push((asset.name.to_string(), bytes));
    }
    held
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, bytes): &(&str, &str)| ((*name).to_owned(), (*bytes).to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test]
async fn a_device_holds_what_is_for_all_and_for_its_site_which_goes_first() {
    let bench = Bench::new(Limits::default());
    let core = &bench.core;
    site(core, "site-of-one").await;
    site(core, "site-of-two").await;
    put(core, named("prices.json", None), "all").await;
    put(core, named("images/logo.png", None), "logo").await;
    put(core, named("prices.json", Some("site-of-one")), "one").await;
    put(core, named("extra.txt", Some("site-of-two")), "two").await;
    let (one, two) = (bench.session("one"), bench.session("two"));
    let logo = ("images/logo.png", "logo");
    assert_eq!(
        held(core, &one).await,
        pairs(&[logo, ("prices.json", "one")])
    );
    let twos = [("extra.txt", "two"), logo, ("prices.json", "all")];
    assert_eq!(held(core, &two).await, pairs(&twos));
    // What another site has is not to be had by who knows its digest.
    let others = core.assets.of_device(&two).await.unwrap();
    let extra = &others[0];
    let refused = core.assets.fetch(&one, &extra.name, &extra.digest).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    let service = bench.service("billing", "");
    let refused = core.assets.of_device(&service).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
}

#[tokio::test]
async fn an_asset_with_nothing_in_it_is_refused() {
    let bench = Bench::new(Limits::default());
    let (assets, hub) = (&bench.core.assets, Actor::hub());
    let made = put_by(assets, &hub, named("a", None), "").await;
    assert!(matches!(made, Err(Refusal::Invalid { .. })), "{made:?}");
}

#[tokio::test]
async fn an_object_goes_with_the_last_asset_that_has_it_in_it() {
    let bench = Bench::new(Limits::default());
    let core = &bench.core;
    let first = put(core, named("a", None), "same").await;
    put(core, named("b", None), "same").await;
    let path = core.assets.objects.path(&first.digest);
    put(core, named("a", None), "other").await;
    assert!(path.exists());
    let b = "b".parse().unwrap();
    core.assets.remove(&Actor::hub(), &b, None).await.unwrap();
    assert!(!path.exists());
    let again = core.assets.remove(&Actor::hub(), &b, None).await;
    assert!(matches!(again, Err(Refusal::NotFound { .. })));
    assert_eq!(
        held(core, &bench.session("x")).await,
        pairs(&[("a", "other")])
    );
}

#[tokio::test]
async fn who_may_not_change_assets_leaves_nothing() {
    let bench = Bench::new(Limits::default());
    let core = &bench.core;
    site(core, "lund").await;
    site(core, "malmo").await;
    let lund = || Scope::Site("lund".parse().unwrap());
    let refused = [
        (operator(Role::Viewer, Scope::All), None),
        (operator(Role::Operator, lund()), None),
        (operator(Role::Operator, lund()), Some("malmo")),
        (operator(Role::Operator, Scope::All), Some("nowhere")),
    ];
    for (actor, site) in refused {
        let made = put_by(&core.assets, &actor, named("a", site), "x").await;
        assert!(made.is_err(), "{actor:?} {site:?}");
    }
    let actor = operator(Role::Operator, lund());
    let made = put_by(&core.assets, &actor, named("a", Some("lund")), "x").await;
    let made = made.unwrap();
    put(core, named("b", Some("malmo")), "y").await;
    put(core, named("c", None), "z").await;
    let page = Page {
        after: None,
        limit: 1,
    };
    let listed = core.assets.list(&actor, &page).await.unwrap();
    assert_eq!(listed.items[0].name.as_str(), "c");
    let page = Page {
        after: listed.next,
        limit: 2,
    };
    let listed = core.assets.list(&actor, &page).await.unwrap();
    assert_eq!((listed.items, listed.next), (vec![made], None));
}

#[tokio::test]
async fn an_object_without_an_asset_is_gone_after_a_restart_and_the_others_stay() {
    let folder = TempDir::new().unwrap();
    let open = || Core::open(&Settings::new(folder.path())).unwrap();
    let core = open();
    let kept = put(&core, named("a", None), "kept").await;
    // As if the process had ended between the two.
    let left = core.assets.begin(&Actor::hub(), &named("b", None)).await;
    let left = left.unwrap().take(Bytes::from_static(b"left")).await;
    let left = left.unwrap().finish().await.unwrap();
    let gone = core.assets.objects.path(left.digest());
    left.keep().await.unwrap();
    drop(core);
    let core = open();
    assert!(!gone.exists());
    assert!(core.assets.objects.path(&kept.digest).exists());
}
