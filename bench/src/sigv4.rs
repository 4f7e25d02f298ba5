//! Verifying signatures of version 4 beside AWS's own libraries, which sign: what a server would
//! have to do with them, for it signs anew what it has received and compares.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use outgate_aws::sigv4::{Request, Signed};
use serde_json::Value;

use crate::process::LOAD_CORE;
use crate::report::{Figure, Report};
use crate::servers::Programs;

/// What the ratios are to.
const BOTOCORE: &str = "botocore";

/// AWS's library in C, by its binding.
const CRT: &str = "awscrt";

const VERIFYING: &str = "sigv4";

/// The secret that everything is signed with: AWS's own example.
const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// How often something is verified, and how often it is signed.
const VERIFIED: usize = 500_000;
const SIGNED: usize = 20_000;

/// A request as it was signed and received.
struct Received {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body_sha256: [u8; 32],
}

/// Measures and prints.
pub(crate) fn run(
    programs: &Programs,
    share: usize,
    only: &str,
    json: Option<&Path>,
) -> anyhow::Result<()> {
    let signed = sign(programs, SIGNED / share)?;
    let mut report = Report::new(BOTOCORE);
    for (part, what) in [
        ("address", "the address of a WebSocket"),
        ("publish", "a publish over HTTPS"),
    ] {
        if !what.contains(only) {
            continue;
        }
        for library in [BOTOCORE, CRT] {
            let took = signed[part][library].as_f64().context("no time")?;
            let took = std::time::Duration::from_secs_f64(took);
            report.add(what, library, figure(SIGNED / share, took));
        }
        let received = Received::read(&signed[part]["request"])?;
        report.add(what, VERIFYING, verify(&received, VERIFIED / share)?);
    }
    report.print()?;
    if let Some(file) = json {
        report.write_json(file)?;
    }
    report.say_how_to_repeat(VERIFYING, share, only)
}

/// All of the time is the processor's: nothing is waited for.
fn figure(count: usize, took: std::time::Duration) -> Figure {
    Figure::rate(count, took, took.as_secs_f64())
}

/// What AWS's libraries have signed, and how long it took them, on the core that verifies too.
fn sign(programs: &Programs, count: usize) -> anyhow::Result<Value> {
    let peers = programs.node.parent().context("no folder of peers")?;
    let output = Command::new("taskset")
        .args(["-c", &LOAD_CORE.to_string()])
        .arg(peers.join("python-aws/bin/python"))
        .args(["-c", include_str!("sigv4/sign.py"), &count.to_string()])
        .output()
        .context("failed to start python")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "signing failed: {told}");
    serde_json::from_slice(&output.stdout).context("what was signed cannot be read")
}

fn verify(received: &Received, count: usize) -> anyhow::Result<Figure> {
    let headers: Vec<(&str, &str)> = received
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let request = Request {
        method: &received.method,
        path: &received.path,
        query: &received.query,
        headers: &headers,
        body_sha256: received.body_sha256,
    };
    let wrong = Signed::of(&request)?.is_signed_with(b"another secret", &request);
    ensure!(!wrong, "another secret holds");
    let since = Instant::now();
    for _ in 0..count {
        // Each is read anew, as each request is.
        let request = std::hint::black_box(&request);
        let holds = Signed::of(request)?.is_signed_with(SECRET, request);
        ensure!(holds, "what AWS has signed does not hold");
    }
    Ok(figure(count, since.elapsed()))
}

impl Received {
    fn read(value: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let text = value[name].as_str();
            text.map(str::to_owned)
                .with_context(|| format!("no {name}"))
        };
        let headers = value["headers"].as_object().context("no headers")?;
        let headers = headers.iter().map(|(name, value)| {
            let value = value.as_str().context("a header that is no text")?;
            Ok((name.clone(), value.to_owned()))
        });
        let hex = text("body_sha256")?;
        let mut body_sha256 = [0; 32];
        for (at, byte) in body_sha256.iter_mut().enumerate() {
            let digits = hex.get(2 * at..2 * at + 2).context("a short digest")?;
            *byte = u8::from_str_radix(digits, 16)?;
        }
        Ok(Self {
            method: text("method")?,
            path: text("path")?,
            query: text("query")?,
            headers: headers.collect::<anyhow::Result<_>>()?,
            body_sha256,
        })
    }
}
