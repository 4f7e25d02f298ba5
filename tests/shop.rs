//! A hub with two sites, whose devices speak HTTP by curl.

use std::process::{Command, Output};

use crate::hub::Hub;
use crate::support::text;

/// A hub with two sites, and devices at them.
pub(crate) struct Shop {
    pub(crate) hub: Hub,
}

/// What curl got.
pub(crate) struct Got {
    pub(crate) status: u32,
    head: String,
    pub(crate) body: String,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let hub = Hub::entered();
        hub.get("site add lund");
        hub.get("site add malmo");
        Self { hub }
    }

    /// Makes a device and gives its token.
    pub(crate) fn device(&self, name: &str, site: &str) -> String {
        self.hub.get(&format!("device add {name} --site {site}"));
        let line = format!("device credential {name} --token test");
        text(&self.hub.get(&line)["issued"][0]["given"]["token"])
    }

    /// curl as a device would call it.
    pub(crate) fn curl(&self, login: &[&str], path: &str, more: &[&str]) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--cacert"])
            .arg(self.hub.file("data/tls/ca.pem"))
            .args(login)
            .args(more)
            .arg(format!("{}{path}", self.hub.address))
            .current_dir(self.hub.file(""));
        curl
    }

    /// What who holds the token gets.
    pub(crate) fn fetch(&self, token: &str, path: &str, more: &[&str]) -> Got {
        let mut curl = self.fetching(token, path, more);
        Got::of(curl.output().expect("curl starts"))
    }

    /// curl that asks for the same.
    pub(crate) fn fetching(&self, token: &str, path: &str, more: &[&str]) -> Command {
        let login = format!("Authorization: Bearer {token}");
        let mut curl = self.curl(&["-H", &login], path, more);
        curl.arg("--include");
        curl
    }
}

impl Got {
    /// What curl printed, head and body.
    pub(crate) fn of(output: Output) -> Self {
        let why = String::from_utf8_lossy(&output.stderr);
        let said = String::from_utf8(output.stdout).expect("text");
        let Some((head, body)) = said.split_once("\r\n\r\n") else {
            panic!("no head but {said:?}: {why}")
        };
        let status = head.split(' ').nth(1).expect("a status");
        Self {
            status: status.parse().expect("a number"),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// A header field, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(its, _)| *its == name);
        found.map_or("", |(_, value)| value)
    }
}
