//! Grants on a hub of their own.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::identity::{Page, Role, Scope};
use crate::secret::Secret;
use crate::sessions::Ending;
use crate::{Core, Limits, Refusal, Settings, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 3_600);

mod content;
mod own;

struct Bench {
    core: Core,
    folder: TempDir,
}

/// A hub with the devices `t7` and `t8` in the shop and `t9` in the mill, whose clock stands still.
async fn bench() -> Bench {
    bench_with(FileLimits::default()).await
}

async fn bench_with(files: FileLimits) -> Bench {
    let folder = TempDir::new().unwrap();
    let clock = Clock::held(Timestamp::from_millis(1_800_000_000_500));
    let core = open_in(&folder, clock, files);
    furnish(&core).await;
    Bench { core, folder }
}

/// Makes those devices.
async fn furnish(core: &Core) {
    let hub = Actor::hub();
    for (site, devices) in [("shop", ["t7", "t8"].as_slice()), ("mill", &["t9"])] {
        let made = core
            .identity
            .create_site(&hub, site.parse().unwrap(), site.to_owned());
        made.await.unwrap();
        for device in devices {
            let (device, site) = (device.parse().unwrap(), site.parse().unwrap());
            let made = core.identity.create_device(&hub, device, site, None);
            made.await.unwrap();
        }
    }
}

fn open_in(folder: &TempDir, clock: Clock, files: FileLimits) -> Core {
    let limits = Limits {
        files,
        ..Limits::default()
    };
    let settings = Settings {
        clock,
        limits,
        ..Settings::new(folder.path())
    };
    Core::open(&settings).unwrap()
}

fn place(device: &str, name: &str) -> Place {
    Place {
        device: device.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

impl Bench {
    async fn give(&self, place: Place, verb: Verb, lasts: Duration) -> Issued {
        let new = NewGrant { place, verb, lasts };
        self.core.files.grant(&Actor::hub(), new).await.unwrap()
    }

    /// Lets in whoever holds the key of `issued` to do what it is for.
    async fn admit(&self, issued: &Issued) -> Result<Admitted, Refusal> {
        let place = Place {
            device: issued.grant.device.clone(),
            name: issued.grant.name.clone(),
        };
        self.try_for(issued, place, issued.grant.verb).await
    }

    async fn try_for(
        &self,
        issued: &Issued,
        place: Place,
        verb: Verb,
    ) -> Result<Admitted, Refusal> {
        let shown = Shown {
            grant: issued.grant.id.clone(),
            place,
            verb,
        };
        let proves = |key: &Secret| key.matches(issued.key.expose());
        let peer = ([127, 0, 0, 1], 1).into();
        self.core.files.admit(&shown, peer, proves).await
    }
}

#[tokio::test]
async fn a_grant_is_for_one_file_one_verb_and_its_own_key() {
    let bench = bench().await;
    let staff = || place("t7", "staff.csv");
    let issued = bench.give(staff(), Verb::Read, DAY).await;
    let admitted = bench.admit(&issued).await.unwrap();
    assert_eq!(admitted.session.device().unwrap().as_str(), "t7");
    // Whoever has the key need not be the device.
    let (sessions, t7) = (&bench.core.sessions, "t7".parse().unwrap());
    assert_eq!((sessions.is_present(&t7), sessions.count()), (false, 1));
    assert_eq!(admitted.access.place(), &staff());
    for (place, verb) in [
        (staff(), Verb::Write),
        (place("t7", "other.csv"), Verb::Read),
        (place("t8", "staff.csv"), Verb::Read),
    ] {
        let refused = bench.try_for(&issued, place, verb).await;
        assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    }
    let other = bench.give(staff(), Verb::Read, DAY).await;
    let mixed = Issued {
        grant: other.grant,
        key: issued.key,
    };
    let refused = bench.admit(&mixed).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn thirty_days_are_the_most_at_issue_and_at_use() {
    let bench = bench().await;
    let (core, hub) = (&bench.core, Actor::hub());
    for lasts in [
        MAX_LASTS + Duration::from_millis(1),
        31 * DAY,
        Duration::ZERO,
    ] {
        let new = NewGrant {
            place: place("t7", "a"),
            verb: Verb::Read,
            lasts,
        };
        let refused = core.files.grant(&hub, new).await;
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{lasts:?}");
    }
    let issued = bench.give(place("t7", "a"), Verb::Read, MAX_LASTS).await;
    core.clock.advance(MAX_LASTS - Duration::from_secs(1));
    let admitted = bench.admit(&issued).await.unwrap();
    // It began half a second before the whole second that it counts from.
    core.clock.advance(Duration::from_millis(500));
    assert_eq!(admitted.session.ended().await, Ending::Expired);
    assert!(matches!(
        admitted.session.pass().check(),
        Err(Refusal::Revoked)
    ));
    let refused = bench.admit(&issued).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    // Nor does it help to write another end into the store.
    let (id, later) = (issued.grant.id.clone(), issued.grant.ends.after(DAY));
    let write = core.store.write(move |connection| {
        let sql = "UPDATE file_grants SET ends = ?2 WHERE id = ?1";
        Ok(connection.execute(sql, (id, later))?)
    });
    assert_eq!(write.await.unwrap(), 1);
    let refused = bench.admit(&issued).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_revoked_grant_ends_its_sessions_before_the_call_returns_and_no_other() {
    let bench = bench().await;
    let (core, hub) = (&bench.core, Actor::hub());
    let one = bench.give(place("t7", "a"), Verb::Write, DAY).await;
    let other = bench.give(place("t7", "a"), Verb::Write, DAY).await;
    let (by_one, by_other) = (bench.admit(&one).await, bench.admit(&other).await);
    let (by_one, by_other) = (by_one.unwrap(), by_other.unwrap());
    let pass = by_one.session.pass();
    let closing = tokio::spawn(async move {
        assert_eq!(by_one.session.ended().await, Ending::Revoked);
    });
    let device = "t7".parse().unwrap();
    let revoked = core.files.revoke_grant(&hub, &device, &one.grant.id).await;
    let revoked = revoked.unwrap();
    assert_eq!(revoked.connections.ended, 1);
    assert_eq!(revoked.connections.lingering, 0);
    closing.await.unwrap();
    assert!(matches!(pass.check(), Err(Refusal::Revoked)));
    assert!(matches!(bench.admit(&one).await, Err(Refusal::Revoked)));
    by_other.session.pass().check().unwrap();
    bench.admit(&other).await.unwrap();
    // Of another device there is no such grant.
    let device = "t8".parse().unwrap();
    let unknown = core.files.revoke_grant(&hub, &device, &one.grant.id).await;
    assert!(matches!(unknown, Err(Refusal::NotFound { .. })));
}

#[tokio::test]
async fn who_is_revoked_uses_no_grant_until_they_are_restored() {
    let bench = bench().await;
    let (core, hub) = (&bench.core, Actor::hub());
    let issued = bench.give(place("t7", "a"), Verb::Read, DAY).await;
    let (device, site) = (issued.grant.device.clone(), "shop".parse().unwrap());
    for by_site in [false, true] {
        let session = bench.admit(&issued).await.unwrap().session;
        let pass = session.pass();
        let closing = tokio::spawn(async move { session.ended().await });
        let revoked = if by_site {
            core.identity.revoke_site(&hub, &site).await
        } else {
            core.identity.revoke_device(&hub, &device).await
        };
        assert_eq!(revoked.unwrap().connections.ended, 1);
        assert_eq!(closing.await.unwrap(), Ending::Revoked);
        assert!(matches!(pass.check(), Err(Refusal::Revoked)));
        assert!(matches!(bench.admit(&issued).await, Err(Refusal::Revoked)));
        if by_site {
            core.identity.restore_site(&hub, &site).await.unwrap();
        } else {
            let new = NewGrant {
                place: place("t7", "b"),
                verb: Verb::Read,
                lasts: DAY,
            };
            let refused = core.files.grant(&hub, new).await;
            assert!(matches!(refused, Err(Refusal::Invalid { .. })));
            // But what it has can be taken away.
            let other = bench.give(place("t8", "b"), Verb::Read, DAY).await;
            let t8 = other.grant.device;
            core.identity.revoke_device(&hub, &t8).await.unwrap();
            let revoke = core.files.revoke_grant(&hub, &t8, &other.grant.id);
            revoke.await.unwrap();
            core.identity.restore_device(&hub, &device).await.unwrap();
        }
    }
    bench.admit(&issued).await.unwrap();
}

#[tokio::test]
async fn a_device_that_is_let_in_anew_has_none_of_its_grants_any_more() {
    let bench = bench().await;
    let (identity, hub) = (&bench.core.identity, Actor::hub());
    let issued = bench.give(place("t7", "a"), Verb::Read, DAY).await;
    let device = issued.grant.device.clone();
    identity.revoke_device(&hub, &device).await.unwrap();
    identity.restore_device_anew(&hub, &device).await.unwrap();
    assert!(matches!(bench.admit(&issued).await, Err(Refusal::Revoked)));
    let again = bench.give(place("t7", "a"), Verb::Read, DAY).await;
    bench.admit(&again).await.unwrap();
}

#[tokio::test]
async fn a_part_of_a_device_uses_no_grant_while_the_whole_is_revoked() {
    let bench = bench().await;
    let (core, hub) = (&bench.core, Actor::hub());
    let (part, shop) = ("t7~printer".parse().unwrap(), "shop".parse().unwrap());
    let made = core.identity.create_device(&hub, part, shop, None);
    made.await.unwrap();
    let issued = bench.give(place("t7~printer", "a"), Verb::Read, DAY).await;
    let session = bench.admit(&issued).await.unwrap().session;
    let pass = session.pass();
    drop(session);
    let whole = "t7".parse().unwrap();
    core.identity.revoke_device(&hub, &whole).await.unwrap();
    assert!(matches!(pass.check(), Err(Refusal::Revoked)));
    assert!(matches!(bench.admit(&issued).await, Err(Refusal::Revoked)));
}

#[tokio::test]
async fn grants_are_bounded_listed_and_a_device_gives_them_to_itself_only() {
    let bench = bench().await;
    let (core, hub) = (&bench.core, Actor::hub());
    let issued = bench.give(place("t7", "a"), Verb::Read, DAY).await;
    let session = bench.admit(&issued).await.unwrap().session;
    let name = || "log.txt".parse().unwrap();
    let own = core.files.grant_own(&session, name(), Verb::Write, DAY);
    let own = own.await.unwrap();
    assert_eq!(own.grant.by, "device/t7");
    let by_own = bench.admit(&own).await.unwrap();
    assert_eq!(by_own.access.place(), &place("t7", "log.txt"));
    core.files.end_own(&session, &own.grant.id).await.unwrap();
    assert!(matches!(bench.admit(&own).await, Err(Refusal::Revoked)));
    for _ in 1..MAX_GRANTS {
        bench.give(place("t7", "log.txt"), Verb::Write, DAY).await;
    }
    let new = NewGrant {
        place: place("t7", "log.txt"),
        verb: Verb::Write,
        lasts: DAY,
    };
    let refused = core.files.grant(&hub, new).await;
    assert!(matches!(refused, Err(Refusal::TooMany { .. })));
    let refused = core.files.grant_own(&session, name(), Verb::Write, DAY);
    assert!(matches!(refused.await, Err(Refusal::TooMany { .. })));
    let mut page = Page {
        after: None,
        limit: 600,
    };
    let device = "t7".parse().unwrap();
    let mut listed = Vec::new();
    loop {
        let part = core.files.grants(&hub, &device, &page).await.unwrap();
        listed.extend(part.items);
        page.after = part.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(listed.len(), 1_001);
    assert!(listed.last().is_some_and(|first| first.used.is_some()));
    let elsewhere = Actor {
        operator: Some("anna".parse().unwrap()),
        role: Role::Operator,
        scope: Scope::Site("mill".parse().unwrap()),
        ..Actor::hub()
    };
    let page = Page {
        after: None,
        limit: 1,
    };
    let refused = core.files.grants(&elsewhere, &device, &page).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
}
