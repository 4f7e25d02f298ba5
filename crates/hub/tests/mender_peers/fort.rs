//! A fort: Debian's Mender client with an update module that writes a file.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use outgate_core::identity::{Actor, DeviceState, Given};
use outgate_mender::VerifyingKey;
use outgate_testbed::{BETWEEN_LOOKS, Ends, PATIENCE, installed};
use serde_json::{Map, Value, json};

use crate::running::Running;

/// Makes room for a client on a machine of a test's own.
pub(crate) const FURNISH: &str = "
    mkdir -p /etc/mender /run/fort
    mount -t tmpfs tmpfs /usr/share
    mkdir -p /usr/share/mender/identity /usr/share/mender/inventory /usr/share/mender/modules/v3
    echo artifact_name=fort-0 > /etc/mender/artifact_info
    echo device_type=fort > /run/fort/device_type
    echo first > /run/fort/installed
";

/// Installs by copying a file, waits while it is told to, and fails when it is told to.
const MODULE: &str = "#!/bin/sh
cd /run/fort
case \"$1\" in
    SupportsRollback) echo Yes ;;
    NeedsArtifactReboot) echo No ;;
    ArtifactInstall)
        cp installed before && cp \"$2\"/files/payload installed
        touch installing
        while [ -e hold ]; do sleep 0.05; done
        [ ! -e fail ] ;;
    ArtifactRollback) cp before installed ;;
esac
";

pub(crate) struct Fort {
    _client: Ends,
}

impl Fort {
    /// Starts a client that says it is `device`, with more in its configuration.
    pub(crate) fn start(running: &Running, device: &str, more: &[(&str, &str)]) -> Self {
        let more = more
            .iter()
            .map(|(name, text)| ((*name).into(), json!(text)));
        Self::configured(running, device, more.collect())
    }

    /// Starts one that shows a certificate of the hub's.
    pub(crate) async fn with_certificate(running: &Running, device: &str) -> Self {
        let made = Command::new(installed("openssl").unwrap())
            .args("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '))
            .args("-subj /CN=fort -keyout own.key -out own.csr".split(' '))
            .current_dir("/run/fort")
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let request = fs::read_to_string(at("own.csr")).unwrap();
        let (hub, lasts) = (Actor::hub(), Duration::from_hours(24));
        let (identity, id) = (&running.core().identity, device.parse().unwrap());
        let issued = identity.add_certificate(&hub, &id, &request, lasts).await;
        let Given::Certificate(chain) = issued.unwrap().given else {
            panic!("no certificate");
        };
        fs::write(at("own.pem"), chain).unwrap();
        let shown = json!({"Certificate": at("own.pem"), "Key": at("own.key")});
        // Its name is the certificate's, whatever it says.
        let more = [("HttpsClient".to_owned(), shown)].into_iter().collect();
        Self::configured(running, "whoever", more)
    }

    fn configured(running: &Running, device: &str, more: Map<String, Value>) -> Self {
        let port = running.hub.listening()[0].address.port();
        let mut configuration = json!({
            "ServerURL": format!("https://127.0.0.1:{port}"),
            "ServerCertificate": running.folder.path().join("tls/ca.pem"),
            "DBus": {"Enabled": false},
            "UpdatePollIntervalSeconds": 1,
            "InventoryPollIntervalSeconds": 1,
            "RetryPollIntervalSeconds": 1,
            "DeviceTypeFile": at("device_type"),
            "UpdateLogPath": "/run/fort",
        });
        configuration.as_object_mut().unwrap().extend(more);
        fs::write(at("mender.conf"), configuration.to_string()).unwrap();
        let identity = format!("#!/bin/sh\necho device={device}\n");
        let share = PathBuf::from("/usr/share/mender");
        program(share.join("identity/mender-device-identity"), &identity);
        program(share.join("modules/v3/note"), MODULE);
        fs::create_dir_all(at("data")).unwrap();
        let log = File::create(at("log")).unwrap();
        let client = Command::new(installed("mender").unwrap())
            .args(["--no-syslog", "-c", "/run/fort/mender.conf"])
            .args(["-d", "/run/fort/data", "daemon"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Self {
            _client: Ends(client.unwrap()),
        }
    }

    /// What the client has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(at("log")).unwrap()
    }

    pub(crate) fn installed(&self) -> Vec<u8> {
        fs::read(at("installed")).unwrap()
    }

    /// From now on installing fails.
    pub(crate) fn fails(&self) {
        fs::write(at("fail"), "").unwrap();
    }

    /// From now on installing takes until the fort goes on.
    pub(crate) fn holds(&self) {
        fs::write(at("hold"), "").unwrap();
    }

    pub(crate) fn goes_on(&self) {
        fs::remove_file(at("hold")).unwrap();
    }

    pub(crate) async fn is_installing(&self) {
        self.until("installs", || at("installing").exists()).await;
    }

    pub(crate) async fn is_on(&self, installed: &[u8]) {
        self.until("goes back", || self.installed() == installed)
            .await;
    }

    /// Waits until the client says so.
    pub(crate) async fn says(&self, words: &str) {
        let said = || self.log().to_lowercase().contains(words);
        self.until(words, said).await;
    }

    /// Waits until the hub knows `fort-1`.
    pub(crate) async fn is_known(&self, running: &Running, state: DeviceState) {
        let device = "fort-1".parse().unwrap();
        let give_up = Instant::now() + PATIENCE;
        loop {
            let found = running.core().identity.device(&Actor::hub(), &device).await;
            if found.is_ok_and(|found| found.state == state) {
                return;
            }
            assert!(Instant::now() < give_up, "unknown: {}", self.log());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Its inventory, as its twin has it.
    pub(crate) async fn inventory(&self, running: &Running) -> Value {
        let device = "fort-1".parse().unwrap();
        let twin = running.core().twins.get(&Actor::hub(), &device).await;
        twin.unwrap().reported.document["inventory"].clone()
    }

    /// Its own key's public half.
    pub(crate) fn public_key(&self, _: &Running) -> VerifyingKey {
        let shown = Command::new(installed("openssl").unwrap())
            .args("pkey -in /run/fort/data/mender-agent.pem -pubout".split(' '))
            .output();
        let pem = String::from_utf8(shown.unwrap().stdout).unwrap();
        VerifyingKey::from_pem(&pem).unwrap()
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < give_up, "{what}: {}", self.log());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

fn at(name: &str) -> PathBuf {
    PathBuf::from("/run/fort").join(name)
}

fn program(path: PathBuf, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}
