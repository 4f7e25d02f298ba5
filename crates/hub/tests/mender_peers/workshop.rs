//! Where releases are made: Mender's tool, keys, and an operator who hands them in.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use outgate_core::deployments::{Plan, Progress, Target};
use outgate_core::id::DeploymentId;
use outgate_core::identity::{Actor, Role, Scope};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Session;
use outgate_core::twin::{Edit, Steering};
use outgate_testbed::{BETWEEN_LOOKS, PATIENCE, installed, told};
use serde_json::json;
use tempfile::TempDir;

use crate::fort::Fort;
use crate::running::Running;
use crate::site;

/// Bytes of what is installed: clients fetch nothing below 4,096.
const PAYLOAD: u32 = 50_000;

pub(crate) struct Workshop {
    folder: TempDir,
    token: String,
}

impl Workshop {
    /// With the keys `ours`, which the hub trusts, and `other`.
    pub(crate) async fn open(running: &Running) -> Self {
        let (hub, identity) = (Actor::hub(), &running.core().identity);
        let made = identity.create_operator(&hub, "anna".parse().unwrap(), Role::Admin, Scope::All);
        let token = site::token(made.await.unwrap().1);
        let shop = Self {
            folder: TempDir::new().unwrap(),
            token,
        };
        for name in ["ours", "other"] {
            let (key, public) = (format!("{name}.key"), format!("{name}.pub"));
            // In the form of old, the only one that the tool takes.
            let make = format!("ecparam -name prime256v1 -genkey -noout -out {key}");
            shop.run("openssl", make.split(' '));
            let show = format!("pkey -in {key} -pubout -out {public}");
            shop.run("openssl", show.split(' '));
        }
        let pem = std::fs::read_to_string(shop.at("ours.pub")).unwrap();
        let body = json!({"label": "ours", "key": pem}).to_string();
        let json = "application/json";
        let (status, told) = shop.post(running, "release-keys", json, body.as_bytes());
        assert_eq!(status, 201, "{told}");
        shop
    }

    /// Asks as an operator would. Gives the status and what is told.
    fn post(&self, running: &Running, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        std::fs::write(self.at("body"), body).unwrap();
        let port = running.hub.listening()[0].address.port();
        let mut curl = Command::new(installed("curl").unwrap());
        curl.args(["--silent", "--data-binary", "@body", "--cacert"])
            .arg(running.folder.path().join("tls/ca.pem"))
            .args(["-H", &format!("Authorization: Bearer {}", self.token)])
            .args(["-H", &format!("Content-Type: {kind}")])
            .args(["--write-out", "\n%{http_code}"])
            .arg(format!("https://127.0.0.1:{port}/api/{path}"))
            .current_dir(self.folder.path());
        let output = String::from_utf8(curl.output().unwrap().stdout).unwrap();
        let (said, status) = output.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), said.to_owned())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a str>) {
        let mut command = Command::new(installed(program).unwrap());
        command.args(arguments).current_dir(self.folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }

    /// What a release of that name installs: bytes that cannot be packed.
    pub(crate) fn payload(&self, release: &str) -> Vec<u8> {
        let seed: u32 = release.bytes().map(u32::from).sum();
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let step = |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        };
        (0..PAYLOAD).map(step).collect()
    }

    /// An artifact, signed by that key, if by any.
    pub(crate) fn write(&self, release: &str, key: Option<&str>, more: &[&str]) -> Vec<u8> {
        std::fs::write(self.at("payload"), self.payload(release)).unwrap();
        let common = format!("write module-image -T note -n {release} -t fort -f payload -o made");
        let key = key.map(|key| format!("{key}.key"));
        let signed = key.iter().flat_map(|key| ["-k", key.as_str()]);
        let arguments = common.split(' ').chain(signed).chain(more.iter().copied());
        self.run("mender-artifact", arguments);
        std::fs::read(self.at("made")).unwrap()
    }

    /// Hands an artifact in, as an operator would. Gives the status and what is told.
    pub(crate) fn hand_in(&self, running: &Running, artifact: &[u8]) -> (u16, String) {
        self.post(running, "releases", "application/octet-stream", artifact)
    }

    /// Makes a release that is right, and hands it in.
    pub(crate) fn add(&self, running: &Running, release: &str, more: &[&str]) {
        let artifact = self.write(release, Some("ours"), more);
        let (status, told) = self.hand_in(running, &artifact);
        assert_eq!(status, 201, "{told}");
    }

    pub(crate) async fn deploy(
        &self,
        running: &Running,
        release: &str,
        device: &str,
    ) -> DeploymentId {
        let target = Target::Devices(vec![device.parse().unwrap()]);
        self.deploy_as(running, release, target, Plan::default())
            .await
    }

    /// As [`Workshop::deploy`], by a plan.
    pub(crate) async fn deploy_as(
        &self,
        running: &Running,
        release: &str,
        target: Target,
        plan: Plan,
    ) -> DeploymentId {
        let (hub, release) = (Actor::hub(), release.parse().unwrap());
        let deployments = &running.core().deployments;
        let made = deployments.create(&hub, release, target, plan);
        made.await.unwrap().id
    }

    /// How many devices are how far.
    pub(crate) async fn counts(
        &self,
        running: &Running,
        id: &DeploymentId,
    ) -> Vec<(Progress, u64)> {
        let got = running.core().deployments.get(&Actor::hub(), id).await;
        got.unwrap().counts
    }

    /// How a deployment ends for the device that is least far with it.
    pub(crate) async fn end(&self, running: &Running, id: &DeploymentId, fort: &Fort) -> Progress {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let (progress, _) = self.counts(running, id).await[0];
            if progress.is_final() {
                return progress;
            }
            assert!(Instant::now() < give_up, "{progress:?}: {}", fort.log());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// What the device has written of it. The client sends that after it has said how it ended.
    pub(crate) async fn log(
        &self,
        running: &Running,
        id: &DeploymentId,
        device: &str,
        fort: &Fort,
    ) -> String {
        let give_up = Instant::now() + PATIENCE;
        let device = device.parse().unwrap();
        loop {
            let deployments = &running.core().deployments;
            match deployments.log(&Actor::hub(), id, &device).await {
                Ok(log) => return log,
                Err(Refusal::NotFound { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            assert!(Instant::now() < give_up, "no log: {}", fort.log());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// A session of a device that no client runs for.
pub(crate) async fn stand_in(running: &Running, device: &str) -> Session {
    running.device(device).await;
    let (core, hub) = (running.core(), Actor::hub());
    let (device, print) = (device.parse().unwrap(), [7; 32]);
    let added = core.identity.add_public_key(&hub, &device, print).await;
    added.unwrap();
    let identified = core.identity.by_public_key(&device, print).await;
    let (identified, peer) = (identified.unwrap(), "127.0.0.1:1".parse().unwrap());
    let session = core.open_session(&identified, "mender", peer);
    session.await.unwrap()
}

/// Gives a device a tag.
pub(crate) async fn tag(running: &Running, device: &str, tag: &str) {
    let steering = Steering {
        tags: Some(Edit::Merge(json!({ tag: true }))),
        ..Steering::default()
    };
    let (hub, device) = (Actor::hub(), device.parse().unwrap());
    let steered = running.core().twins.steer(&hub, &device, steering, None);
    steered.await.unwrap();
}
