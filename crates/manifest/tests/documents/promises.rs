//! What the manifests promise as a whole, and what programs that read their lanes rely on.

use std::collections::BTreeSet;

use outgate_manifest::document::product::SettingKind;
use outgate_manifest::view::LanesView;
use outgate_manifest::{Direction, Lane, Manifest, Selection};
use serde_json::{Value as Json, json};

use crate::completeness::lanes;
use crate::shelf::{PROFILES, manifest};
use crate::table::NEWEST;

#[test]
fn only_starface_lets_anything_in_from_the_internet() {
    for id in PROFILES {
        let inbound = lanes(&manifest(id), NEWEST)
            .iter()
            .any(|lane| lane.direction == Direction::Inbound);
        assert_eq!(inbound, id == "starface", "{id}");
    }
}

#[test]
fn nothing_of_open_pos_crosses_the_border_without_tls() {
    for lane in lanes(&manifest("open-pos"), NEWEST) {
        let in_the_clear = !lane.protocol.is_tls();
        assert_eq!(
            in_the_clear,
            lane.direction == Direction::Lan,
            "{}",
            lane.flow
        );
    }
}

#[test]
fn a_host_that_is_set_takes_the_place_of_its_party() {
    for id in PROFILES {
        let manifest = manifest(id);
        for (setting, _) in manifest
            .settings()
            .iter()
            .filter(|(_, setting)| setting.kind == SettingKind::Host)
        {
            let of_host = |lanes: Vec<Lane>| {
                let named = lanes.into_iter().map(|lane| lane.to.value());
                named.filter(|name| name == "host.example").count()
            };
            assert!(
                of_host(with(&manifest, setting.as_str(), "host.example")) > 0,
                "{id}, {setting}"
            );
        }
    }
}

#[test]
fn the_web_port_of_starface_moves_its_own_lanes_and_no_others() {
    let manifest = manifest("starface");
    let on = |lanes: &[Lane], port: u16| -> BTreeSet<String> {
        let ours = lanes
            .iter()
            .filter(|lane| lane.ports.is_some_and(|ports| ports.low() == port))
            .filter(|lane| lane.to.value() == "device");
        ours.map(|lane| lane.flow.to_string()).collect()
    };
    let moved = with(&manifest, "web-port", "8443");
    assert!(on(&moved, 443).is_empty());
    assert_eq!(on(&moved, 8443), on(&lanes(&manifest, NEWEST), 443));
    assert_eq!(
        on(&moved, 8443),
        ["web", "desktop-app", "mobile-app", "remote-app"]
            .map(str::to_owned)
            .into()
    );
}

#[test]
fn features_that_are_not_used_take_their_lanes_with_them() {
    for id in PROFILES {
        let manifest = manifest(id);
        for feature in manifest.features().ids() {
            let selection = Selection {
                without: [feature.to_owned()].into(),
                ..Selection::default()
            };
            let lanes = manifest.lanes(&selection).unwrap();
            let left = lanes.iter().filter_map(|lane| lane.feature.as_ref());
            assert!(
                left.into_iter().all(|left| left.as_str() != feature),
                "{id}, {feature}"
            );
        }
    }
}

#[test]
fn starface_carries_the_lanes_that_programs_look_for() {
    let all = json("starface", None);
    let one = |to: &str, transport: &str, ports: Json, direction: &str| {
        let found = all.iter().any(|lane| {
            lane["to"]["value"] == to
                && lane["transport"] == transport
                && lane["ports"] == ports
                && lane["direction"] == direction
        });
        assert!(found, "{to} {transport} {ports} {direction}");
    };
    one("device", "tcp", json!([50081, 50081]), "lan");
    one("device", "udp", json!([10000, 20000]), "inbound");
    one("sip-provider", "udp", json!([1025, 65535]), "outbound");
    for port in [80, 443, 8383] {
        one(
            "license.starface.de",
            "tcp",
            json!([port, port]),
            "outbound",
        );
    }
    let addresses: BTreeSet<&str> = all
        .iter()
        .filter(|lane| lane["alternative_to"] == "cluster.starface-connect.com")
        .filter_map(|lane| lane["to"]["value"].as_str())
        .collect();
    assert_eq!(addresses.len(), 12);
    for host in ["dm", "api-dm", "rps", "rpscloud", "pscloud"] {
        for port in [80, 443, 8443, 8445, 8446, 9989] {
            one(
                &format!("{host}.yealink.com"),
                "tcp",
                json!([port, port]),
                "outbound",
            );
        }
    }
    let yealink = |lane: &&Json| {
        lane["to"]["value"]
            .as_str()
            .unwrap()
            .ends_with(".yealink.com")
    };
    assert_eq!(all.iter().filter(yealink).count(), 30);
}

#[test]
fn each_version_of_starface_names_its_own_push_host_and_no_other() {
    let hosts = |version| -> BTreeSet<String> {
        let all = json("starface", version);
        let names = all.iter().filter_map(|lane| lane["to"]["value"].as_str());
        let push = names.filter(|name| name.starts_with("push"));
        push.map(str::to_owned).collect()
    };
    let old: BTreeSet<String> = ["push.starface.de".to_owned()].into();
    let new: BTreeSet<String> = ["push-cluster.starface.de".to_owned()].into();
    assert_eq!(hosts(Some("7.0.0.8")), old);
    assert_eq!(hosts(Some("7.0.0.19")), new);
    assert_eq!(hosts(None), new);
    assert!(hosts(Some("7.0.0.12")).is_empty());
}

#[test]
fn only_old_versions_of_homag_cube_listen_on_45001() {
    let listens = |version| {
        let all = json("homag-cube", version);
        all.iter()
            .any(|lane| lane["ports"] == json!([45001, 45001]))
    };
    assert!(listens(Some("0.129.7")) && listens(Some("0.9.12")));
    assert!(!listens(Some("0.129.8")) && !listens(None));
}

#[test]
fn remote_support_of_capitech_is_a_ladder_in_the_order_of_the_document() {
    let ladder: Vec<Json> = json("capitech", None)
        .into_iter()
        .filter(|lane| !lane["ladder"].is_null())
        .map(|lane| json!([lane["ladder"]["step"], lane["transport"], lane["ports"][0]]))
        .collect();
    assert_eq!(
        ladder,
        [
            json!([1, "tcp", 5938]),
            json!([1, "udp", 5938]),
            json!([2, "tcp", 443]),
            json!([3, "tcp", 80]),
        ]
    );
}

fn with(manifest: &Manifest, setting: &str, value: &str) -> Vec<Lane> {
    let selection = Selection {
        with: manifest.features().ids().map(str::to_owned).collect(),
        set: [(setting.to_owned(), value.to_owned())].into(),
        ..Selection::default()
    };
    manifest.lanes(&selection).unwrap()
}

/// The lanes of a site that changed nothing, as programs read them.
fn json(id: &str, version: Option<&str>) -> Vec<Json> {
    let manifest = manifest(id);
    let selection = Selection {
        version: version.map(|version| version.parse().unwrap()),
        ..Selection::default()
    };
    let lanes = manifest.lanes(&selection).unwrap();
    let view = serde_json::to_value(LanesView::new(&manifest, &selection, &lanes)).unwrap();
    view["lanes"].as_array().unwrap().clone()
}
