//! Somebody of the vendor's reaches a service of the terminal: over a connection that the agent beside
//! it opens, once whoever stands there allows it, and recorded at the hub.

use std::time::Duration;

use anyhow::{bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use outgate_client::{Error, SupportSession, SupportWhat};
use reqwest::Method;

use super::terminal::{ANSWER, QUESTION};
use super::{NAME, Office, TERMINAL};
use crate::commands::demo::sites::device::{Device, UNHEARD};

/// How long all of it may take: an agent is started, comes to the hub, and goes again.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What the agent's configuration calls the service.
const SERVICE: &str = "diagnosis";

/// Why it is reached.
const REASON: &str = "the terminal prints no receipts";

/// Who stands at the terminal.
const BY: &str = "Kari";

/// For how many seconds the session is asked for.
const LASTS: u64 = 600;

impl Office<'_> {
    pub(super) async fn support(&mut self) -> anyhow::Result<String> {
        let address = self.terminal.serve_diagnosis().await?;
        let more = format!(
            "{UNHEARD}[support]\nallow = 'ask'\n[support.services]\n{SERVICE} = '{address}'\n"
        );
        let agent = Device::join(self.stage, NAME, TERMINAL, &more).await?;
        agent.is_connected().await?;
        self.no_shell().await?;
        let session = self.allowed(&agent).await?;
        let answer = self.asked(&session.id).await?;
        let over = self.stage.vendor.end_support(&session.id).await?;
        ensure!(over.state == "ended", "it is {}", over.state);
        self.is_recorded(&session.id).await?;
        drop(agent);
        self.is_without_agent().await?;
        Ok(format!(
            "`{answer}`: allowed by {BY}, recorded, ended; a shell that nobody set up is refused"
        ))
    }

    /// What the agent's configuration does not have is not to be had.
    async fn no_shell(&self) -> anyhow::Result<()> {
        let shell = SupportWhat::Shell(80, 24);
        let asked = self
            .stage
            .vendor
            .ask_support(TERMINAL, REASON, shell, LASTS);
        match asked.await {
            Err(Error::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(session) => {
                ensure!(session.state == "refused", "a shell is {}", session.state);
                Ok(())
            }
        }
    }

    /// A session that was asked for, and that was opened when it was allowed at the terminal.
    async fn allowed(&self, agent: &Device) -> anyhow::Result<SupportSession> {
        let vendor = self.stage.vendor;
        let service = SupportWhat::Service(SERVICE);
        let asked = vendor.ask_support(TERMINAL, REASON, service, LASTS).await?;
        ensure!(asked.state == "asked", "it is {}", asked.state);
        let shown = agent.ask(Method::GET, "/support", None).await?;
        let mut shown = shown.as_array().into_iter().flatten();
        let shown = shown.find(|shown| shown["session"] == asked.id.as_str());
        let reason = shown.map(|shown| &shown["reason"]);
        ensure!(reason.is_some_and(|it| it == REASON), "shown {shown:?}");
        let allow = format!("/support/{}/allow?by={BY}", asked.id);
        agent.ask(Method::POST, &allow, None).await?;
        let mut session = asked;
        while session.state == "asked" {
            session = vendor.support_session(&session.id, Some("asked")).await?;
        }
        ensure!(session.state == "open", "{:?}", session.why);
        let by = session.allowed_by.as_deref().unwrap_or_default();
        ensure!(by.contains(BY), "allowed by {by}");
        Ok(session)
    }

    /// What the service answers.
    async fn asked(&self, session: &str) -> anyhow::Result<String> {
        let vendor = self.stage.vendor;
        let over = vendor.send_support(session, 0, QUESTION, false).await?;
        ensure!(over.is_none(), "{over:?}");
        let mut got = Vec::new();
        while got.len() < ANSWER.len() {
            let after = u64::try_from(got.len())?;
            let taken = vendor.take_support(session, after).await?;
            if let Some(over) = taken.over {
                bail!("it is over: {over}");
            }
            got.extend(taken.bytes);
        }
        ensure!(got == ANSWER, "another answer");
        Ok(String::from_utf8_lossy(&got).trim().to_owned())
    }

    /// Whether what went over it either way is at the hub.
    async fn is_recorded(&self, session: &str) -> anyhow::Result<()> {
        let mut recording = self.stage.vendor.support_recording(session).await?;
        let mut lines = Vec::new();
        while let Some(piece) = recording.next().await? {
            lines.extend_from_slice(&piece);
        }
        let lines = String::from_utf8(lines)?;
        for said in [QUESTION, ANSWER] {
            let said = STANDARD.encode(said);
            ensure!(lines.contains(&said), "not recorded: {lines}");
        }
        Ok(())
    }

    /// Waits until the hub sees the terminal by its messages alone.
    async fn is_without_agent(&self) -> anyhow::Result<()> {
        loop {
            let sessions = self.stage.vendor.sessions(TERMINAL);
            let sessions: Vec<_> = sessions.try_collect().await?;
            if sessions.iter().all(|session| session.via == "azure") {
                return Ok(());
            }
            self.stage.look_again().await;
        }
    }
}
