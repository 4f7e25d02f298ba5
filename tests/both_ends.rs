//! TLS seen from both ends: `outgate check` against a whole hub that tells how it is reached, with
//! and without somebody between who opens TLS.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use outgate_standin::{Authority, Inspection, Place, Stage, SystemClock};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::hub::Hub;
use crate::support::{json, outgate};

#[cfg(feature = "peers")]
mod peers;

const MANIFEST: &str = "manifest: 1
product: { id: box, name: Box, vendor: Boxes }
source: { document: box, language: en }
parties: { device: { at: site, name: { en: Box } } }
flows:
  cloud:
    from: device
    to: [hub.test]
    speaks: { https: PORT }
    tls: { whoami: /whoami }
    need: required
    why: { en: report }
";

/// A hub, and a product whose manifest says that it tells how it is reached.
struct Vendor {
    hub: Hub,
    /// Where the hub listens.
    address: SocketAddr,
    folder: TempDir,
}

impl Vendor {
    fn new() -> Self {
        let hub = Hub::configured("[tls]\nnames = [\"hub.test\"]\n");
        let port = hub.address.rsplit(':').next().unwrap().parse().unwrap();
        let folder = TempDir::new().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let manifest = MANIFEST.replace("PORT", &address.port().to_string());
        std::fs::write(folder.path().join("box.yaml"), manifest).unwrap();
        Self {
            hub,
            address,
            folder,
        }
    }

    /// The authority of the hub's own certificate.
    fn ca(&self) -> PathBuf {
        self.hub.file("data/tls/ca.pem")
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What leads a check there in place of the hub's name.
    fn to(&self, there: SocketAddr) -> String {
        let port = self.address.port();
        format!(
            "--connect-to=hub.test:{port}:{}:{}",
            there.ip(),
            there.port()
        )
    }

    /// What a check finds that goes this way and trusts these authorities beside the public ones.
    fn check(&self, way: &str, trusted: &[PathBuf], more: &[&str]) -> Found {
        let pems = trusted
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap());
        let ca = self.write("trusted.pem", pems.collect::<String>());
        let mut arguments = vec![
            "check".to_owned(),
            self.folder.path().join("box.yaml").display().to_string(),
            "--json".to_owned(),
            "--resolver=127.0.0.1:1".to_owned(),
            way.to_owned(),
        ];
        if !trusted.is_empty() {
            arguments.push(format!("--ca={}", ca.display()));
        }
        arguments.extend(more.iter().map(ToString::to_string));
        Found(json(&outgate(arguments)))
    }
}

/// A report with one lane.
struct Found(Json);

impl Found {
    /// Its outcome, what both ends say, and its causes.
    fn told(&self) -> (&str, &str, Vec<&str>) {
        let lane = &self.0["lanes"][0];
        let causes = self.0["causes"].as_array().unwrap().iter();
        (
            lane["outcome"].as_str().unwrap(),
            self.seen()["ends"].as_str().unwrap_or("not asked"),
            causes
                .map(|cause| cause["kind"].as_str().unwrap())
                .collect(),
        )
    }

    /// How the far end saw it.
    fn seen(&self) -> &Json {
        &self.0["lanes"][0]["probes"][0]["attempts"][0]["whoami"]
    }
}

/// Somebody who opens TLS to the hub, and his authority.
fn inspector(vendor: &Vendor, runtime: &tokio::runtime::Runtime) -> (Stage, SocketAddr, PathBuf) {
    let company = Authority::new(SystemTime::now()).unwrap();
    let ca = vendor.write("company.pem", company.pem());
    let mut stage = Stage::new(Authority::new(SystemTime::now()).unwrap(), SystemClock);
    let inspection = Inspection {
        authority: Arc::new(company),
        servers: BTreeMap::from([("hub.test".to_owned(), vendor.address.ip())]),
        port: vendor.address.port(),
    };
    let to = runtime.block_on(stage.inspector(Place::v4(), &inspection));
    (stage, to.unwrap(), ca)
}

#[test]
fn without_anybody_between_both_ends_are_the_same_and_a_private_authority_is_no_inspection() {
    let vendor = Vendor::new();
    let trusting = vendor.check(&vendor.to(vendor.address), &[vendor.ca()], &[]);
    assert_eq!(trusting.told(), ("pass", "same", vec![]));
    let seen = trusting.seen();
    assert_eq!(seen["address"], "127.0.0.1");
    assert_eq!(
        (&seen["translated"], &seen["added"]),
        (&false.into(), &Json::Array(vec![]))
    );
    assert_eq!(
        (&seen["version"], &seen["alpn"]),
        (&"TLSv1.3".into(), &"http/1.1".into())
    );

    let doubting = vendor.check(&vendor.to(vendor.address), &[], &[]);
    assert_eq!(
        doubting.told(),
        ("fail", "same", vec!["certificate-private"])
    );
    assert_eq!(doubting.0["causes"][0]["owner"], "vendor");
}

#[test]
fn who_opens_tls_is_found_out_by_the_other_end_alone_where_his_authority_is_trusted() {
    let vendor = Vendor::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stage, to, company) = inspector(&vendor, &runtime);
    let trusting = vendor.check(&vendor.to(to), &[vendor.ca(), company], &[]);
    assert_eq!(
        trusting.told(),
        ("warn", "different", vec!["tls-inspected"])
    );
    assert_eq!(trusting.0["lanes"][0]["trouble"]["kind"], "tls-opened");
    assert_eq!(trusting.seen()["translated"], true);
    let doubting = vendor.check(&vendor.to(to), &[vendor.ca()], &[]);
    assert_eq!(
        doubting.told(),
        ("fail", "different", vec!["tls-inspected"])
    );
    runtime.block_on(stage.stop());
}

#[test]
fn a_plan_says_that_both_ends_are_compared() {
    let vendor = Vendor::new();
    let plan = vendor.check(&vendor.to(vendor.address), &[vendor.ca()], &["--plan"]);
    let sends = plan.0["lanes"][0]["probes"][0]["sends"].to_string();
    assert!(sends.contains("GET /whoami, on that connection"), "{sends}");
}
