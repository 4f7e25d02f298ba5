//! What an operator has asked for and what still waits for the disk is refused once they are
//! revoked: every operation there is.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use outgate_core::assets::{Asset, NewAsset};
use outgate_core::contents::Hashes;
use outgate_core::deployments::{Plan, Target};
use outgate_core::events::NewEvent;
use outgate_core::files::{self, File, NewGrant, Place, Verb};
use outgate_core::id::{
    AuthorityId, CommandId, CredentialId, DeploymentId, FleetKeyId, GrantId, ReleaseKeyId,
    WebhookId,
};
use outgate_core::identity::{Actor, Before, Declared, Enrolled, NewFleetKey, Page, Role, Scope};
use outgate_core::releases::{Described, NewRelease, Release};
use outgate_core::schedules::{Missed, NewSchedule, Whom};
use outgate_core::sessions::{Ending, Selector, Session};
use outgate_core::spaces::Space;
use outgate_core::support::{NewSupport, What};
use outgate_core::tables::NewTable;
use outgate_core::twin::{Edit, Steering};
use outgate_core::webhooks::{Letter, WebhookChange};
use outgate_core::{Core, Refusal};

use crate::asked::{a_command, a_webhook};
use crate::certificates::{Customer, request};
use crate::enrol::Fleet;
use crate::hub::{Hub, id, token_of};

const HOUR: Duration = Duration::from_secs(3_600);

/// What an operation came to.
type Outcome = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;

/// An operation by its name, on things that are there.
type Operation = (&'static str, fn(Core, Actor, Things) -> Outcome);

/// Things to act on.
#[derive(Clone)]
struct Things {
    credential: CredentialId,
    operator_token: CredentialId,
    fleet_key: FleetKeyId,
    authority: AuthorityId,
    customer: String,
    command: CommandId,
    webhook: WebhookId,
    access_key: CredentialId,
    grant: GrantId,
    release_key: ReleaseKeyId,
    deployment: DeploymentId,
}

/// A key in OpenSSH's form.
const SSH_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAsMdkif2SN11rTtuGJodebxeImPJwj0PSoAcb9GlvcQ test";

macro_rules! operations {
    ($($name:ident: |$part:ident, $actor:ident, $things:ident| $run:expr;)*) => {
        [$((stringify!($name), |core: Core, $actor: Actor, $things: Things| {
            Box::pin(async move {
                let $part = &core;
                let $actor = &$actor;
                let _ = &$things;
                $run.await.map(|_| ())
            })
        })),*]
    };
}

/// Every operation by which an operator changes something.
const OPERATIONS: [Operation; 71] = operations![
    call: |c, a, _t| async {
        let (device, method) = (id("till-1"), "reboot".to_owned());
        let asked = c.calls.call(a, &device, method, String::new(), Bytes::new(), HOUR / 60);
        match asked.await {
            // It was permitted and written down.
            Err(Refusal::Offline { .. }) => Ok(()),
            other => other.map(|_| ()),
        }
    };
    send: |c, a, _t| c.commands.send(a, &id("till-1"), a_command());
    send_sealed: |c, a, _t| c.commands.send_sealed(a, &id("till-1"), a_command());
    push: |c, a, _t| c.registrations.push(a, &id("till-1"));
    cancel_all: |c, a, _t| c.commands.cancel_all(a, &id("till-1"));
    cancel: |c, a, t| c.commands.cancel(a, &id("till-1"), &t.command);
    add_thumbprint: |c, a, _t| c.identity.add_thumbprint(a, &id("till-1"), [7; 32]);
    add_certificate: |c, a, _t| async {
        let request = request();
        c.identity.add_certificate(a, &id("till-1"), &request, 24 * HOUR).await
    };
    add_keys: |c, a, _t| c.identity.add_keys(a, &id("till-1"));
    add_token: |c, a, _t| c.identity.add_token(a, &id("till-1"), "new".to_owned(), None);
    create_device: |c, a, _t| c.identity.create_device(a, id("till-2"), id("shop"), None);
    set_policy: |c, a, _t| c.identity.set_policy(a, &id("till-1"), "gateway".to_owned(), None);
    approve_device: |c, a, _t| c.identity.approve_device(a, &id("till-9"));
    restore_device: |c, a, _t| c.identity.restore_device(a, &id("till-1"));
    declare_device: |c, a, _t| async {
        let declared = Declared { site: None, enabled: Some(true), proofs: None };
        c.identity.declare_device(a, &id("till-1"), declared, Before::Anything).await
    };
    remove_device: |c, a, _t| c.identity.remove_device(a, &id("till-1"), None);
    create_fleet_key: |c, a, _t| c.identity.create_fleet_key(a, a_fleet_key());
    revoke_fleet_key: |c, a, t| c.identity.revoke_fleet_key(a, &t.fleet_key);
    create_operator: |c, a, _t| c.identity.create_operator(a, id("cat"), Role::Viewer, Scope::All);
    add_operator_token: |c, a, _t| async {
        c.identity.add_operator_token(a, &id("bob"), "new".to_owned(), None).await
    };
    revoke_site: |c, a, _t| c.identity.revoke_site(a, &id("shop"));
    revoke_device: |c, a, _t| c.identity.revoke_device(a, &id("till-1"));
    revoke_credential: |c, a, t| c.identity.revoke_credential(a, &id("till-1"), &t.credential);
    revoke_operator: |c, a, _t| c.identity.revoke_operator(a, &id("bob"));
    revoke_operator_token: |c, a, t| async {
        c.identity.revoke_operator_token(a, &id("bob"), &t.operator_token).await
    };
    revoke_service: |c, a, _t| c.identity.revoke_service(a, &id("erp"));
    rotate: |c, a, t| async {
        // A credential, and the secret of a webhook.
        c.identity.rotate(a, &id("till-1"), &t.credential, None, HOUR).await?;
        c.webhooks.rotate(a, &t.webhook, HOUR).await
    };
    sign_ssh: |c, a, _t| c.identity.sign_ssh(a, &id("till-1"), ("service", SSH_KEY), HOUR);
    create_service: |c, a, _t| c.identity.create_service(a, id("wms"), Scope::All);
    create_site: |c, a, _t| c.identity.create_site(a, id("mill"), "The mill".to_owned());
    rename_site: |c, a, _t| c.identity.rename_site(a, &id("shop"), "New".to_owned(), None);
    restore_site: |c, a, _t| c.identity.restore_site(a, &id("shop"));
    add_authority: |c, a, t| c.identity.add_authority(a, &id("shop"), &t.customer);
    revoke_authority: |c, a, t| c.identity.revoke_authority(a, &id("shop"), &t.authority);
    desire: |c, a, _t| c.twins.desire(a, &id("till-1"), json!({"colour": "red"}), None);
    desire_of: |c, a, _t| c.twins.desire_of(a, &id("till-1"), &id("lamp"), json!({"on": true}), None);
    steer: |c, a, _t| async {
        let tags = Some(Edit::Merge(json!({"colour": "red"})));
        let steering = Steering { desired: None, tags };
        c.twins.steer(a, &id("till-1"), steering, None).await
    };
    create: |c, a, _t| c.webhooks.create(a, a_webhook());
    update: |c, a, t| c.webhooks.update(a, &t.webhook, WebhookChange::default(), None);
    remove: |c, a, t| async {
        // A file, an asset, a table, and a webhook.
        c.files.remove(a, &id("till-1"), &id("log.txt")).await?;
        c.assets.remove(a, &"logo.png".parse().unwrap(), None).await?;
        c.tables.remove(a, &"cards".parse().unwrap(), None).await?;
        c.webhooks.remove(a, &t.webhook).await
    };
    load: |c, a, _t| c.tables.load(a, a_table(), Vec::new());
    restore_device_anew: |c, a, _t| async {
        match c.identity.restore_device_anew(a, &id("till-1")).await {
            // It has not been revoked, but that was looked at.
            Err(Refusal::Invalid { .. }) => Ok(()),
            other => other.map(|_| ()),
        }
    };
    put: |c, a, _t| put_asset(c, a, "prices.json");
    add_access_key: |c, a, _t| c.identity.add_access_key(a, &id("erp"));
    revoke_access_key: |c, a, t| c.identity.revoke_access_key(a, &id("erp"), &t.access_key);
    rotate_secret: |c, a, t| c.webhooks.rotate(a, &t.webhook, HOUR);
    redeliver: |c, a, t| c.webhooks.redeliver(a, &t.webhook, 1);
    discard: |c, a, t| c.webhooks.discard(a, &t.webhook, 1);
    grant: |c, a, _t| c.files.grant(a, a_grant());
    revoke_grant: |c, a, t| c.files.revoke_grant(a, &id("till-1"), &t.grant);
    reach: |c, a, _t| c.files.reach(a, a_grant().place, Verb::Read);
    dismiss_session: |c, a, _t| async {
        let (device, none) = (id("till-1"), id("ss-none"));
        match c.identity.dismiss_session(a, &device, &none).await {
            // There is none, but it was looked for.
            Err(Refusal::NotFound { .. }) => Ok(()),
            other => other.map(|_| ()),
        }
    };
    add_schedule: |c, a, _t| c.schedules.add_schedule(a, a_schedule("reboot"));
    pause: |c, a, _t| c.schedules.pause(a, &id("reload"));
    resume: |c, a, _t| c.schedules.resume(a, &id("reload"));
    remove_schedule: |c, a, _t| c.schedules.remove_schedule(a, &id("reload"));
    add_public_key: |c, a, _t| c.identity.add_public_key(a, &id("till-1"), [9; 32]);
    add_key: |c, a, _t| c.releases.add_key(a, "ours".to_owned(), "PEM".to_owned(), "2".repeat(64));
    revoke_key: |c, a, t| c.releases.revoke_key(a, &t.release_key);
    add: |c, a, t| add_release(c, a, "till-2.0", t.release_key.clone());
    retire: |c, a, _t| c.releases.retire(a, &id("till-1.0"));
    pause: |c, a, t| c.deployments.pause(a, &t.deployment);
    resume: |c, a, t| c.deployments.resume(a, &t.deployment);
    advance: |c, a, t| async {
        match c.deployments.advance(a, &t.deployment).await {
            // It has one phase, but that was looked at.
            Err(Refusal::Invalid { .. }) => Ok(()),
            other => other.map(|_| ()),
        }
    };
    abort: |c, a, t| async {
        // A deployment, and the making of another.
        c.deployments.abort(a, &t.deployment).await?;
        let all = Target::Devices(vec![id("till-1")]);
        c.deployments.create(a, id("till-1.0"), all, Plan::default()).await
    };
    put_space: |c, a, _t| put_space(c, a, "stock");
    remove_space: |c, a, _t| c.spaces.remove(a, &id("shop"), &id("sales"));
    grant_role: |c, a, _t| async {
        let (bob, viewer) = ("bob".parse().unwrap(), id("viewer"));
        c.spaces.grant(a, (id("shop"), id("sales")), bob, viewer).await
    };
    revoke: |c, a, _t| async {
        let ann = "ann".parse().unwrap();
        c.spaces.revoke(a, (id("shop"), id("sales")), ann, None).await
    };
    ask: |c, a, t| async {
        let pass = c.stand_in(&t.operator_token, "support").await?;
        match c.support.ask(a, pass, &id("till-1"), a_support_session()).await {
            // The hub is no operator. Who is asks a device that is there: `command/support`.
            Err(Refusal::Forbidden { .. }) => Ok(()),
            other => other.map(|_| ()),
        }
    };
    recording: |c, a, _t| async {
        match c.support.recording(a, &"su-0123456789abcdefghjk".parse().unwrap()).await {
            // There is none, but it was looked for.
            Err(Refusal::NotFound { .. }) => Ok(()),
            other => other.map(|_| ()),
        }
    };
];

/// Those that act on what is live, at once and before anything waits for the disk: that it is over
/// with the operator's access is held to by `command/support`.
const LIVE: [&str; 2] = ["end", "operator_sends"];

/// Those by which an operator only looks at something.
const LOOKS: [&str; 34] = [
    "fired_devices",
    "firings",
    "named",
    "upcoming",
    "keys",
    "log",
    "changed",
    "operator_takes",
    "count_devices",
    "described",
    "registered",
    "registry",
    "access_keys",
    // Whether an asset may be made, before anything of it is taken.
    "begin",
    "may_load",
    "entries",
    "verify",
    "list",
    "get",
    "credentials",
    "devices",
    "device",
    "fleet_keys",
    "grants",
    "operators",
    "operator_tokens",
    "services",
    "sites",
    "site",
    "authorities",
    "roster",
    "letters",
    "look",
    "sessions",
];

#[tokio::test]
async fn nothing_that_waits_for_the_disk_is_done_for_an_operator_who_has_been_revoked() {
    for (name, operation) in OPERATIONS {
        let (hub, things) = prepared().await;
        let session = operator(&hub).await;
        let actor = Actor::of(&session).unwrap();
        let before = head(&hub).await;
        let (held, holding) = hold_the_writer(&hub.core).await;
        let under_way = tokio::spawn(operation(hub.core.clone(), actor, things.clone()));
        // On this runtime's one thread: the operation goes as far as it gets.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let all = Selector::Operator(id("ann"));
        drop(session);
        let ended = hub.core.sessions.end(&all, Ending::Revoked, HOUR).await;
        assert_eq!(ended.lingering, 0, "{name}");
        drop(held);
        holding.await.unwrap();
        let done = under_way.await.unwrap();
        assert!(matches!(done, Err(Refusal::Revoked)), "{name}: {done:?}");
        assert_eq!(head(&hub).await, before, "{name} left something behind");
        let allowed = operation(hub.core.clone(), Actor::hub(), things).await;
        assert!(allowed.is_ok(), "{name} is possible: {allowed:?}");
    }
}

#[tokio::test]
async fn an_operator_whose_session_lives_may_do_all_of_it() {
    let (hub, things) = prepared().await;
    let session = operator(&hub).await;
    let actor = Actor::of(&session).unwrap();
    let made = OPERATIONS.iter().find(|(name, _)| *name == "create_site");
    let (_, make) = made.unwrap();
    make(hub.core.clone(), actor, things).await.unwrap();
    let site = hub.core.identity.site(&hub.admin, &id("mill")).await;
    assert_eq!(site.unwrap().title, "The mill");
}

/// Reads the sources, so that a new operation cannot be forgotten above.
#[test]
fn every_operation_of_an_operator_is_among_those_tried() {
    let mut found = BTreeSet::new();
    collect(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(),
        &mut found,
    );
    let known: BTreeSet<String> = OPERATIONS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| *name != "rotate_secret")
        .chain(LOOKS)
        .chain(LIVE)
        .map(str::to_owned)
        .collect();
    let untried: Vec<_> = found.difference(&known).collect();
    assert!(untried.is_empty(), "not tried: {untried:?}");
    assert!(found.len() > 40, "the sources are read: {found:?}");
}

/// Adds the names of all functions for others that are handed an actor.
fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for function in text.split("\n    pub async fn ").skip(1) {
            let (head, _) = function.split_once('{').unwrap();
            let (name, arguments) = head.split_once(['(', '<']).unwrap();
            if arguments.contains("Actor") {
                found.insert(name.to_owned());
            }
        }
    }
}

fn a_schedule(name: &str) -> NewSchedule {
    NewSchedule {
        name: id(name),
        cron: "0 2 * * *".parse().unwrap(),
        zone: "UTC".parse().unwrap(),
        whom: Whom::Devices(vec![id("till-1")]),
        command: a_command(),
        missed: Missed::Skip,
        spread: Duration::ZERO,
    }
}

fn a_support_session() -> NewSupport {
    NewSupport {
        reason: "the till is slow".to_owned(),
        what: What::Service("pos".to_owned()),
        lasts: HOUR,
    }
}

/// Keeps the writer busy until what is returned first is dropped.
async fn hold_the_writer(core: &Core) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (held, release) = mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let store = core.store.clone();
    let holding = tokio::spawn(async move {
        let hold = move |_: &_| {
            begun.send(()).unwrap();
            // An error: the sender was dropped.
            let _ = release.recv();
            Ok(())
        };
        store.write(hold).await.unwrap();
    });
    begins.await.unwrap();
    (held, holding)
}

/// A session of the operator `ann`, who may do everything.
async fn operator(hub: &Hub) -> Session {
    let identity = &hub.core.identity;
    let made = identity.create_operator(&hub.admin, id("ann"), Role::Admin, Scope::All);
    let token = token_of(made.await.unwrap().1);
    hub.open(&hub.token(&token).await.unwrap()).await.unwrap()
}

/// A hub with one of everything.
async fn prepared() -> (Hub, Things) {
    let fleet = Fleet::new().await;
    for nonce in [1, 2] {
        let enrolled = fleet.enrol("till-9", nonce).await.unwrap();
        if let Enrolled::Welcome(issued) = enrolled {
            fleet.comes_in("till-9", &issued).await.unwrap();
        }
        fleet.hub.core.clock.advance(HOUR / 6);
    }
    let hub = fleet.hub;
    hub.add_device("shop", "till-1").await;
    let (identity, admin, till) = (&hub.core.identity, &hub.admin, id("till-1"));
    let token = identity.add_token(admin, &till, "test".to_owned(), None);
    let credential = token.await.unwrap().credential.id;
    let bob = identity.create_operator(admin, id("bob"), Role::Viewer, Scope::All);
    let operator_token = bob.await.unwrap().1.credential.id;
    let erp = identity.create_service(admin, id("erp"), Scope::All);
    erp.await.unwrap();
    let access_key = identity.add_access_key(admin, &id("erp")).await;
    put_asset(&hub.core, admin, "logo.png").await.unwrap();
    let table = hub.core.tables.load(admin, a_table(), Vec::new());
    table.await.unwrap();
    put_space(&hub.core, admin, "sales").await.unwrap();
    let (ann, sales) = ("ann".parse().unwrap(), (id("shop"), id("sales")));
    let granted = hub.core.spaces.grant(admin, sales, ann, id("viewer"));
    granted.await.unwrap();
    let fleet_key = identity.create_fleet_key(admin, a_fleet_key()).await;
    let (shop, customer) = (id("shop"), Customer::new(&hub));
    let authority = identity.add_authority(admin, &shop, &customer.pem).await;
    let command = hub.core.commands.send(admin, &till, a_command()).await;
    let grant = hub.core.files.grant(admin, a_grant()).await;
    put_file(&hub.core).await.unwrap();
    let schedule = hub.core.schedules.add_schedule(admin, a_schedule("reload"));
    schedule.await.unwrap();
    let (release_key, deployment) = deployed(&hub.core).await;
    let things = Things {
        credential,
        operator_token,
        fleet_key: fleet_key.unwrap().0.id,
        authority: authority.unwrap().id,
        customer: Customer::new(&hub).pem,
        command: command.unwrap().id,
        webhook: webhook_with_a_letter(&hub).await,
        access_key: access_key.unwrap().credential.id,
        grant: grant.unwrap().grant.id,
        release_key,
        deployment,
    };
    (hub, things)
}

/// To write a file of the till.
fn a_grant() -> NewGrant {
    NewGrant {
        place: Place {
            device: id("till-1"),
            name: id("log.txt"),
        },
        verb: Verb::Write,
        lasts: HOUR,
    }
}

fn a_table() -> NewTable {
    NewTable {
        name: id("cards"),
        site: None,
        key: None,
    }
}

/// Has a release made with a byte in it.
async fn add_release(
    core: &Core,
    actor: &Actor,
    name: &str,
    signed_by: ReleaseKeyId,
) -> Result<Release, Refusal> {
    let new = NewRelease {
        name: id(name),
        described: Described::default(),
        signed_by,
    };
    // What comes of it is for the operation itself to say.
    let incoming = core.releases.begin(&Actor::hub()).await?;
    let incoming = incoming.take(Bytes::from_static(b"x")).await?;
    let whole = incoming.finish().await?;
    core.releases.add(actor, new, whole).await
}

/// A release on its way to the till, and the key that has signed it.
async fn deployed(core: &Core) -> (ReleaseKeyId, DeploymentId) {
    let (hub, label) = (Actor::hub(), "build".to_owned());
    let key = core
        .releases
        .add_key(&hub, label, "PEM".to_owned(), "1".repeat(64));
    let key = key.await.unwrap().id;
    let release = add_release(core, &hub, "till-1.0", key.clone());
    release.await.unwrap();
    let all = Target::Devices(vec![id("till-1")]);
    let made = core
        .deployments
        .create(&hub, id("till-1.0"), all, Plan::default());
    (key, made.await.unwrap().id)
}

/// A space of the shop with one role.
async fn put_space(core: &Core, actor: &Actor, space: &str) -> Result<Space, Refusal> {
    let roles = [(id("viewer"), [id("read")].into())].into();
    let place = (id("shop"), id(space));
    core.spaces
        .put(actor, place, "Sales".to_owned(), roles)
        .await
}

/// Has an asset made with a byte in it.
async fn put_asset(core: &Core, actor: &Actor, name: &str) -> Result<Asset, Refusal> {
    let new = NewAsset {
        name: name.parse().unwrap(),
        site: None,
        content_type: String::new(),
    };
    // What comes of it is for the operation itself to say.
    let incoming = core.assets.begin(&Actor::hub(), &new).await?;
    let incoming = incoming.take(Bytes::from_static(b"x")).await?;
    core.assets.put(actor, new, incoming.finish().await?).await
}

/// Puts a byte into the file of [`a_grant`].
async fn put_file(core: &Core) -> Result<File, Refusal> {
    let access = core
        .files
        .reach(&Actor::hub(), a_grant().place, Verb::Write)
        .await?;
    let coming = core.files.begin(&access, Hashes::Sha256).await?;
    let whole = coming
        .take(Bytes::from_static(b"x"))
        .await?
        .finish()
        .await?;
    core.files
        .put(&access, whole, files::Described::nothing())
        .await
}

/// A webhook that did not take the one event there is.
async fn webhook_with_a_letter(hub: &Hub) -> WebhookId {
    let made = hub.core.webhooks.create(&hub.admin, a_webhook()).await;
    let webhook = made.unwrap().0.id;
    let token = hub.device_token("till-1").await;
    let session = hub.open(&hub.token(&token).await.unwrap()).await.unwrap();
    let event = NewEvent {
        name: "reading".to_owned(),
        content_type: String::new(),
        properties: [].into(),
        payload: Bytes::new(),
    };
    let place = hub.core.events.append(&session, event).await.unwrap();
    let letter = Letter {
        seq: 0,
        message: "m".to_owned(),
        first_place: place,
        last_place: place,
        body: Bytes::from_static(b"{}"),
        at: hub.core.clock.now(),
        attempts: 1,
        why: "no".to_owned(),
        again: false,
    };
    let aside = hub.core.webhooks.set_aside(&webhook, letter).await;
    aside.unwrap();
    webhook
}

/// The digest of the newest entry of the audit log.
async fn head(hub: &Hub) -> String {
    let newest = Page {
        after: None,
        limit: 1,
    };
    let entries = hub.core.audit.entries(&hub.admin, &newest).await;
    entries.unwrap().items.remove(0).digest
}

fn a_fleet_key() -> NewFleetKey {
    NewFleetKey {
        site: id("shop"),
        ids: "till-*".to_owned(),
        uses: 1,
        lasts: HOUR,
        from: Vec::new(),
        key: None,
    }
}
