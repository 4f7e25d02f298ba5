//! Probes that answer by script, and checks of made-up manifests with them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use outgate_check::{Heading, Language, Plan, PlannedLane, Report, Subject, run};
use outgate_manifest::{Empty, Selection, parse};
use outgate_probe::{
    Ask, Attempt, DateWitness, Finding, Host, HttpEvidence, Outcome, Path, PathConfig, Probe, Sent,
    Transport, Trouble,
};

/// A probe that answers by script: the host and port of an ask decide.
pub(crate) struct Scripted<F> {
    script: F,
    running: AtomicUsize,
    /// How many asks ran at the same time at the most.
    pub(crate) most: AtomicUsize,
    /// What began and ended, in order.
    pub(crate) order: Mutex<Vec<String>>,
}

impl<F: Fn(&Ask) -> Finding + Send + Sync> Probe for Scripted<F> {
    fn protocols(&self) -> &'static [&'static str] {
        &[]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        Vec::new()
    }

    /// Takes a second of virtual time.
    fn run<'a>(&'a self, ask: &'a Ask, _: &'a Path) -> BoxFuture<'a, Finding> {
        Box::pin(async move {
            let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            self.order
                .lock()
                .unwrap()
                .push(format!("start {}", ask.host));
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.order.lock().unwrap().push(format!("end {}", ask.host));
            self.running.fetch_sub(1, Ordering::SeqCst);
            (self.script)(ask)
        })
    }
}

pub(crate) fn scripted<F: Fn(&Ask) -> Finding>(script: F) -> &'static Scripted<F> {
    Box::leak(Box::new(Scripted {
        script,
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        order: Mutex::new(Vec::new()),
    }))
}

pub(crate) fn passed() -> Finding {
    Finding {
        outcome: Outcome::Pass,
        trouble: None,
        resolution: None,
        attempts: Vec::new(),
        took: Duration::from_millis(3),
    }
}

pub(crate) fn failed(trouble: Trouble) -> Finding {
    Finding {
        outcome: Outcome::Fail,
        trouble: Some(trouble),
        ..passed()
    }
}

/// A pass with the clock of an HTTP server, which is this much ahead of ours.
pub(crate) fn passed_at(offset_millis: i64) -> Finding {
    let mut attempt = Attempt::new("192.0.2.1".parse().unwrap(), Some(443));
    attempt.http = Some(HttpEvidence {
        status: 200,
        server: None,
        via: None,
        location: None,
        content_type: None,
        date: Some(DateWitness {
            server: SystemTime::UNIX_EPOCH.into(),
            offset_millis,
        }),
        body_bytes: 0,
        body_cut: false,
    });
    Finding {
        attempts: vec![attempt],
        ..passed()
    }
}

pub(crate) const HEAD: &str = "manifest: 1
product: { id: box, name: Box, vendor: Boxes }
source: { document: box, language: en }
parties: { device: { at: site, name: { en: Box } } }
flows:
";

/// Checks a manifest of these flows, every lane of which is asked by the probe.
pub(crate) async fn check<F>(flows: &str, probe: &'static Scripted<F>, concurrent: u16) -> Report
where
    F: Fn(&Ask) -> Finding + Send + Sync,
{
    check_in(Language::En, flows, probe, concurrent).await
}

/// The same, told in a language.
pub(crate) async fn check_in<F>(
    language: Language,
    flows: &str,
    probe: &'static Scripted<F>,
    concurrent: u16,
) -> Report
where
    F: Fn(&Ask) -> Finding + Send + Sync,
{
    let manifest = parse("box.yaml", &format!("{HEAD}{flows}"), &Empty).unwrap();
    let lanes = manifest.lanes(&Selection::default()).unwrap();
    let lanes = lanes.into_iter().map(|lane| {
        let port = lane.ports.map(|ports| ports.low());
        let host = Host::Name(lane.to.value());
        let carrier = match lane.transport {
            outgate_manifest::Transport::Tcp => Transport::Tcp,
            outgate_manifest::Transport::Udp => Transport::Udp,
            outgate_manifest::Transport::Icmp => Transport::Icmp,
        };
        let asks = vec![Ask::new(lane.protocol.as_str(), host, port, carrier)];
        PlannedLane {
            lane,
            subject: Subject::Probe { probe, asks },
        }
    });
    let heading = Heading {
        product: "box".into(),
        version: "1".into(),
        from: "device".into(),
        netns: None,
        user: None,
        language,
    };
    let path = Path::new(PathConfig::default()).unwrap();
    let plan = Plan {
        lanes: lanes.collect(),
    };
    run(plan, heading, &path, concurrent, |_| {}).await
}

pub(crate) fn flow(id: &str, to: &str, more: &str) -> String {
    let rest = "speaks: https, need: required, why: { en: x }";
    format!("  {id}: {{ from: device, to: [{to}], {rest}{more} }}\n")
}
