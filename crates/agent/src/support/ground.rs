//! To what a session leads: a service on loopback, or a shell on a terminal of its own.

use std::net::SocketAddr;
use std::time::Duration;

use pty_process::{OwnedReadPty, OwnedWritePty, Size};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::time::timeout;

use crate::config;

/// How long a service of this machine may take to take a connection.
const CONNECTED: Duration = Duration::from_secs(10);

/// What the shell is told of the terminal.
const TERMINAL: &str = "xterm-256color";

/// Where a session may lead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ground<'a> {
    Service(SocketAddr),
    Shell {
        command: &'a [String],
        size: (u16, u16),
    },
}

/// What a session leads to, opened. A shell is ended with it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    shell: Option<Child>,
}

#[derive(Debug)]
pub(super) enum Reader {
    Tcp(OwnedReadHalf),
    Pty(OwnedReadPty),
}

#[derive(Debug)]
pub(super) enum Writer {
    Tcp(OwnedWriteHalf),
    Pty(OwnedWritePty),
}

impl<'a> Ground<'a> {
    /// What the configuration has under that: `service NAME`, `shell COLUMNSxROWS`.
    pub(super) fn of(config: &'a config::Support, what: &str) -> Result<Self, String> {
        let unknown = || "the question is none that this agent knows".to_owned();
        let (kind, rest) = what.split_once(' ').ok_or_else(unknown)?;
        match kind {
            "service" => {
                let address = config.services.get(rest);
                let none = || format!("the device's configuration names no service {rest}");
                Ok(Self::Service(*address.ok_or_else(none)?))
            }
            "shell" => {
                let none = || "the device's configuration allows no shell".to_owned();
                let command = config.shell.as_deref().ok_or_else(none)?;
                let size = rest.split_once('x').ok_or_else(unknown)?;
                let size = (size.0.parse(), size.1.parse());
                let (Ok(columns), Ok(rows)) = size else {
                    return Err(unknown());
                };
                Ok(Self::Shell {
                    command,
                    size: (columns, rows),
                })
            }
            _ => Err(unknown()),
        }
    }

    /// Opens it.
    pub(super) async fn open(&self) -> Result<Opened, String> {
        match self {
            Self::Service(address) => {
                let connecting = timeout(CONNECTED, TcpStream::connect(address)).await;
                let late = |_| format!("{address} does not answer");
                let stream = connecting.map_err(late)?;
                let stream = stream.map_err(|error| format!("{address}: {error}"))?;
                // Who types waits for each letter.
                let _ = stream.set_nodelay(true);
                let (reader, writer) = stream.into_split();
                Ok(Opened {
                    reader: Reader::Tcp(reader),
                    writer: Writer::Tcp(writer),
                    shell: None,
                })
            }
            Self::Shell { command, size } => shell(command, *size),
        }
    }
}

fn shell(command: &[String], (columns, rows): (u16, u16)) -> Result<Opened, String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("there is no shell".to_owned());
    };
    let failed = |error: pty_process::Error| format!("the shell does not start: {error}");
    let (terminal, end) = pty_process::open().map_err(failed)?;
    terminal.resize(Size::new(rows, columns)).map_err(failed)?;
    let shell = pty_process::Command::new(program)
        .args(arguments)
        .env("TERM", TERMINAL)
        .kill_on_drop(true)
        .spawn(end);
    let (reader, writer) = terminal.into_split();
    Ok(Opened {
        reader: Reader::Pty(reader),
        writer: Writer::Pty(writer),
        shell: Some(shell.map_err(failed)?),
    })
}

impl Reader {
    /// What comes next; nothing when it has ended.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> Vec<u8> {
        let read = match self {
            Self::Tcp(stream) => stream.read(buffer).await,
            // The end of a terminal is an error.
            Self::Pty(terminal) => terminal.read(buffer).await,
        };
        let read = buffer.get(..read.unwrap_or(0));
        read.unwrap_or_default().to_vec()
    }
}

impl Writer {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Pty(terminal) => terminal.write_all(bytes).await,
        }
    }

    /// Nothing follows.
    pub(super) async fn close(&mut self) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown().await,
            // What a terminal has for that (RFC 20: EOT).
            Self::Pty(terminal) => terminal.write_all(b"\x04").await,
        }
    }
}

impl Opened {
    /// Ends what is behind it: of a shell all that belongs to its terminal is hung up with that.
    pub(super) async fn end(self) {
        let Self {
            reader,
            writer,
            shell,
        } = self;
        drop((reader, writer));
        if let Some(mut shell) = shell {
            // It may have ended by itself.
            let _ = shell.kill().await;
        }
    }
}
