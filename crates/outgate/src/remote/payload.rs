//! What a message is to carry, as it is given on the command line.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use outgate_client::Payload;

use crate::output::{Failure, counted, read_bounded};
use crate::table::harmless;

/// The most bytes of a payload; the hub takes no more.
const MAX_PAYLOAD: usize = 256 * 1024;

/// What a message is to carry.
#[derive(Args)]
pub(crate) struct PayloadArgs {
    /// The payload itself
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    payload: Option<String>,
    /// A file with the payload; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The payload's media type; JSON is recognised
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
}

impl PayloadArgs {
    /// The media type and the payload.
    pub(crate) fn read(&self) -> Result<(String, Payload), Failure> {
        self.read_or(None)
    }

    /// As [`PayloadArgs::read`], from `other` where neither is given.
    pub(crate) fn read_or(&self, other: Option<&Path>) -> Result<(String, Payload), Failure> {
        let file = self.file.as_deref().or(other);
        let bytes = match (&self.payload, file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(file)) => read(file)?,
            (None, None) => Vec::new(),
        };
        if bytes.len() > MAX_PAYLOAD {
            return Err(Failure::input(format!(
                "a payload has at most {MAX_PAYLOAD} bytes"
            )));
        }
        let kind = self
            .content_type
            .clone()
            .unwrap_or_else(|| guess(&bytes).to_owned());
        let payload = Payload::new(&kind, &bytes);
        Ok((kind, payload))
    }
}

/// Reads a file, or standard input.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file.as_os_str() != "-" {
        return read_bounded(file, MAX_PAYLOAD).map_err(Failure::Input);
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_PAYLOAD).unwrap_or(u64::MAX) + 1;
    io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Input(error.into()))?;
    Ok(bytes)
}

/// A payload in one line for people.
pub(crate) fn line(payload: &Payload) -> String {
    match String::from_utf8(payload.bytes()) {
        Ok(text) => harmless(&text).replace('\n', "\u{23ce}"),
        Err(error) => format!("({})", counted(error.as_bytes().len(), "byte")),
    }
}

fn guess(bytes: &[u8]) -> &'static str {
    if bytes.is_empty() {
        ""
    } else if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
        "application/json"
    } else if std::str::from_utf8(bytes).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_sent_as_json() {
        assert_eq!(guess(b"{\"a\":1}"), "application/json");
        assert_eq!(guess(b"{\"a\":1} x"), "text/plain; charset=utf-8");
        assert_eq!(guess(&[0xff, 0]), "application/octet-stream");
        assert_eq!(guess(b""), "");
    }

    #[test]
    fn a_payload_takes_one_line_and_steers_no_terminal() {
        let payload = Payload::new("", b"a\nb\x1b[31m");
        assert_eq!(line(&payload), "a\u{23ce}b\u{fffd}[31m");
        assert_eq!(line(&Payload::new("", &[0xff])), "(1 byte)");
    }
}
