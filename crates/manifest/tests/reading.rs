//! Reading manifests: what is right is expanded, what is wrong is named with its place.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use outgate_manifest::view::LanesView;
use outgate_manifest::{Diagnostic, Empty, Library, Manifest, Selection, parse};

const SMALL: &str = r#"manifest: 1
product: { id: box, name: Box, vendor: Boxes, versions: { parts: 3 } }
source: { document: box.txt, language: de }
parties:
  device: { at: site, name: { en: Box } }
  browser: { at: site, name: { en: browser } }
  cloud: { at: internet, name: { en: cloud }, setting: tenant }
features:
  pages: { name: { en: pages } }
  logs: { name: { en: logs }, default: false }
settings:
  web-port: { kind: port, default: 80, name: { en: web port } }
  tenant: { kind: host, name: { en: tenant } }
flows:
  time:
    from: device
    to: { dhcp: ntp-servers }
    speaks: ntp
    need: required
    why: { de: Uhr, en: clock }
  api:
    from: device
    to: [a.example.com, b.example.com]
    speaks: { https: [443, 8443] }
    tls: { min: "1.2", trust: public }
    need: required
    after: [time]
    why: { de: x, en: x }
  page:
    from: browser
    to: device
    speaks: { http: [{ setting: web-port }, 45001] }
    feature: pages
    versions: "<=0.129.7"
    need: diagnostic
    blocked: { en: x }
    why: { de: x, en: x }
  logs:
    from: device
    to: cloud
    speaks: https
    feature: logs
    need: optional
    blocked: { en: x }
    why: { de: x, en: x }
  support:
    from: device
    to: ["*.example.net"]
    sample: [www.example.net]
    speaks: { teamviewer: { tcp: 5938, udp: 5938 } }
    else:
      - speaks: https
      - speaks: http
    need: diagnostic
    blocked: { en: x }
    why: { de: x, en: x }
"#;

fn manifest(text: &str) -> Manifest {
    parse("box.yaml", text, &Empty).unwrap_or_else(|found| panic!("{}", shown(&found)))
}

fn shown(found: &[Diagnostic]) -> String {
    found.iter().map(|one| format!("{one}\n")).collect()
}

fn lanes(selection: &Selection) -> Vec<String> {
    let manifest = manifest(SMALL);
    let lanes = manifest.lanes(selection).unwrap();
    LanesView::new(&manifest, selection, &lanes)
        .lanes
        .iter()
        .map(|lane| {
            let ports = lane
                .ports
                .map_or("-".into(), |[low, high]| format!("{low}-{high}"));
            let step = lane
                .ladder
                .as_ref()
                .map_or(String::new(), |l| format!(" #{}", l.step));
            let to = format!("{}:{}", lane.to.kind, lane.to.value);
            format!(
                "{} {to} {} {ports} {}{step}",
                lane.flow, lane.transport, lane.direction
            )
        })
        .collect()
}

#[test]
fn the_newest_version_leaves_out_what_only_older_ones_need() {
    assert_eq!(
        lanes(&Selection::default()),
        [
            "time dhcp:ntp-servers udp 123-123 lan",
            "api name:a.example.com tcp 443-443 outbound",
            "api name:a.example.com tcp 8443-8443 outbound",
            "api name:b.example.com tcp 443-443 outbound",
            "api name:b.example.com tcp 8443-8443 outbound",
            "support wildcard:*.example.net tcp 5938-5938 outbound #1",
            "support wildcard:*.example.net udp 5938-5938 outbound #1",
            "support wildcard:*.example.net tcp 443-443 outbound #2",
            "support wildcard:*.example.net tcp 80-80 outbound #3",
        ]
    );
}

#[test]
fn versions_features_settings_and_parties_select_lanes() {
    let selection = Selection {
        version: Some("0.129.7".parse().unwrap()),
        with: ["logs".to_owned()].into(),
        set: [
            ("web-port".to_owned(), "8080".to_owned()),
            ("tenant".to_owned(), "acme.example.org".to_owned()),
        ]
        .into(),
        ..Selection::default()
    };
    let all = lanes(&selection);
    assert!(
        all.contains(&"page party:device tcp 8080-8080 lan".into()),
        "{all:?}"
    );
    assert!(
        all.contains(&"page party:device tcp 45001-45001 lan".into()),
        "{all:?}"
    );
    assert!(
        all.contains(&"logs name:acme.example.org tcp 443-443 outbound".into()),
        "{all:?}"
    );
    let browser = Selection {
        from: Some("browser".into()),
        ..selection
    };
    assert_eq!(lanes(&browser).len(), 2);
}

#[test]
fn a_selection_that_does_not_fit_says_what_would() {
    let manifest = manifest(SMALL);
    let error = |selection: Selection| manifest.lanes(&selection).unwrap_err().to_string();
    let with = Selection {
        with: ["log".to_owned()].into(),
        ..Selection::default()
    };
    assert_eq!(
        error(with),
        "box has no feature `log`; did you mean `logs`?"
    );
    let version = Selection {
        version: Some("1.2".parse().unwrap()),
        ..Selection::default()
    };
    assert_eq!(
        error(version),
        "`1.2` is no version of box: its versions have 3 numbers, as in 0.129.7"
    );
    let set = [("web-port".to_owned(), "0".to_owned())].into();
    assert_eq!(
        error(Selection {
            set,
            ..Selection::default()
        }),
        "`0` does not fit setting `web-port`: expected a port from 1 to 65535"
    );
}

/// Replaces one piece of the sound manifest and returns what is said of it.
fn broken(from: &str, to: &str) -> Vec<Diagnostic> {
    assert!(SMALL.contains(from), "{from}");
    parse("box.yaml", &SMALL.replacen(from, to, 1), &Empty).expect_err("a broken manifest")
}

fn assert_one(from: &str, to: &str, expected: &str) {
    assert_eq!(shown(&broken(from, to)).trim_end(), expected);
}

#[test]
fn each_mistake_is_named_with_its_place_and_what_would_be_right() {
    assert_one(
        "to: cloud",
        "to: clod",
        "box.yaml:40:9: error[unknown-party]: no party `clod` is declared; expected one of \
         `device`, `browser`, `cloud`; did you mean `cloud`?",
    );
    assert_one(
        "[443, 8443]",
        "[443, 84430]",
        "box.yaml:24:28: error[wrong-port]: `84430` is not a port; expected a port from 1 to \
         65535, or a range such as \"10000-20000\"",
    );
    assert_one(
        "min: \"1.2\"",
        "min: 1.2",
        "box.yaml:25:17: error[wrong-type]: without quotes this is a fraction; expected text: \
         \"1.2\"",
    );
    assert_one(
        "after: [time]",
        "after: [time, api]",
        "box.yaml:27:19: error[after-cycle]: `api` can only start after itself; expected flows \
         that do not need this one first",
    );
    assert_one(
        "sample: [www.example.net]",
        "sample: [www.example.com]",
        "box.yaml:49:14: error[wrong-sample]: `www.example.com` is below no wildcard of \
         `support`; expected a name below `*.example.net`",
    );
    assert_one(
        "parts: 3",
        "parts: 4",
        "box.yaml:34:15: error[wrong-version]: `0.129.7` has 3 numbers; expected 4 numbers",
    );
}

#[test]
fn ten_mistakes_in_one_file_are_ten_errors_each_in_its_line() {
    let text = SMALL
        .replacen("at: site", "at: sight", 1)
        .replacen("kind: port", "kind: prot", 1)
        .replacen("speaks: ntp", "speaks: npt", 1)
        .replacen("need: required", "need: requird", 1)
        .replacen("[443, 8443]", "[0, 8443]", 1)
        .replacen("\"1.2\"", "\"1.1\"", 1)
        .replacen("    after: [time]\n", "    aftr: [time]\n", 1)
        .replacen("\"<=0.129.7\"", "\"0.129.7\"", 1)
        .replacen("a.example.com", "a..example.com", 1)
        .replacen("    why: { de: Uhr, en: clock }\n", "    why: clock\n", 1);
    let found = parse("box.yaml", &text, &Empty).unwrap_err();
    let lines: Vec<_> = found.iter().map(|one| (one.line, one.code)).collect();
    assert_eq!(
        lines,
        [
            (5, "unknown-word"),
            (12, "unknown-word"),
            (18, "unknown-word"),
            (19, "unknown-word"),
            (20, "wrong-type"),
            (23, "wrong-value"),
            (24, "wrong-port"),
            (25, "wrong-value"),
            (27, "unknown-field"),
            (34, "wrong-value"),
        ],
        "{}",
        shown(&found)
    );
}

struct Shelf(&'static [(&'static str, &'static str)]);

impl Library for Shelf {
    fn find(&self, reference: &str) -> Result<Option<(String, String)>, String> {
        let found = self.0.iter().find(|(name, _)| *name == reference);
        Ok(found.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
    }
}

const OUTER: &str = r#"manifest: 1
product: { id: outer, name: Outer, vendor: Boxes }
source: { document: outer.txt, language: en }
parties: { device: { at: site, name: { en: Box } } }
imports:
  remote: { manifest: inner.yaml, flows: [help], need: diagnostic }
flows:
  web: { from: device, to: [a.example], speaks: https, need: required, why: { en: x } }
"#;

const INNER: &str = r#"manifest: 1
product: { id: inner, name: Inner, vendor: Others }
source: { document: inner.html, language: en }
parties:
  device: { at: site, name: { en: computer } }
  helper: { at: internet, name: { en: helper } }
flows:
  help: { from: device, to: helper, speaks: ssh, need: required, after: [names], why: { en: x } }
  names: { from: device, to: { dhcp: dns-servers }, speaks: dns, need: required, why: { en: x } }
"#;

#[test]
fn imported_flows_carry_their_provenance() {
    let manifest = parse("outer.yaml", OUTER, &Shelf(&[("inner.yaml", INNER)])).unwrap();
    let lanes = manifest.lanes(&Selection::default()).unwrap();
    let last = lanes.last().unwrap();
    assert_eq!(
        (last.flow.as_str(), last.need.as_str()),
        ("remote/help", "diagnostic")
    );
    let provenance = last.provenance.as_ref().unwrap();
    assert_eq!(
        (provenance.product.as_str(), provenance.document.as_str()),
        ("inner", "inner.html")
    );
    assert!(
        last.after.is_empty(),
        "a flow that was not taken over is not waited for"
    );
    assert!(manifest.parties().find("helper").is_some());
}

#[test]
fn a_manifest_that_imports_itself_is_an_error() {
    const LOOP: &str = "manifest: 1
product: { id: a, name: A, vendor: A }
source: { document: a, language: en }
parties: { device: { at: site, name: { en: A } } }
imports: { again: { manifest: a.yaml } }
flows: {}
";
    let found = parse("a.yaml", LOOP, &Shelf(&[("a.yaml", LOOP)])).unwrap_err();
    assert_eq!(found[0].code, "import-cycle", "{}", shown(&found));
}

/// A flow to the name servers, speaking this, with this service.
fn with_service(speaks: &str, service: &str) -> String {
    format!(
        "manifest: 1\nproduct: {{ id: box, name: Box, vendor: Boxes }}\n\
         source: {{ document: box.txt, language: en }}\n\
         parties: {{ device: {{ at: site, name: {{ en: Box }} }} }}\n\
         flows:\n  names: {{ from: device, to: {{ dhcp: dns-servers }}, speaks: {speaks}, \
         need: required, why: {{ en: names }}, probe: {{ service: {service} }} }}\n"
    )
}

#[test]
fn a_service_is_its_two_labels_and_a_domain_name() {
    for service in ["_sip._udp.example.com", "_xmpp-client._tcp.Example.com"] {
        let manifest = parse("m.yaml", &with_service("dns", service), &Empty).unwrap();
        let lanes = manifest.lanes(&Selection::default()).unwrap();
        let hints = lanes[0].probe.as_ref().unwrap();
        let read = hints.service.as_ref().unwrap().0.to_string();
        assert_eq!(read, service.to_ascii_lowercase());
        assert!(
            manifest
                .lint()
                .iter()
                .all(|one| one.code != "service-not-asked")
        );
    }
    for service in [
        "sip.example.com",
        "_sip.example.com",
        "_sip._udp",
        "_._udp.example.com",
        "__sip._udp.example.com",
        "_sip._udp.*",
    ] {
        let text = with_service("dns", &format!("\"{service}\""));
        let found = parse("m.yaml", &text, &Empty).unwrap_err();
        assert_eq!(found.len(), 1, "{service}: {found:?}");
    }
}

#[test]
fn a_service_that_nobody_is_asked_for_is_pointed_out() {
    let text = with_service("ntp", "_sip._udp.example.com");
    let manifest = parse("m.yaml", &text, &Empty).unwrap();
    let lints = manifest.lint();
    assert!(
        lints.iter().any(|one| one.code == "service-not-asked"),
        "{lints:?}"
    );
}
