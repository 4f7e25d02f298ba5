//! The terminal is withdrawn while everything that it may have open is open, and let in again.

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outgate_client::{Given, NewFileGrant};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::task::JoinHandle;

use super::beside::HELD;
use super::messages::Messages;
use super::terminal::By;
use super::{Office, TERMINAL};

/// A file that no buffers on the way hold, and its bytes.
const LARGE: &str = "pictures.bin";
const LARGE_BYTES: usize = 48 << 20;

/// What is open when the terminal is withdrawn.
struct Open {
    messages: Messages,
    reader: Messages,
    download: Response,
    look_up: JoinHandle<reqwest::Result<Response>>,
}

/// What a terminal has by which it may try to come in.
struct Had {
    key: Vec<u8>,
    /// The token for look-ups.
    token: String,
    /// The address with a key of a file.
    address: String,
}

impl Office<'_> {
    /// Everything that it has open ends when the revocation returns, and is refused from then on.
    pub(super) async fn withdrawal(&mut self) -> anyhow::Result<String> {
        let (open, had) = self.everything().await?;
        let revoked = self.stage.vendor.revoke_device(TERMINAL).await?;
        ensure!(revoked.ended == 4, "{} connections ended", revoked.ended);
        open.messages.ended().await;
        open.reader.ended().await;
        let mut download = open.download;
        let mut got = 0;
        while let Ok(Some(piece)) = download.chunk().await {
            got += piece.len();
        }
        ensure!(got < LARGE_BYTES, "the whole of {LARGE} has come");
        // Broken off with a word or without one.
        if let Ok(answer) = open.look_up.await? {
            let status = answer.status();
            ensure!(status == StatusCode::UNAUTHORIZED, "the look-up: {status}");
        }
        self.is_out(&had).await?;
        let group = self.terminal.register(&self.fleet.key).await?;
        ensure!(group.is_err(), "it may register");
        Ok(format!(
            "{} connections closed: MQTT, WebSocket, download, look-up; all refused, and to register",
            revoked.ended
        ))
    }

    /// New keys let it in, and nothing that it had before does.
    pub(super) async fn restoration(&mut self) -> anyhow::Result<String> {
        let had = Had {
            key: self.terminal.key.clone(),
            token: String::new(),
            address: self.address.clone().context("no file was fetched")?,
        };
        let restored = self.stage.vendor.restore_device_anew(TERMINAL).await?;
        let given = restored.into_iter().map(|issued| issued.given).next();
        let Some(Given::Key(key)) = given else {
            bail!("the hub gave no key");
        };
        self.is_out(&had).await?;
        self.terminal.key = STANDARD.decode(key.expose())?;
        self.reconnected().await?;
        let clocking = json!({ "card": 17, "out": "16:02" });
        self.says(&clocking).await?;
        let kept = self.said().await?.payload;
        ensure!(kept == outgate_client::Payload::Json(clocking), "{kept:?}");
        let token = self.terminal.come_in(&self.fleet).await?;
        let token = token.map_err(|status| anyhow::anyhow!("its new key is told {status}"))?;
        let look_up = self.terminal.look_up(&token, "flow/balances/17");
        let status = self.terminal.ask(look_up).await?.status();
        ensure!(status == StatusCode::OK, "{status}");
        Ok("clocks and looks up again; the old key and the old address stay out".to_owned())
    }

    /// Opens all that there is, and has it in use.
    async fn everything(&mut self) -> anyhow::Result<(Open, Had)> {
        self.reconnected().await?;
        let messages = self.messages.take().context("it is not connected")?;
        let reader = self.terminal.connect_reader().await?;
        let reader = reader.map_err(|reason| anyhow::anyhow!("its reader: {reason}"))?;
        self.put(LARGE, vec![7; LARGE_BYTES]).await?;
        let new = NewFileGrant {
            name: LARGE,
            verb: "read",
            lasts: None,
            deliver: false,
        };
        let issued = self.stage.vendor.grant_file(TERMINAL, new).await?;
        let url = issued.url.context("no address")?;
        let at = url.find("/files/").context("another address")?;
        let path = url.get(at..).unwrap_or_default();
        let mut download = self.ask(Method::GET, path).await?;
        let begun = download.chunk().await?;
        ensure!(begun.is_some(), "{}", download.status());
        let token = self.terminal.come_in(&self.fleet).await?;
        let token = token.map_err(|status| anyhow::anyhow!("its own key is told {status}"))?;
        let look_up = self.terminal.begin(self.terminal.look_up(&token, HELD))?;
        self.beside.held.notified().await;
        let open = Open {
            messages,
            reader,
            download,
            look_up,
        };
        let address = path.to_owned();
        let key = self.terminal.key.clone();
        Ok((
            open,
            Had {
                key,
                token,
                address,
            },
        ))
    }

    /// Tries each way in by what it had.
    async fn is_out(&self, had: &Had) -> anyhow::Result<()> {
        for by in [By::Tls, By::WebSocket] {
            let connected = self.terminal.connect(&had.key, by).await?;
            ensure!(connected.is_err(), "its token lets it in");
        }
        let reader = self.terminal.connect_reader().await?;
        ensure!(reader.is_err(), "its key lets it in");
        let file = self.ask(Method::GET, &had.address).await?.status();
        ensure!(file == StatusCode::FORBIDDEN, "the file: {file}");
        let token = self.terminal.come_in(&self.fleet).await?;
        ensure!(token.is_err(), "it may look things up");
        let look_up = self.terminal.look_up(&had.token, "flow/balances/17");
        let look_up = self.terminal.ask(look_up).await?.status();
        ensure!(look_up == StatusCode::UNAUTHORIZED, "{look_up}");
        Ok(())
    }
}
