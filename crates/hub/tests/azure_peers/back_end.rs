//! What a back end does with devices, straight at the core.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::{CommandState, NewCommand};
use outgate_core::events::{Event, EventFilter};
use outgate_core::id::CommandId;
use outgate_core::identity::{Actor, Given, Scope};
use outgate_core::secret::Secret;
use outgate_testbed::PATIENCE;
use serde_json::Value;

use crate::running::Running;
use crate::told::Client;

impl Running {
    /// A file in its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new key of a device.
    pub(crate) async fn key(&self, device: &str) -> Secret {
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let [first, _] = self.core().identity.add_keys(&actor, &id).await.unwrap();
        match first.given {
            Given::Key(key) => key,
            other @ (Given::Token(_) | Given::Certificate(_) | Given::Nothing) => {
                panic!("{other:?}")
            }
        }
    }

    /// A connection string with a new key of a device, at the hub of that name.
    pub(crate) async fn string(&self, device: &str, hub: &str) -> String {
        let key = self.key(device).await.to_base64();
        let key = key.as_str();
        format!("HostName={hub};DeviceId={device};SharedAccessKey={key}")
    }

    /// The SHA-256 of a certificate.
    pub(crate) fn thumbprint(&self, der: &[u8]) -> [u8; 32] {
        Secret::new(der.to_vec()).digest()
    }

    /// The only event of a device.
    pub(crate) async fn event(&self, device: &str) -> Event {
        let filter = EventFilter {
            scope: Scope::All,
            device: Some(device.parse().unwrap()),
            prefix: None,
        };
        let taken = self.core().events.after(&filter, 0, 10).await.unwrap();
        let [event] = <[Event; 1]>::try_from(taken.events).unwrap();
        event
    }

    /// Sends a command.
    pub(crate) async fn send<const N: usize>(
        &self,
        device: &str,
        properties: [(&str, &str); N],
    ) -> CommandId {
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let command = NewCommand {
            name: "show".to_owned(),
            content_type: "text/plain".to_owned(),
            properties: properties.into(),
            payload: Bytes::from_static(b"hello"),
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

    /// Calls a device and gives its status and its answer.
    pub(crate) async fn call(&self, device: &str, method: &str, payload: &str) -> (i32, Value) {
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let (method, kind) = (method.to_owned(), "application/json".to_owned());
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let calls = &self.core().calls;
        let answer = calls
            .call(&actor, &id, method, kind, payload, PATIENCE)
            .await;
        let answer = answer.unwrap();
        (
            answer.status,
            serde_json::from_slice(&answer.payload).unwrap(),
        )
    }

    /// Changes what a device is wanted to be, and gives the version that it is then.
    pub(crate) async fn desire(&self, device: &str, patch: Value) -> u64 {
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let desired = self.core().twins.desire(&actor, &id, patch, None).await;
        desired.unwrap().version
    }
}

impl Client {
    /// Waits until it says of that kind what is wanted.
    pub(crate) async fn says_until(
        &mut self,
        kind: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        loop {
            let said = self.says(kind).await;
            if wanted(&said) {
                return said;
            }
        }
    }
}
