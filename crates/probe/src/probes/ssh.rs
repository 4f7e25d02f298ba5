//! Who an SSH server says it is (RFC 4253 §4.2). Nothing is agreed on and nobody logs in.

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::ssh::{GREETING_MAX, Identification, IdentificationError};
use tokio::io::AsyncWriteExt;

use crate::{
    ask::Ask,
    conversation::Conversation,
    evidence::{Finding, PhaseName, SshEvidence, Trouble, Unit},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{BoxedStream, connect},
    text::cut,
};

/// Who asks.
const OURS: &str = concat!("SSH-2.0-outgate_check_", env!("CARGO_PKG_VERSION"), "\r\n");
/// Longest version that is kept, in characters.
const VERSION_MAX: usize = 16;
/// Longest text that is kept, in characters.
const TEXT_MAX: usize = 256;
/// How much of something else is quoted, in characters.
const QUOTE_MAX: usize = 60;

/// An SSH server.
pub(crate) struct Ssh;

impl Probe for Ssh {
    fn protocols(&self) -> &'static [&'static str] {
        &["ssh"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        vec![Sent::new(
            "a line that says who asks over SSH, and no login",
            OURS.len(),
            1,
        )]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let mut stream = connect(run).await?;
    let server = run
        .phase(PhaseName::Conversation, greet(&mut stream))
        .await?;
    let speaks_version_2 = server.speaks_version_2();
    let protocol = cut(&server.protocol, VERSION_MAX);
    run.attempt.ssh = Some(SshEvidence {
        protocol: protocol.clone(),
        software: cut(&server.software, TEXT_MAX),
        comments: server.comments.map(|text| cut(&text, TEXT_MAX)),
        lines_before: server.lines_before,
    });
    let goodbye = async {
        let _ = stream.shutdown().await;
        Ok(())
    };
    run.phase(PhaseName::Close, goodbye).await?;
    if speaks_version_2 {
        Ok(())
    } else {
        Err(Trouble::SshTooOld { protocol }.into())
    }
}

async fn greet(stream: &mut BoxedStream) -> Result<Identification, Stop> {
    let mut talk = Conversation::new(stream, PhaseName::Conversation);
    talk.say(OURS.as_bytes()).await?;
    let heard = talk.hear(read).await;
    match heard {
        // Whoever said something else and hung up speaks another protocol.
        Err(Stop {
            trouble: Trouble::Closed { .. },
            ..
        }) if !talk.heard().is_empty() => {
            let quote = cut(&String::from_utf8_lossy(talk.heard()), QUOTE_MAX);
            let what = format!("no SSH identification, but `{quote}`");
            Err(Trouble::Malformed { what }.into())
        }
        heard => heard,
    }
}

fn read(bytes: &[u8]) -> Result<Option<(Identification, usize)>, Trouble> {
    match Identification::read(bytes) {
        Ok(server) => Ok(server.map(|server| (server, bytes.len()))),
        Err(IdentificationError::TooLong) => Err(Trouble::TooMuch {
            bound: GREETING_MAX as u64,
            unit: Unit::ConversationBytes,
        }),
        Err(error @ IdentificationError::NoVersion) => Err(Trouble::Malformed {
            what: error.to_string(),
        }),
    }
}
