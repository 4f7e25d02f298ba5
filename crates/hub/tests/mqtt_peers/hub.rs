//! A hub that runs for one test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outgate_core::Core;
use outgate_core::commands::NewCommand;
use outgate_core::identity::{Actor, Given};
use outgate_hub::Hub;
use outgate_hub::config::{Config, Overrides};
use tempfile::TempDir;

/// A hub with a TLS listener for everything and a plain one for MQTT.
pub(crate) struct Running {
    hub: Arc<Hub>,
    serving: tokio::task::JoinHandle<()>,
    folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Running {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = "
            [[listen]]
            address = '127.0.0.1:0'
            [[listen]]
            address = '127.0.0.1:0'
            carries = 'mqtt'
            tls = false
        ";
        let overrides = Overrides {
            data: Some(folder.path().to_owned()),
            ..Overrides::default()
        };
        let config = Config::new(text, overrides).unwrap();
        let hub = Arc::new(Hub::start(config).await.unwrap());
        let site = "s".parse().unwrap();
        let identity = &hub.state().core.identity;
        identity
            .create_site(&Actor::hub(), site, "S".to_owned())
            .await
            .unwrap();
        let serving = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.serve().await }
        });
        Self {
            hub,
            serving,
            folder,
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.hub.state().core
    }

    /// The port of the plain listener, or of the other.
    pub(crate) fn port(&self, plain: bool) -> u16 {
        self.hub.listening()[usize::from(plain)].address.port()
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("tls/ca.pem")
    }

    /// Makes a device and gives its token.
    pub(crate) async fn device(&self, name: &str) -> String {
        let (hub, identity) = (Actor::hub(), &self.core().identity);
        let (id, site) = (name.parse().unwrap(), "s".parse().unwrap());
        let device = identity.create_device(&hub, id, site, None).await.unwrap();
        let issued = identity
            .add_token(&hub, &device.id, "t".to_owned(), None)
            .await
            .unwrap();
        match issued.given {
            Given::Token(secret) => String::from_utf8(secret.expose().to_vec()).unwrap(),
            other @ (Given::Key(_) | Given::Certificate(_) | Given::Nothing) => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send_command(&self, device: &str, name: &str) {
        let command = NewCommand {
            name: name.to_owned(),
            content_type: String::new(),
            properties: BTreeMap::new(),
            payload: Bytes::from_static(b"now"),
            lasts: Duration::from_secs(3_600),
        };
        let id = device.parse().unwrap();
        self.core()
            .commands
            .send(&Actor::hub(), &id, command)
            .await
            .unwrap();
    }
}
