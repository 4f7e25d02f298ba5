//! Consumers on a store of their own.

use std::time::Duration;

use super::*;
use crate::Limits;
use crate::events::tests::{Bench, all, said};
use crate::identity::Role;

fn name(text: &str) -> ConsumerId {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_consumer_begins_where_it_says_and_keeps_its_place() {
    let bench = Bench::new(Limits::default());
    let (core, session) = (&bench.core, bench.session("a"));
    for _ in 0..3 {
        core.events.append(&session, said("n", b"")).await.unwrap();
    }
    let (late, early) = (name("late"), name("early"));
    assert_eq!(
        core.consumers
            .register(None, &late, None)
            .await
            .unwrap()
            .place,
        3
    );
    assert_eq!(
        core.consumers
            .register(None, &early, Some(1))
            .await
            .unwrap()
            .place,
        1
    );
    assert_eq!(
        core.consumers
            .register(None, &early, Some(3))
            .await
            .unwrap()
            .place,
        1,
        "it is there already"
    );
    for _ in 0..2 {
        let taken = core.consumers.take(&early, &all(), 1).await.unwrap();
        assert_eq!((taken.events.len(), taken.next), (1, 2));
    }
    core.consumers.advance(None, &early, 2).await.unwrap();
    core.consumers.advance(None, &early, 1).await.unwrap();
    let taken = core.consumers.take(&early, &all(), 10).await.unwrap();
    assert_eq!(taken.events[0].seq, 3, "never back");
    assert!(
        core.consumers
            .take(&late, &all(), 10)
            .await
            .unwrap()
            .events
            .is_empty()
    );
}

#[tokio::test]
async fn places_that_are_not_there_yet_are_refused() {
    let bench = Bench::new(Limits::default());
    let consumers = &bench.core.consumers;
    let refused = consumers.register(None, &name("c"), Some(1)).await;
    assert!(matches!(refused, Err(Refusal::Invalid { .. })));
    consumers.register(None, &name("c"), None).await.unwrap();
    let refused = consumers.advance(None, &name("c"), 1).await;
    assert!(matches!(refused, Err(Refusal::Invalid { .. })));
    let refused = consumers.advance(None, &name("d"), 0).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    consumers.remove(None, &name("c")).await.unwrap();
    let refused = consumers.remove(None, &name("c")).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
}

#[tokio::test]
async fn one_that_stands_still_shows_since_when() {
    let bench = Bench::new(Limits::default());
    let (core, session) = (&bench.core, bench.session("a"));
    let start = core.clock.now();
    core.consumers
        .register(None, &name("c"), None)
        .await
        .unwrap();
    core.clock.advance(Duration::from_secs(100));
    let list = async || core.consumers.list(&Actor::hub()).await.unwrap().remove(0);
    assert_eq!(list().await.moved, core.clock.now(), "nothing to take");
    core.events.append(&session, said("n", b"")).await.unwrap();
    core.clock.advance(Duration::from_secs(100));
    let stuck = list().await;
    assert_eq!(
        (stuck.moved.since(start), stuck.behind),
        (Duration::from_secs(100), 1)
    );
    core.consumers.advance(None, &name("c"), 1).await.unwrap();
    assert_eq!(list().await.moved, core.clock.now());
}

#[tokio::test]
async fn who_sees_one_site_does_not_see_the_consumers() {
    let bench = Bench::new(Limits::default());
    let actor = Actor {
        operator: None,
        role: Role::Admin,
        scope: Scope::Site("s".parse().unwrap()),
        ..Actor::hub()
    };
    let refused = bench.core.consumers.list(&actor).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
}

#[tokio::test]
async fn no_service_and_no_site_takes_all_the_places() {
    let bench = Bench::new(Limits::default());
    let consumers = &bench.core.consumers;
    let fill = async |service: &str, site: &str| {
        let session = bench.service(service, site);
        let mut made = 0;
        loop {
            let id = name(&format!("{service}-{made}"));
            match consumers.register(Some(session.pass()), &id, None).await {
                Ok(_) => made += 1,
                Err(Refusal::TooMany { .. }) => return made,
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(fill("erp-1", "evil").await, QUOTA.each);
    assert_eq!(fill("erp-2", "evil").await, QUOTA.site - QUOTA.each);
    assert_eq!(fill("erp-3", "evil").await, 0);
    for site in 0..8 {
        fill(&format!("a-{site}"), &format!("site-{site}")).await;
        fill(&format!("b-{site}"), &format!("site-{site}")).await;
    }
    assert_eq!(fill("erp-4", "new").await, 0, "sites have a bound together");
    assert_eq!(fill("bus", "").await, QUOTA.each, "of those who see all");
    for n in 0..MAX_WEBHOOKS {
        let id = name(&format!("webhook-{n}"));
        consumers.register(None, &id, None).await.unwrap();
    }
    let again = consumers.register(None, &name("erp-1-0"), Some(0)).await;
    again.unwrap();
}
