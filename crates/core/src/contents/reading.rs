//! Bytes of a file on their way out.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::{GetOptions, GetRange, GetResultPayload};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Contents, Piece, PieceKey, refused, refused_by_disk};
use crate::refusal::Refusal;

/// How many bytes are read from the hub's own disk at a time.
const CHUNK: u64 = 256 << 10;

/// Bytes of a file on their way out. Dropping it ends that.
pub struct Reading {
    contents: Contents,
    /// What is to be read, the piece that is being read first.
    rest: VecDeque<(Held, Range<u64>)>,
    source: Option<Source>,
}

/// A piece that stays for as long as this is held.
struct Held {
    contents: Contents,
    key: PieceKey,
}

/// Where the bytes of a piece come from.
enum Source {
    /// From the hub's own disk: the next of them are being read already.
    File(JoinHandle<Result<Chunk, Refusal>>),
    /// From a store elsewhere.
    Stream(BoxStream<'static, object_store::Result<Bytes>>),
}

/// Bytes of a file on the disk, and how many of it are to be read after them.
struct Chunk {
    file: File,
    bytes: Bytes,
    left: u64,
}

impl Reading {
    pub(super) fn new(contents: Contents, pieces: &[Piece], range: Range<u64>) -> Self {
        let mut rest = VecDeque::new();
        let mut start = 0_u64;
        for piece in pieces {
            let end = start.saturating_add(piece.size);
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                contents.take_up(&piece.key);
                let held = Held {
                    contents: contents.clone(),
                    key: piece.key.clone(),
                };
                rest.push_back((held, from - start..to - start));
            }
            start = end;
        }
        Self {
            contents,
            rest,
            source: None,
        }
    }

    /// The next bytes, or none after the last. To be called again only if it returned bytes.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when the file has been changed or removed before its reading began;
    /// [`Refusal::Internal`] when the store fails.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some((held, range)) = self.rest.front() else {
                return Ok(None);
            };
            let source = match self.source.take() {
                Some(source) => source,
                None => Source::open(&self.contents, &held.key, range.clone()).await?,
            };
            if let Some((bytes, source)) = source.next().await? {
                self.source = Some(source);
                return Ok(Some(bytes));
            }
            self.rest.pop_front();
        }
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("pieces", &self.rest.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.contents.let_go(&self.key);
    }
}

impl Source {
    async fn open(contents: &Contents, key: &PieceKey, range: Range<u64>) -> Result<Self, Refusal> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let found = contents.0.store.get_opts(&key.path(), options).await;
        let found = found.map_err(|error| {
            if matches!(error, object_store::Error::NotFound { .. }) {
                tracing::warn!(%key, "a piece of a file is not there");
                return Refusal::Conflict { what: "the file" };
            }
            refused(&error)
        })?;
        if found.range != range {
            tracing::error!(%key, "a piece of a file is shorter than it was");
            return Err(Refusal::Internal("a piece of a file is short"));
        }
        Ok(match found.payload {
            GetResultPayload::File(mut file, _) => Self::File(spawn_blocking(move || {
                let start = SeekFrom::Start(range.start);
                file.seek(start).map_err(refused_by_disk)?;
                Chunk::read(file, range.end - range.start)
            })),
            GetResultPayload::Stream(stream) => Self::Stream(stream),
        })
    }

    /// The next bytes, and where those after them come from.
    async fn next(self) -> Result<Option<(Bytes, Self)>, Refusal> {
        match self {
            Self::File(reading) => {
                let stopped = Err(Refusal::Internal("work on a file's bytes stopped"));
                let Chunk { file, bytes, left } = reading.await.unwrap_or(stopped)?;
                if bytes.is_empty() {
                    return Ok(None);
                }
                // While those before are sent.
                let ahead = spawn_blocking(move || Chunk::read(file, left));
                Ok(Some((bytes, Self::File(ahead))))
            }
            Self::Stream(mut stream) => match stream.next().await {
                Some(Ok(bytes)) => Ok(Some((bytes, Self::Stream(stream)))),
                Some(Err(error)) => Err(refused(&error)),
                None => Ok(None),
            },
        }
    }
}

impl Chunk {
    fn read(mut file: File, left: u64) -> Result<Self, Refusal> {
        let wanted = left.min(CHUNK);
        let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
        let read = (&mut file).take(wanted).read_to_end(&mut bytes);
        let read = read.map_err(refused_by_disk)?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        if read != wanted {
            tracing::error!("a piece of a file is shorter than it was");
            return Err(Refusal::Internal("a piece of a file is short"));
        }
        Ok(Self {
            file,
            bytes: bytes.into(),
            left: left - wanted,
        })
    }
}
