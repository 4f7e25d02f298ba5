//! mitmproxy, from a folder of the test's own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::python_program;

/// The file in mitmproxy's folder that has the certificate of its authority. It is there before
/// mitmproxy listens, and what is there already is taken again.
pub const MITMPROXY_CA: &str = "mitmproxy-ca-cert.pem";

/// mitmproxy as an explicit proxy at `address`, which opens TLS and keeps its authority in `folder`.
/// `script`, in Python, says what it does beside.
///
/// # Errors
/// As [`python_program`], or the script cannot be written.
pub fn mitmdump(folder: &Path, address: SocketAddr, script: &str) -> io::Result<Command> {
    let file = folder.join("mitmproxy-script.py");
    std::fs::write(&file, script)?;
    let mut command = Command::new(python_program("mitmproxy", "mitmdump")?);
    command.arg("--set");
    command.arg(format!("confdir={}", folder.display()));
    command.args(["--listen-host", &address.ip().to_string()]);
    command.args(["--listen-port", &address.port().to_string()]);
    command.arg("--scripts").arg(file);
    Ok(command)
}
