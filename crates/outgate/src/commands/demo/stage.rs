//! Setting the scene of a demo: the hub for every lane that it serves, a stand-in server for every
//! other that a probe can exercise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context;
use outgate_check::{Plan, Samples, Subject};
use outgate_manifest::document::product::SettingKind;
use outgate_manifest::{Lane, Manifest, Selection, Target};
use outgate_probe::{Ask, DEFAULT_HOLD, Host};
use outgate_standin::{
    Answers, DhcpSettings, DnsFault, HttpFault, NtpFault, Place, Stage, TlsFault,
};
use tempfile::TempDir;

use super::cloud::CHECKS;

/// The domain under which a demo gives names to what has none (RFC 2606, section 2).
const DOMAIN: &str = "demo.test";

/// What the hub speaks in realtime.
const REALTIME: &str = "signalr";

/// What a device is called on the local network.
const DEVICE: &str = "device";

/// One product and where its servers are played.
pub(super) struct Scene {
    /// The profile as it was asked for.
    pub(super) profile: String,
    /// The product's id.
    pub(super) product: String,
    /// Names for destinations that have none of their own, and paths at which the hub answers.
    samples: Samples,
    /// Settings that have no value of their own.
    settings: BTreeMap<String, String>,
    /// `--connect-to` for each host and port.
    pub(super) detours: Vec<String>,
}

impl Scene {
    /// Plans the check of a product for all parties. Nothing is played yet.
    pub(super) fn set(profile: &str, manifest: &Manifest) -> anyhow::Result<(Self, Plan)> {
        let settings = settings(manifest);
        let selection = Selection {
            set: settings.clone(),
            ..Selection::default()
        };
        let lanes = manifest.lanes(&selection)?;
        let mut samples = samples(&lanes);
        for lane in lanes.iter().filter(|it| it.protocol.as_str() == REALTIME) {
            samples.ask_at(lane.flow.as_str(), CHECKS, &lanes)?;
        }
        let plan = Plan::new(lanes, &samples, DEFAULT_HOLD);
        let scene = Self {
            profile: profile.to_owned(),
            product: manifest.product().id.to_string(),
            samples,
            settings,
            detours: Vec::new(),
        };
        Ok((scene, plan))
    }

    /// Starts the servers that the lanes of `plan` need beside the hub at `hub`.
    pub(super) async fn play(
        &mut self,
        plan: &Plan,
        hub: SocketAddr,
        stage: &mut Stage,
    ) -> anyhow::Result<()> {
        self.detours = Servers::start(plan, hub, stage).await?;
        Ok(())
    }

    /// The arguments of a check against the scene, one a line.
    fn arguments(&self, ca: &str) -> String {
        let mut all = format!("--ca\n\"{ca}\"\n");
        for (setting, value) in &self.settings {
            let _ = writeln!(all, "--set\n\"{setting}={value}\"");
        }
        for (destination, host) in self.samples.iter() {
            let _ = writeln!(all, "--sample\n\"{destination}={host}\"");
        }
        for (flow, path) in self.samples.paths() {
            let _ = writeln!(all, "--path\n\"{flow}={path}\"");
        }
        for detour in &self.detours {
            let _ = writeln!(all, "--connect-to\n\"{detour}\"");
        }
        all
    }
}

/// A folder with the authority's certificate and the arguments of each scene. It goes away when
/// it is dropped.
pub(super) fn props(pem: &str, scenes: &[Scene]) -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("outgate-demo-")
        .tempdir()
        .context("no temporary folder")?;
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).context("failed to write the authority's certificate")?;
    for scene in scenes {
        let file = folder.path().join(format!("{}.args", scene.product));
        std::fs::write(file, scene.arguments(&ca.display().to_string()))
            .context("failed to write the arguments of a check")?;
    }
    Ok(folder)
}

/// Names for the settings that differ from site to site and have no default.
fn settings(manifest: &Manifest) -> BTreeMap<String, String> {
    let open = manifest
        .settings()
        .iter()
        .filter(|(_, setting)| setting.kind == SettingKind::Host && setting.default.is_none());
    open.map(|(id, _)| (id.to_string(), format!("{id}.{DOMAIN}")))
        .collect()
}

/// Names for destinations that have none of their own: below the wildcard, or below `demo.test`.
fn samples(lanes: &[Lane]) -> Samples {
    let mut samples = Samples::default();
    for lane in lanes.iter().filter(|lane| lane.sample.is_empty()) {
        let name = match &lane.to {
            Target::Wildcard(wildcard) => format!("demo.{}", wildcard.domain()),
            Target::ServiceTag(tag) => format!("{}.{DOMAIN}", tag.replace('.', "-")),
            Target::Name(_)
            | Target::Address(_)
            | Target::Network(_)
            | Target::Party(_)
            | Target::Dhcp(_) => continue,
            Target::Multicast(_) => format!("{DEVICE}.local"),
        };
        let destination = lane.to.value();
        if samples.iter().all(|(known, _)| known != destination) {
            // A destination that takes no such name stays without a sample, and is not run.
            let _ = samples.give(&destination, &name, lanes);
        }
    }
    samples
}

/// The names that the servers of `plan` answer to.
pub(super) fn names(plan: &Plan) -> Vec<String> {
    let mut names = vec![Ipv4Addr::LOCALHOST.to_string()];
    for (_, ask) in asks(plan) {
        if let Host::Name(name) = &ask.host
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}

/// What the site's DHCP server says.
fn handed_out() -> DhcpSettings {
    DhcpSettings {
        time_servers: vec![Ipv4Addr::LOCALHOST],
        ..DhcpSettings::default()
    }
}

/// What a check will ask, and for which lane.
pub(super) fn asks(plan: &Plan) -> Vec<(&Lane, &Ask)> {
    let asks = plan.lanes.iter().flat_map(|planned| {
        let asks = match &planned.subject {
            Subject::Probe { asks, .. } => asks.as_slice(),
            Subject::NotRun(_) => &[],
        };
        asks.iter().map(|ask| (&planned.lane, ask))
    });
    asks.collect()
}

/// The servers of one scene: one for each kind, for all names.
struct Servers {
    /// The hub: HTTPS, MQTT and SignalR.
    hub: SocketAddr,
    /// WebSocket over TLS of vendors' own, and HTTPS at the same name.
    wss: SocketAddr,
    /// HTTPS that demands a certificate of the client.
    mutual: SocketAddr,
    http: SocketAddr,
    ntp: SocketAddr,
    dns: SocketAddr,
    dhcp: SocketAddr,
    ssh: SocketAddr,
    ldap: SocketAddr,
    ldaps: SocketAddr,
    xmpp: SocketAddr,
    responder: SocketAddr,
    rtp: SocketAddr,
    stun: SocketAddr,
    sip: SocketAddr,
    sips: SocketAddr,
}

impl Servers {
    async fn start(plan: &Plan, hub: SocketAddr, stage: &mut Stage) -> anyhow::Result<Vec<String>> {
        let asks = asks(plan);
        let names = names(plan);
        let mut answers = Answers::new();
        for name in names.iter().filter(|name| name.parse::<IpAddr>().is_err()) {
            answers = answers
                .address(name, IpAddr::V4(Ipv4Addr::LOCALHOST))
                .context("a name that cannot be answered for")?;
        }
        let place = Place::v4();
        let servers = Self {
            hub,
            wss: stage.https(place, &names, TlsFault::None).await?,
            mutual: stage.https_mutual(place, &names).await?,
            http: stage.http(place, HttpFault::None).await?,
            ntp: stage
                .ntp(place, time::Duration::ZERO, NtpFault::None)
                .await?,
            dns: stage.dns(place, answers, DnsFault::None).await?,
            dhcp: stage
                .dhcp(
                    place,
                    Ipv4Addr::LOCALHOST,
                    Ipv4Addr::LOCALHOST,
                    handed_out(),
                )
                .await?,
            ssh: stage.ssh(place).await?,
            ldap: stage.ldap(place).await?,
            ldaps: stage.ldaps(place, &names).await?,
            xmpp: stage.xmpp(place, &names).await?,
            responder: stage.responder(place, DEVICE).await?,
            rtp: stage.rtp(place).await?,
            stun: stage.stun(place).await?,
            sip: stage.sip(place).await?,
            sips: stage.sips(place, &names).await?,
        };
        let mut detours: Vec<String> = asks
            .iter()
            .filter_map(|(lane, ask)| {
                // Where WebSocket is spoken too, one server has to take both.
                let beside = asks.iter().any(|(_, other)| {
                    other.protocol == "wss" && other.host == ask.host && other.port == ask.port
                });
                servers.detour(lane, ask, beside)
            })
            .collect();
        detours.sort();
        detours.dedup();
        Ok(detours)
    }

    /// Where an ask is sent; nowhere for protocols that no stand-in speaks.
    fn detour(&self, lane: &Lane, ask: &Ask, beside_wss: bool) -> Option<String> {
        let host = &ask.host;
        let Some(port) = ask.port else {
            return Some(format!("{host}::{}:", Ipv4Addr::LOCALHOST));
        };
        let mutual = lane.tls.as_ref().is_some_and(|tls| tls.mutual);
        let server = match ask.protocol.as_str() {
            "https" | "tls" if mutual => self.mutual,
            REALTIME => self.hub,
            "https" | "tls" | "mqtt-wss" | "mqtts" if !beside_wss => self.hub,
            "https" | "tls" | "wss" | "long-polling" => self.wss,
            "http" | "ws" | "tcp" => self.http,
            "ntp" => self.ntp,
            "dns" => self.dns,
            "dhcp" => self.dhcp,
            "ssh" => self.ssh,
            "ldap" => self.ldap,
            "ldaps" => self.ldaps,
            "xmpp" => self.xmpp,
            "mdns" | "llmnr" => self.responder,
            "rtp" => self.rtp,
            "stun" => self.stun,
            "sip" => self.sip,
            "sips" => self.sips,
            _ => return None,
        };
        let host = match host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Name(_)
            | Host::Address(_)
            | Host::SystemResolvers
            | Host::TimeServers
            | Host::Role(_) => host.to_string(),
        };
        Some(format!("{host}:{port}:{}:{}", server.ip(), server.port()))
    }
}
