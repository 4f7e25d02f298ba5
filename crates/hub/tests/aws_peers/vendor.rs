//! What the vendor of a fort does at the hub.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use outgate_core::commands::{CommandState, NewCommand};
use outgate_core::events::{Event, EventFilter};
use outgate_core::id::CommandId;
use outgate_core::identity::{Actor, Given, Scope};
use outgate_core::secret::Secret;
use outgate_standin::{Authority, Validity};
use outgate_testbed::PATIENCE;
use serde_json::{Value, json};

use crate::at;
use crate::running::Running;

impl Running {
    /// Makes a device of that policy.
    pub(crate) async fn of_policy(&self, name: &str, policy: &str) {
        let (actor, identity) = (Actor::hub(), &self.core().identity);
        let (id, site) = (name.parse().unwrap(), "s".parse().unwrap());
        let policy = Some(policy.to_owned());
        let made = identity.create_device(&actor, id, site, policy);
        made.await.unwrap();
    }

    /// A token for a device.
    pub(crate) async fn token_of(&self, name: &str) -> String {
        let (actor, id) = (Actor::hub(), name.parse().unwrap());
        let identity = &self.core().identity;
        let issued = identity.add_token(&actor, &id, "t".to_owned(), None);
        crate::site::token(issued.await.unwrap())
    }

    /// An order to come in by a signed address with a new key of a device.
    pub(crate) async fn signed(&self, name: &str) -> Value {
        let (actor, id) = (Actor::hub(), name.parse().unwrap());
        let [first, _] = self.core().identity.add_keys(&actor, &id).await.unwrap();
        let Given::Key(key) = first.given else {
            panic!("{:?}", first.given);
        };
        let secret = key.to_base64();
        at(
            self,
            json!({
                "way": "signed",
                "name": name,
                "port": 443,
                "id": first.credential.id.as_str(),
                "secret": secret.as_str(),
            }),
        )
    }

    /// An order to come in by a new certificate of a device.
    pub(crate) async fn certified(&self, name: &str, port: u16) -> Value {
        let now = SystemTime::now();
        let authority = Authority::named(&format!("Maker of {name}"), now).unwrap();
        let own = authority.issue_client(name, Validity::around(now)).unwrap();
        let digest = Secret::new(own.chain()[0].to_vec()).digest();
        let (actor, id) = (Actor::hub(), name.parse().unwrap());
        let added = self.core().identity.add_thumbprint(&actor, &id, digest);
        added.await.unwrap();
        let file = |kind: &str| self.folder.path().join(format!("{name}-{kind}.pem"));
        std::fs::write(file("certificate"), own.chain_pem()).unwrap();
        std::fs::write(file("key"), own.key_pem()).unwrap();
        at(
            self,
            json!({
                "way": "certificate",
                "name": name,
                "port": port,
                "certificate": file("certificate"),
                "key": file("key"),
            }),
        )
    }

    /// The events of a device, oldest first.
    pub(crate) async fn events_of(&self, device: &str) -> Vec<Event> {
        let filter = EventFilter {
            scope: Scope::All,
            device: Some(device.parse().unwrap()),
            prefix: None,
        };
        let taken = self.core().events.after(&filter, 0, 10).await.unwrap();
        taken.events
    }

    /// Sends a command.
    pub(crate) async fn reload(&self, device: &str) -> CommandId {
        let command = NewCommand {
            name: "reload".to_owned(),
            content_type: "text/plain".to_owned(),
            properties: [].into(),
            payload: Bytes::from_static(b"sales"),
            lasts: Duration::from_secs(3_600),
        };
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let sent = self.core().commands.send(&actor, &id, command).await;
        sent.unwrap().id
    }

    /// Waits until a command is completed.
    pub(crate) async fn completed(&self, device: &str, command: &CommandId) {
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let commands = &self.core().commands;
        let mut changes = commands.changes();
        let completed = async {
            loop {
                let found = commands.get(&actor, &id, command).await.unwrap();
                if found.state == CommandState::Completed {
                    break;
                }
                changes.recv().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, completed).await.unwrap();
    }
}
