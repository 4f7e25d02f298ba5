//! Files of the terminal, each by an address with a key of its own that comes as a message.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use futures_util::stream;
use outgate_client::NewFileGrant;
use reqwest::header::{ETAG, IF_MATCH, RANGE};
use reqwest::{Method, StatusCode};
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::{Office, TERMINAL, text};

/// The files.
const EMPLOYEES: &str = "employees.csv";
const DIMENSIONS: &str = "dimensions.csv";
const LOG: &str = "logs/today.txt";

/// How many employees there are: half a mebibyte of them.
const STAFF: usize = 16_384;

/// What the terminal has written down.
const LINES: &str = "07:58 card 17 in\n08:01 card 4 unknown\n";

impl Office<'_> {
    /// A fetch that is cut off and goes on, and a key that opens nothing but its file.
    pub(super) async fn employees(&mut self) -> anyhow::Result<String> {
        let staff = staff();
        self.put(EMPLOYEES, staff.clone().into_bytes()).await?;
        let told = self.told(EMPLOYEES, "read", "file.download").await?;
        let path = text(&told["path"]).to_owned();
        let sum = digest(&SHA256, staff.as_bytes());
        ensure!(text(&told["sha256"]) == hex(sum.as_ref()), "{told}");
        let mut whole = self.ask(Method::GET, &path).await?;
        ensure!(whole.status() == StatusCode::OK, "{}", whole.status());
        let tag = whole.headers().get(ETAG).cloned().context("no tag")?;
        let mut fetched = Vec::new();
        while fetched.len() < staff.len() / 2 {
            let piece = whole.chunk().await?.context("it has ended early")?;
            fetched.extend_from_slice(&piece);
        }
        // The connection ends here, in the middle of the answer.
        drop(whole);
        fetched.truncate(staff.len() / 2);
        let rest = self.terminal.request(Method::GET, self.host(), &path);
        let rest = rest
            .header(RANGE, format!("bytes={}-", fetched.len()))
            .header(IF_MATCH, tag);
        let rest = self.terminal.ask(rest).await?;
        let status = rest.status();
        ensure!(status == StatusCode::PARTIAL_CONTENT, "{status}");
        fetched.extend_from_slice(&rest.bytes().await?);
        let sum = digest(&SHA256, &fetched);
        ensure!(text(&told["sha256"]) == hex(sum.as_ref()), "another file");
        self.key_opens_nothing_else(&path).await?;
        self.address = Some(path);
        let half = staff.len() / 2;
        Ok(format!(
            "{} bytes, resumed at {half}; the key opens no other file and writes none",
            staff.len()
        ))
    }

    /// Tries the key of one file on another one, and for another verb.
    async fn key_opens_nothing_else(&self, path: &str) -> anyhow::Result<()> {
        self.put(DIMENSIONS, b"department;project\n".to_vec())
            .await?;
        let other = path.replace(EMPLOYEES, DIMENSIONS);
        let refused = self.ask(Method::GET, &other).await?.status();
        ensure!(refused == StatusCode::FORBIDDEN, "another file: {refused}");
        let write = self.terminal.request(Method::PUT, self.host(), path);
        let write = write.header("x-ms-blob-type", "BlockBlob").body("nobody");
        let refused = self.terminal.ask(write).await?.status();
        ensure!(refused == StatusCode::FORBIDDEN, "to write: {refused}");
        Ok(())
    }

    /// The terminal is asked for its log, and puts it where it is told.
    pub(super) async fn log(&mut self) -> anyhow::Result<String> {
        let told = self.told(LOG, "write", "file.upload").await?;
        let put = self
            .terminal
            .request(Method::PUT, self.host(), text(&told["path"]));
        let put = put.header("x-ms-blob-type", "BlockBlob").body(LINES);
        let status = self.terminal.ask(put).await?.status();
        ensure!(status == StatusCode::CREATED, "{status}");
        let mut download = self.stage.vendor.file(TERMINAL, LOG).await?;
        let mut delivered = Vec::new();
        while let Some(piece) = download.next().await? {
            delivered.extend(piece);
        }
        ensure!(delivered == LINES.as_bytes(), "another log");
        Ok(format!("{LOG}: the vendor reads its 2 lines"))
    }

    /// The vendor puts a file for the terminal, and does not tell it.
    pub(super) async fn put(&self, name: &str, content: Vec<u8>) -> anyhow::Result<()> {
        let size = u64::try_from(content.len())?;
        let content = stream::iter([Ok(content)]);
        let at = (TERMINAL, name);
        let put = self.stage.vendor.put_file(at, "text/csv", size, content);
        put.await?;
        Ok(())
    }

    /// The vendor grants a file, and the terminal is told as of any other message.
    async fn told(&mut self, name: &str, verb: &'static str, as_: &str) -> anyhow::Result<Value> {
        let new = NewFileGrant {
            name,
            verb,
            lasts: None,
            deliver: true,
        };
        let issued = self.stage.vendor.grant_file(TERMINAL, new).await?;
        let (about, payload) = self.devicebound().await?;
        ensure!(about == as_, "it is about {about}");
        let told: Value = serde_json::from_slice(&payload)?;
        ensure!(told["grant"] == issued.grant.id.as_str(), "another grant");
        ensure!(told["name"] == name, "another file");
        Ok(told)
    }

    /// Asks for a file by its address.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
    ) -> anyhow::Result<reqwest::Response> {
        let request = self.terminal.request(method, self.host(), path);
        self.terminal.ask(request).await
    }

    fn host(&self) -> &str {
        &self.terminal.names.files
    }
}

/// The vendor's list of employees.
fn staff() -> String {
    let mut staff = String::from("card;name\n");
    for card in 1..STAFF {
        // Writing to a text cannot fail.
        let _ = writeln!(staff, "{card:06};employee number {card:06}");
    }
    staff
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
