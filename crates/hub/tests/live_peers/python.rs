//! An API of Python's own library, and what it does that no careful server would.

use std::net::SocketAddr;
use std::process::Command;

use http::StatusCode;
use outgate_testbed::{Program, free};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Elsewhere, Whole, upstream, waited_for};

/// An API.
struct Api {
    address: SocketAddr,
    elsewhere: Elsewhere,
    program: Program,
    _folder: TempDir,
}

impl Api {
    async fn start() -> Self {
        let (address, folder) = (free().unwrap(), tempfile::tempdir().unwrap());
        let elsewhere = Elsewhere::new();
        let mut command = Command::new(outgate_testbed::python().unwrap());
        command.args(["-u", "-c", include_str!("vendor.py")]);
        command.arg(address.port().to_string());
        command.arg(elsewhere.address().port().to_string());
        let program = Program::start(&mut command, folder.path(), address).await;
        Self {
            address,
            elsewhere,
            program: program.unwrap(),
            _folder: folder,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked for, each written down before it is answered.
    fn asked(&self) -> Vec<String> {
        self.program.log().lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_learns_who_asks_and_is_asked_for_what_is_allowed_only() {
    let api = Api::start().await;
    let whole = Whole::with(&upstream("flow", &api.url(), "")).await;
    let (status, told) = whole.looks_up("flow/open/a?q=1").await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(status, StatusCode::OK);
    let right =
        json!({ "path": "/v1/open/a?q=1", "device": "T7", "site": "s", "authorization": null });
    assert_eq!(told, right);
    for path in ["flow/closed", "flow/opened", "flow/open/%2e%2e/closed"] {
        let status = whole.asks_as_written(path).await;
        assert!(["400", "404"].contains(&status.as_str()), "{path} {status}");
    }
    assert_eq!(api.asked(), ["/v1/open/a?q=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_python_that_are_none_are_told_as_such() {
    let api = Api::start().await;
    // More failures in a row than are to come.
    let more = "break-after = 100\n";
    let patient = Whole::with(&upstream("flow", &api.url(), more)).await;
    let hasty = Whole::with(&waited_for(1, "flow", &api.url(), more)).await;
    for (whole, path, status, kind, outcome) in [
        (&patient, "moved", 502, "upstream", "elsewhere"),
        (&patient, "endless", 502, "upstream", "too-large"),
        (&patient, "short", 502, "upstream", "away"),
        (&patient, "noise", 502, "upstream", "away"),
        (&patient, "silent", 502, "upstream", "away"),
        (&hasty, "held", 504, "upstream-late", "late"),
        (&hasty, "dribble", 504, "upstream-late", "late"),
    ] {
        let before = whole.counted(outcome);
        let told = whole.fails(&format!("flow/open/{path}")).await;
        assert_eq!(told, (status, kind.to_owned()), "{path}");
        assert_eq!(whole.counted(outcome), before + 1, "{path}");
    }
    assert!(!api.elsewhere.was_asked());
    // Each once: nobody has tried again.
    assert_eq!(api.asked().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_is_left_alone_when_it_is_overloaded() {
    let api = Api::start().await;
    let whole = Whole::with(&upstream("flow", &api.url(), "break-after = 3\n")).await;
    for _ in 0..3 {
        let (status, text) = whole.looks_up("flow/open/overloaded").await;
        let expected = (StatusCode::SERVICE_UNAVAILABLE, "come again");
        assert_eq!((status, text.as_str()), expected);
    }
    let told = whole.fails("flow/open/a").await;
    assert_eq!(told, (503, "upstream-away".to_owned()));
    assert_eq!(api.asked(), ["/v1/open/overloaded"; 3]);
}
