//! Who an SSH server says it is (RFC 4253 §4.2), and whether what follows passes as well: which
//! algorithms each end knows (§7.1). Nothing is agreed on and nobody logs in.

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::ssh::{
    self, COOKIE_LEN, GREETING_MAX, Identification, IdentificationError, PACKET_MAX, Packet,
    PacketError,
};
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
/// How many packets are looked at for the one that is wanted: what may be passed over, a server
/// has no reason to send first.
const PACKETS_MAX: usize = 8;
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
        let algorithms = ssh::algorithms([0; COOKIE_LEN]).len();
        vec![
            Sent::new(
                "a line that says who asks over SSH, and no login",
                OURS.len(),
                1,
            ),
            Sent::new("which algorithms of SSH it knows", algorithms, 1),
            Sent::new("a goodbye over SSH", ssh::goodbye().len(), 1),
        ]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let mut stream = connect(run).await?;
    let (server, rest) = run
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
    let result = if speaks_version_2 {
        let cookie = run.path.tls().random()?;
        let exchange = exchange(&mut stream, rest, cookie);
        run.phase(PhaseName::KeyExchange, exchange).await
    } else {
        Err(Trouble::SshTooOld { protocol }.into())
    };
    // Whoever did not come this far is not there to be told.
    if result.is_ok() {
        let goodbye = async {
            let _ = stream.write_all(&ssh::goodbye()).await;
            let _ = stream.shutdown().await;
            Ok(())
        };
        run.phase(PhaseName::Close, goodbye).await?;
    }
    result
}

/// Both say which algorithms they know. A filter that knows SSH by its first line stops it here.
async fn exchange(
    stream: &mut BoxedStream,
    rest: Vec<u8>,
    cookie: [u8; COOKIE_LEN],
) -> Result<(), Stop> {
    let mut talk = Conversation::resumed(stream, PhaseName::KeyExchange, rest);
    talk.say(&ssh::algorithms(cookie)).await?;
    for _ in 0..PACKETS_MAX {
        match talk.hear(read_packet).await? {
            Packet::Algorithms => return Ok(()),
            Packet::Goodbye { .. } => {
                let phase = PhaseName::KeyExchange;
                return Err(Trouble::Closed { phase }.into());
            }
            Packet::Passing => {}
        }
    }
    let (bound, unit) = (PACKETS_MAX as u64, Unit::Messages);
    Err(Trouble::TooMuch { bound, unit }.into())
}

fn read_packet(bytes: &[u8]) -> Result<Option<(Packet, usize)>, Trouble> {
    Packet::read(bytes).map_err(|error| match error {
        PacketError::TooLong => Trouble::TooMuch {
            bound: PACKET_MAX as u64,
            unit: Unit::MessageBytes,
        },
        PacketError::NotSsh => Trouble::Malformed {
            what: error.to_string(),
        },
    })
}

/// Who the server is, and what else it has said already.
async fn greet(stream: &mut BoxedStream) -> Result<(Identification, Vec<u8>), Stop> {
    let mut talk = Conversation::new(stream, PhaseName::Conversation);
    talk.say(OURS.as_bytes()).await?;
    let heard = talk.hear(read).await;
    match heard {
        Ok(server) => Ok((server, talk.heard().to_vec())),
        // Whoever said something else and hung up speaks another protocol.
        Err(Stop {
            trouble: Trouble::Closed { .. },
            ..
        }) if !talk.heard().is_empty() => {
            let quote = cut(&String::from_utf8_lossy(talk.heard()), QUOTE_MAX);
            let what = format!("no SSH identification, but `{quote}`");
            Err(Trouble::Malformed { what }.into())
        }
        Err(stop) => Err(stop),
    }
}

fn read(bytes: &[u8]) -> Result<Option<(Identification, usize)>, Trouble> {
    match Identification::read(bytes) {
        Ok(server) => Ok(server),
        Err(IdentificationError::TooLong) => Err(Trouble::TooMuch {
            bound: GREETING_MAX as u64,
            unit: Unit::ConversationBytes,
        }),
        Err(error @ IdentificationError::NoVersion) => Err(Trouble::Malformed {
            what: error.to_string(),
        }),
    }
}
