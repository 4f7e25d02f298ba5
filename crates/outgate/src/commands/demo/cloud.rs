//! The hub of a demo: the cloud end of every product at once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use outgate_client::{Client as Vendor, Context as Hubs, Token, Trust};
use outgate_hub::Hub;
use outgate_hub::config::{CertificateFrom, Config, Overrides};
use outgate_standin::{Authority, Validity};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Where it answers checks of realtime, which show no token.
pub(super) const CHECKS: &str = "/checks";

/// What it serves beside what every hub does: realtime, for tills and for checks, and a database for
/// the tills.
const CONFIG: &str = "
[echo]
signalr = '/checks'

[[signalr.hubs]]
name = 'pos'
path = '/devices'

[firebase]
namespaces = ['demo']
names = ['*.firebaseio.com']

[[firebase.rules]]
path = 'sites/{site}/prices'
read = ['device']
write = ['operator']

[[firebase.rules]]
path = 'sites/{site}/tills/{device}'
read = ['device', 'operator']
write = ['device']
";

/// A hub in a folder of its own, which goes away with it.
pub(super) struct Cloud {
    hub: Arc<Hub>,
    serving: JoinHandle<()>,
    address: SocketAddr,
    folder: TempDir,
}

impl Cloud {
    /// Starts a hub at `listen` that answers to `names`, certified by `authority`. `more` is added to
    /// its configuration.
    pub(super) async fn start(
        authority: &Authority,
        names: &[String],
        listen: SocketAddr,
        more: &str,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("outgate-demo-hub-")
            .tempdir()
            .context("no temporary folder")?;
        let identity = authority
            .issue(names, Validity::around(SystemTime::now()))
            .context("no certificate for the hub")?;
        let (certificate, key) = (folder.path().join("hub.pem"), folder.path().join("hub.key"));
        std::fs::write(&certificate, identity.chain_pem())?;
        private(&key, &identity.key_pem())?;
        let overrides = Overrides {
            data: Some(folder.path().join("data")),
            listen: vec![listen],
        };
        let mut config = Config::new(&format!("{CONFIG}{more}"), overrides)?;
        config.certificate = CertificateFrom::Files { certificate, key };
        let hub = Arc::new(Hub::start(config).await?);
        let address = hub.listening().first().context("the hub does not listen")?;
        let address = address.address;
        let serving = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.serve().await }
        });
        Ok(Self {
            hub,
            serving,
            address,
            folder,
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the token of its operator.
    pub(super) fn token(&self) -> Option<PathBuf> {
        self.hub.first_token().map(std::path::Path::to_owned)
    }

    /// The hub's vendor, and its operator's token.
    pub(super) fn vendor(&self, authority: &Authority) -> anyhow::Result<(Vendor, Token)> {
        let file = self.token().context("the hub has no first operator")?;
        let token = std::fs::read_to_string(file).context("no token of the operator")?;
        let token = Token::new(&token).context("the operator's token is none")?;
        let vendor = Vendor::without_proxy(&Hubs {
            hub: format!("https://{}", self.address),
            token: Some(token.clone()),
            trust: Trust::Pinned,
            ca: Some(authority.pem()),
        })?;
        Ok((vendor, token))
    }

    /// Ends it and takes its folder away.
    pub(super) async fn stop(self) {
        self.hub.drain();
        // It ends by itself once it has been drained; an error would be its panic, told already.
        let _ = self.serving.await;
        drop(self.hub);
        drop(self.folder);
    }
}

/// Writes a file that only its owner may read.
pub(super) fn private(file: &std::path::Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut open = std::fs::OpenOptions::new();
    let mut file = open.create_new(true).write(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
