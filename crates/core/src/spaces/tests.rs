use super::*;
use crate::Settings;
use crate::identity::{Claim, Given, Role, Scope};
use crate::open::Core;
use crate::sessions::Session;

const NEVER: &str = "nobody";

/// A core with the sites `shop` and `bar`, and a session of a device of each.
async fn core() -> (tempfile::TempDir, Core, [Session; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let core = Core::open(&Settings::new(folder.path())).unwrap();
    let hub = Actor::hub();
    for site in ["shop", "bar"] {
        let id = site.parse().unwrap();
        let made = core.identity.create_site(&hub, id, site.to_owned());
        made.await.unwrap();
    }
    let sessions = [
        session(&core, "fort-1", "shop").await,
        session(&core, "fort-2", "bar").await,
    ];
    (folder, core, sessions)
}

async fn session(core: &Core, device: &str, site: &str) -> Session {
    let (hub, identity) = (Actor::hub(), &core.identity);
    let (id, site) = (device.parse().unwrap(), site.parse().unwrap());
    let fort = identity.create_device(&hub, id, site, None).await.unwrap();
    let issued = identity.add_token(&hub, &fort.id, "t".to_owned(), None);
    let Given::Token(token) = issued.await.unwrap().given else {
        panic!("a token was expected");
    };
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let who = identity.authenticate(claim).await.unwrap();
    let session = core.open_session(&who, "test", ([127, 0, 0, 1], 1).into());
    session.await.unwrap()
}

fn roles() -> Roles {
    let role = |name: &str, actions: &[&str]| {
        let actions = actions.iter().map(|action| action.parse().unwrap());
        (name.parse().unwrap(), actions.collect())
    };
    Roles::from([
        role("viewer", &["read"]),
        role("editor", &["read", "reload"]),
    ])
}

fn place(site: &str, space: &str) -> (SiteId, SpaceId) {
    (site.parse().unwrap(), space.parse().unwrap())
}

async fn put(core: &Core, site: &str, space: &str) {
    let (hub, title) = (Actor::hub(), "Sales".to_owned());
    let made = core.spaces.put(&hub, place(site, space), title, roles());
    made.await.unwrap();
}

async fn grant(core: &Core, space: &str, user: &str, role: &str) -> Result<Grant, Refusal> {
    let hub = Actor::hub();
    let (user, role) = (user.parse().unwrap(), role.parse().unwrap());
    let granted = core.spaces.grant(&hub, place("shop", space), user, role);
    granted.await
}

async fn ask(core: &Core, session: &Session, user: &str, action: &str, space: &str) -> Answer {
    let question = Question {
        user: user.to_owned(),
        action: action.to_owned(),
        space: space.to_owned(),
    };
    let answered = core.spaces.ask(&session.pass(), vec![question]).await;
    answered.unwrap().answers[0]
}

async fn version(core: &Core, session: &Session) -> u64 {
    let answered = core.spaces.ask(&session.pass(), Vec::new()).await;
    answered.unwrap().version
}

#[tokio::test]
async fn a_user_may_do_what_one_of_their_roles_in_the_space_allows_and_nothing_else() {
    let (_folder, core, [fort, elsewhere]) = core().await;
    put(&core, "shop", "sales").await;
    put(&core, "shop", "stock").await;
    grant(&core, "sales", "ann@example.com", "viewer")
        .await
        .unwrap();
    grant(&core, "sales", "bob", "editor").await.unwrap();
    for (user, action, space, answer) in [
        ("ann@example.com", "read", "sales", Answer::Permitted),
        ("ann@example.com", "reload", "sales", Answer::NotAllowed),
        ("bob", "reload", "sales", Answer::Permitted),
        ("Bob", "reload", "sales", Answer::NotAllowed),
        ("bob", "reload", "stock", Answer::NotAllowed),
        ("bob", "Reload", "sales", Answer::NotAllowed),
        (NEVER, "read", "sales", Answer::NotAllowed),
        ("", "read", "sales", Answer::NotAllowed),
        ("bob", "a/b", "sales", Answer::NotAllowed),
        ("bob", "read", "none", Answer::NoSpace),
        ("bob", "read", "../sales", Answer::NoSpace),
    ] {
        let told = ask(&core, &fort, user, action, space).await;
        assert_eq!(told, answer, "{user} {action} {space}");
    }
    // A device asks about its own site alone.
    let told = ask(&core, &elsewhere, "bob", "reload", "sales").await;
    assert_eq!(told, Answer::NoSpace);
    put(&core, "bar", "sales").await;
    let told = ask(&core, &elsewhere, "bob", "reload", "sales").await;
    assert_eq!(told, Answer::NotAllowed, "granted at another site");
}

#[tokio::test]
async fn what_is_taken_away_is_denied_at_once_and_the_version_goes_up_with_each_change() {
    let (_folder, core, [fort, elsewhere]) = core().await;
    let mut versions = vec![version(&core, &fort).await];
    put(&core, "shop", "sales").await;
    versions.push(version(&core, &fort).await);
    grant(&core, "sales", "bob", "editor").await.unwrap();
    versions.push(version(&core, &fort).await);
    let again = grant(&core, "sales", "bob", "editor").await;
    again.unwrap();
    assert_eq!(versions.last(), Some(&version(&core, &fort).await));
    assert!(
        ask(&core, &fort, "bob", "reload", "sales")
            .await
            .is_permitted()
    );
    let (hub, bob) = (Actor::hub(), || "bob".parse::<User>().unwrap());
    let revoked = core.spaces.revoke(
        &hub,
        place("shop", "sales"),
        bob(),
        Some("editor".parse().unwrap()),
    );
    revoked.await.unwrap();
    assert!(
        !ask(&core, &fort, "bob", "reload", "sales")
            .await
            .is_permitted()
    );
    versions.push(version(&core, &fort).await);
    let none = core
        .spaces
        .revoke(&hub, place("shop", "sales"), bob(), None);
    assert!(matches!(none.await, Err(Refusal::NotFound { .. })));
    // With a role its grants go.
    grant(&core, "sales", "bob", "editor").await.unwrap();
    versions.push(version(&core, &fort).await);
    let only = Roles::from([("viewer".parse().unwrap(), BTreeSet::new())]);
    let title = || "Sales".to_owned();
    let put = core.spaces.put(&hub, place("shop", "sales"), title(), only);
    put.await.unwrap();
    versions.push(version(&core, &fort).await);
    let put = core
        .spaces
        .put(&hub, place("shop", "sales"), title(), roles());
    put.await.unwrap();
    assert!(
        !ask(&core, &fort, "bob", "reload", "sales")
            .await
            .is_permitted()
    );
    versions.push(version(&core, &fort).await);
    assert!(
        versions.is_sorted_by(|before, after| before < after),
        "{versions:?}"
    );
    assert_eq!(version(&core, &elsewhere).await, 0);
}

#[tokio::test]
async fn a_removed_space_takes_its_grants_along() {
    let (_folder, core, [fort, _]) = core().await;
    put(&core, "shop", "sales").await;
    grant(&core, "sales", "bob", "editor").await.unwrap();
    let (site, id) = place("shop", "sales");
    core.spaces.remove(&Actor::hub(), &site, &id).await.unwrap();
    assert_eq!(
        ask(&core, &fort, "bob", "read", "sales").await,
        Answer::NoSpace
    );
    put(&core, "shop", "sales").await;
    assert_eq!(
        ask(&core, &fort, "bob", "read", "sales").await,
        Answer::NotAllowed
    );
    let (_, grants) = core.spaces.get(&Actor::hub(), &site, &id).await.unwrap();
    assert!(grants.is_empty());
}

#[tokio::test]
async fn a_revoked_device_and_who_is_none_are_told_nothing() {
    let (_folder, core, [fort, _]) = core().await;
    put(&core, "shop", "sales").await;
    let (hub, pass, device) = (Actor::hub(), fort.pass(), "fort-1".parse().unwrap());
    let revoked = core.identity.revoke_device(&hub, &device);
    drop(fort);
    revoked.await.unwrap();
    core.spaces.ask(&pass, Vec::new()).await.unwrap_err();
    let service = core
        .identity
        .create_service(&hub, "billing".parse().unwrap(), Scope::All);
    let Given::Token(token) = service.await.unwrap().1.given else {
        panic!("a token was expected");
    };
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let who = core.identity.authenticate(claim).await.unwrap();
    let session = core.open_session(&who, "test", ([127, 0, 0, 1], 1).into());
    let session = session.await.unwrap();
    let refused = core.spaces.ask(&session.pass(), Vec::new()).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
}

#[tokio::test]
async fn who_sees_another_site_or_may_only_look_changes_nothing() {
    let (_folder, core, _sessions) = core().await;
    put(&core, "shop", "sales").await;
    let of = |role, site: &str| Actor {
        role,
        scope: Scope::Site(site.parse().unwrap()),
        ..Actor::hub()
    };
    let (site, id) = place("shop", "sales");
    let other = of(Role::Admin, "bar");
    let refused = core.spaces.remove(&other, &site, &id).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    let refused = core.spaces.get(&other, &site, &id).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    let viewer = of(Role::Viewer, "shop");
    core.spaces.get(&viewer, &site, &id).await.unwrap();
    let refused = core.spaces.remove(&viewer, &site, &id).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
}

#[tokio::test]
async fn what_is_too_much_or_does_not_fit_is_refused() {
    let (_folder, core, [fort, _]) = core().await;
    put(&core, "shop", "sales").await;
    let hub = Actor::hub();
    let refused = grant(&core, "sales", "bob", "owner").await;
    assert!(matches!(refused, Err(Refusal::Invalid { .. })));
    let question = Question {
        user: NEVER.to_owned(),
        action: "read".to_owned(),
        space: "sales".to_owned(),
    };
    let many = vec![question; MAX_QUESTIONS + 1];
    let refused = core.spaces.ask(&fort.pass(), many).await;
    assert!(matches!(refused, Err(Refusal::TooMany { .. })));
    let many = 0..=MAX_ROLES;
    let many = many.map(|one| (format!("r{one}").parse().unwrap(), BTreeSet::new()));
    for (title, roles) in [
        ("Sales", Roles::new()),
        ("Sales", many.collect()),
        ("", roles()),
        ("a\nb", roles()),
    ] {
        let put = core
            .spaces
            .put(&hub, place("shop", "x"), title.to_owned(), roles);
        assert!(
            matches!(put.await, Err(Refusal::Invalid { .. })),
            "{title:?}"
        );
    }
}

#[tokio::test]
async fn devices_of_the_site_that_are_there_are_told_of_each_change_once_it_is_on_the_disk() {
    let (_folder, core, [fort, elsewhere]) = core().await;
    let hub = Actor::hub();
    put(&core, "shop", "sales").await;
    assert!(matches!(heard(&fort).await, Some(Signal::Spaces)));
    let before = version(&core, &fort).await;
    grant(&core, "sales", "bob", "editor").await.unwrap();
    assert!(matches!(heard(&fort).await, Some(Signal::Spaces)));
    assert!(version(&core, &fort).await > before);
    // The same again is no change.
    grant(&core, "sales", "bob", "editor").await.unwrap();
    assert!(heard(&fort).await.is_none());
    let (site, id) = place("shop", "sales");
    let bob = "bob".parse().unwrap();
    let revoked = core.spaces.revoke(&hub, place("shop", "sales"), bob, None);
    revoked.await.unwrap();
    assert!(matches!(heard(&fort).await, Some(Signal::Spaces)));
    core.spaces.remove(&hub, &site, &id).await.unwrap();
    assert!(matches!(heard(&fort).await, Some(Signal::Spaces)));
    assert!(heard(&elsewhere).await.is_none());
}

/// What a session has been told, if anything has been.
async fn heard(session: &Session) -> Option<Signal> {
    let heard = tokio::time::timeout(std::time::Duration::ZERO, session.signal());
    heard.await.ok()
}

#[tokio::test]
async fn a_space_has_as_many_roles_as_its_entry_in_the_audit_log_can_tell() {
    let (_folder, core, _sessions) = core().await;
    let roles = |actions: usize| -> Roles {
        let actions = (0..actions).map(|one| format!("action-{one:02}").parse().unwrap());
        let actions: BTreeSet<_> = actions.collect();
        let roles = 0..MAX_ROLES;
        let roles = roles.map(|one| (format!("role-{one:02}").parse().unwrap(), actions.clone()));
        roles.collect()
    };
    let (hub, title) = (Actor::hub(), || "S".repeat(MAX_TITLE));
    let most = (1..).find(|most| {
        let written = serde_json::to_string(&roles(most + 1)).unwrap();
        written.len() > MAX_ROLES_BYTES
    });
    let most = most.unwrap();
    let put = core
        .spaces
        .put(&hub, place("shop", "x"), title(), roles(most));
    put.await.unwrap();
    let put = core
        .spaces
        .put(&hub, place("shop", "x"), title(), roles(most + 1));
    let refused = put.await;
    assert!(
        matches!(refused, Err(Refusal::Invalid { .. })),
        "{refused:?}"
    );
}
