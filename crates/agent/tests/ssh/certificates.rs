//! Certificates: of a hub, and of an authority whose key lies in a file.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use outgate_core::events::EventFilter;
use outgate_core::identity::{Actor, Page, Role, Scope};
use outgate_core::{Core, Refusal};
use serde_json::{Value, json};

use crate::alone;
use crate::place::{ACCOUNT, Place, on, shown, start};
use crate::running::Running;

const OPEN: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
";

/// The devices of the hub.
const CUBES: [&str; 2] = ["cube-1", "cube-2"];

const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

/// Has the hub sign a key of that name for an account of the first cube.
async fn signed(core: &Core, place: &Place, name: &str, account: &str) -> PathBuf {
    let key = place.key(name);
    let public = fs::read_to_string(place.file(&format!("{name}.pub"))).unwrap();
    let device = CUBES[0].parse().unwrap();
    let (hub, of) = (Actor::hub(), (account, public.as_str()));
    let signed = core
        .identity
        .sign_ssh(&hub, &device, of, HALF_AN_HOUR)
        .await;
    let certificate = signed.unwrap().certificate;
    fs::write(place.file(&format!("{name}-cert.pub")), certificate).unwrap();
    key
}

async fn enters(place: &Place, key: &Path, to: SocketAddr) -> bool {
    let (entered, answer) = place.answered(key, to, &[]).await;
    if !entered {
        assert!(answer.contains("Permission denied (publickey)"), "{answer}");
    }
    entered
}

#[test]
fn what_the_hub_signs_for_a_device_lets_in_there_and_nowhere_else() {
    alone(|place| async move {
        let folder = tempfile::TempDir::new_in(place.file("")).unwrap();
        let running = Running::on(folder, OPEN).await;
        running.furnish().await;
        let hub = format!("http://{}", running.hub.listening()[0].address);
        let mut agents = Vec::new();
        for cube in CUBES {
            let token = running.device(cube).await;
            agents.push(start(&place.config(cube, &hub, &token, "")).await);
        }
        let mut places = Vec::new();
        for agent in &agents {
            shown(agent, |ssh| ssh.hub_certificates == Some(true)).await;
            places.push(on(agent).await);
        }
        let core = running.core();
        let key = signed(core, &place, "anna", ACCOUNT).await;
        assert!(enters(&place, &key, places[0]).await);
        assert!(!enters(&place, &key, places[1]).await);
        let other = signed(core, &place, "bert", "root").await;
        assert!(!enters(&place, &other, places[0]).await);
        // The account's own keys are no way in here.
        assert!(!enters(&place, &place.file("own"), places[0]).await);

        agents[0].ssh().unwrap().off("a test").await.unwrap();
        assert_eq!(events(core, 2).await, [json!(true), json!(false)]);
        let twin = core
            .twins
            .get(&Actor::hub(), &CUBES[1].parse().unwrap())
            .await;
        let ssh = &twin.unwrap().reported.document["outgate"]["ssh"];
        assert_eq!(ssh["on"], true);
        for agent in agents {
            agent.stop().await;
        }
    });
}

/// Whether the first cube's SSH was switched on or off, as the hub was told, once it was told so often.
async fn events(core: &Core, often: usize) -> Vec<Value> {
    let filter = EventFilter {
        scope: Scope::All,
        device: Some(CUBES[0].parse().unwrap()),
        prefix: Some("outgate/ssh".to_owned()),
    };
    let mut changes = core.events.newest();
    loop {
        changes.borrow_and_update();
        let taken = core.events.after(&filter, 0, 100).await.unwrap().events;
        if taken.len() >= often {
            let on =
                |payload: &[u8]| serde_json::from_slice::<Value>(payload).unwrap()["on"].clone();
            return taken.iter().map(|event| on(&event.payload)).collect();
        }
        changes.changed().await.unwrap();
    }
}

#[test]
fn a_certificate_of_another_authority_counts_while_it_is_valid() {
    alone(|place| async move {
        let authority = place.key("authority");
        let ssh = format!("authority = '{}.pub'", authority.display());
        let agent = start(&place.config("agent", "http://127.0.0.1:1", "token", &ssh)).await;
        let at = on(&agent).await;
        let stranger = place.key("stranger");
        for (name, by, when, lets_in) in [
            ("now", &authority, "-5m:+5m", true),
            ("over", &authority, "-10m:-5m", false),
            ("later", &authority, "+5m:+10m", false),
            ("foreign", &stranger, "-5m:+5m", false),
        ] {
            let key = place.key(name);
            let mut command = Command::new("ssh-keygen");
            command
                .args(["-q", "-I", name, "-n", ACCOUNT, "-V", when, "-s"])
                .arg(by);
            let signed = command.arg(place.file(&format!("{name}.pub"))).status();
            assert!(signed.unwrap().success());
            assert_eq!(enters(&place, &key, at).await, lets_in, "{name}");
        }
        agent.stop().await;
    });
}

#[tokio::test]
async fn what_the_hub_signs_openssh_reads_for_each_kind_of_key() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::on(tempfile::tempdir().unwrap(), OPEN).await;
    running.furnish().await;
    running.device(CUBES[0]).await;
    let (device, identity) = (CUBES[0].parse().unwrap(), &running.core().identity);
    for (kind, bits) in [
        ("ed25519", "256"),
        ("rsa", "2048"),
        ("ecdsa", "256"),
        ("ecdsa", "521"),
    ] {
        let file = folder.path().join(format!("{kind}-{bits}"));
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"])
            .arg(&file);
        assert!(make.status().unwrap().success());
        let public = fs::read_to_string(file.with_extension("pub")).unwrap();
        let of = (ACCOUNT, public.as_str());
        let hub = Actor::hub();
        let signed = identity.sign_ssh(&hub, &device, of, HALF_AN_HOUR).await;
        let signed = signed.unwrap();
        let certificate = folder.path().join(format!("{kind}-{bits}-cert.pub"));
        fs::write(&certificate, &signed.certificate).unwrap();
        let mut look = Command::new("ssh-keygen");
        let shown = look.args(["-L", "-f"]).arg(&certificate).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        let lines: Vec<&str> = shown.lines().map(str::trim).collect();
        for wanted in [
            format!("Key ID: \"{}\"", signed.id),
            format!("Serial: {}", signed.serial),
            ACCOUNT.to_owned(),
            "Critical Options: (none)".to_owned(),
            "permit-pty".to_owned(),
        ] {
            assert!(lines.contains(&wanted.as_str()), "{wanted}\n{shown}");
        }
        assert!(shown.contains("user certificate"), "{shown}");
    }
}

#[tokio::test]
async fn the_hub_signs_for_operators_and_for_no_longer_than_half_a_day() {
    let running = Running::on(tempfile::tempdir().unwrap(), OPEN).await;
    running.furnish().await;
    running.device(CUBES[0]).await;
    let (device, identity) = (CUBES[0].parse().unwrap(), &running.core().identity);
    let key = outgate_wire::ssh::PublicKey::ed25519(&[7; 32]).to_string();
    let sign = async |account: &str, key: &str, lasts| {
        let (hub, of) = (Actor::hub(), (account, key));
        let signed = identity.sign_ssh(&hub, &device, of, lasts).await;
        signed.map(drop)
    };
    sign(ACCOUNT, &key, HALF_AN_HOUR).await.unwrap();
    let page = Page {
        after: None,
        limit: 1,
    };
    let entry = &running
        .core()
        .audit
        .entries(&Actor::hub(), &page)
        .await
        .unwrap()
        .items[0];
    assert_eq!(
        (&*entry.act, &*entry.on),
        ("device.ssh-certificate", "device/cube-1")
    );
    assert_eq!(entry.detail["account"], ACCOUNT);
    let viewer = Actor {
        role: Role::Viewer,
        ..Actor::hub()
    };
    let refused = identity
        .sign_ssh(&viewer, &device, (ACCOUNT, &key), HALF_AN_HOUR)
        .await;
    assert!(
        matches!(refused, Err(Refusal::Forbidden { .. })),
        "{refused:?}"
    );
    for (account, key, lasts) in [
        ("*", &*key, HALF_AN_HOUR),
        ("", &key, HALF_AN_HOUR),
        ("a,root", &key, HALF_AN_HOUR),
        (ACCOUNT, "ssh-ed25519 AAAA", HALF_AN_HOUR),
        (ACCOUNT, &key, Duration::from_secs(59)),
        (ACCOUNT, &key, Duration::from_secs(12 * 3_600 + 1)),
    ] {
        let refused = sign(account, key, lasts).await.unwrap_err();
        assert!(matches!(refused, Refusal::Invalid { .. }), "{refused}");
    }
}
