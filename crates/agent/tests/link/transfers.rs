//! Files that a whole hub has a whole agent fetch and send.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use outgate_agent::agent::Agent;
use outgate_agent::config::Config;
use outgate_core::commands::{CommandState, NewCommand};
use outgate_core::files::{Issued, NewGrant, Place, Verb};
use outgate_core::identity::Actor;
use outgate_hub::dialects::blob::address;
use outgate_probe::{ProxyChoice, Proxying};
use outgate_testbed::PATIENCE;
use serde_json::json;
use tokio::time::timeout;

use crate::stage::{Stage, TILL};

/// The names of the commands.
const DOWNLOAD: &str = "file.download";
const UPLOAD: &str = "file.upload";

fn place(name: &str) -> Place {
    Place {
        device: TILL.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

/// A grant for a file of the device.
async fn grant(stage: &Stage, name: &str, verb: Verb) -> Issued {
    let new = NewGrant {
        place: place(name),
        verb,
        lasts: Duration::from_secs(3_600),
    };
    let files = &stage.running.core().files;
    files.grant(&Actor::hub(), new).await.unwrap()
}

/// Tells the device to do something by a grant, and gives what has become of it.
async fn told(stage: &Stage, command: &str, issued: &Issued) -> CommandState {
    let (core, actor) = (stage.running.core(), Actor::hub());
    let mut payload = json!({
        "grant": issued.grant.id,
        "name": issued.grant.name,
        "url": "https://elsewhere.example/",
        "path": address(issued),
    });
    if command == DOWNLOAD {
        let name = issued.grant.name.to_string();
        let file = core.files.look(&actor, &place(&name)).await.unwrap();
        payload["size"] = file.size.into();
        payload["sha256"] = file.digest.to_string().into();
    }
    let new = NewCommand {
        name: command.to_owned(),
        content_type: "application/json".to_owned(),
        properties: Default::default(),
        payload: payload.to_string().into(),
        lasts: Duration::from_secs(3_600),
    };
    let mut changes = core.commands.changes();
    let device = TILL.parse().unwrap();
    let sent = core.commands.send_sealed(&actor, &device, new);
    let id = sent.await.unwrap().id;
    let settled = async {
        loop {
            let now = core.commands.get(&actor, &device, &id).await.unwrap();
            if !matches!(now.state, CommandState::Queued | CommandState::Delivered) {
                return now.state;
            }
            changes.recv().await.unwrap();
        }
    };
    timeout(PATIENCE, settled).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_agent_fetches_and_sends_files_as_its_hub_says() {
    // Another test may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stage = Stage::new().await;
    let folder = stage.folder.path();
    let token = stage.token.lock().unwrap().clone();
    fs::write(folder.join("token"), token).unwrap();
    fs::create_dir(folder.join("in")).unwrap();
    fs::create_dir(folder.join("out")).unwrap();
    let text = format!(
        "hub = 'http://{}'\ntoken-file = '{1}/token'\ndata = '{1}/agent'\n\
         [local]\nsocket = '{1}/sock'\n[names]\nmdns = false\n\
         [files]\nin = '{1}/in'\nout = '{1}/out'\n",
        stage.address(),
        folder.display(),
    );
    let direct = Proxying {
        choice: ProxyChoice::None,
        ..Proxying::default()
    };
    let no_manifest = Arc::new(|| Err("there is none".to_owned()));
    let agent = Agent::start(&Config::parse(&text).unwrap(), direct, no_manifest).await;
    let agent = agent.unwrap();
    // An odd number of bytes in several blocks.
    let content: Vec<u8> = (0..3_000_001_u32).map(|it| (it % 251) as u8).collect();

    fs::write(folder.join("out/log of today.txt"), &content).unwrap();
    let log = grant(&stage, "log of today.txt", Verb::Write).await;
    assert_eq!(told(&stage, UPLOAD, &log).await, CommandState::Completed);

    let back = grant(&stage, "log of today.txt", Verb::Read).await;
    let state = told(&stage, DOWNLOAD, &back).await;
    assert_eq!(state, CommandState::Completed);
    let come = fs::read(folder.join("in/log of today.txt")).unwrap();
    assert!(come == content);

    // The right to read is none to write, and what is revoked is over.
    assert_eq!(told(&stage, UPLOAD, &back).await, CommandState::Rejected);
    let (files, actor) = (&stage.running.core().files, Actor::hub());
    let device = TILL.parse().unwrap();
    let revoked = files.revoke_grant(&actor, &device, &back.grant.id);
    revoked.await.unwrap();
    let state = told(&stage, DOWNLOAD, &back).await;
    assert_eq!(state, CommandState::Rejected);
    agent.stop().await;
}
