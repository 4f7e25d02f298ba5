//! A piece that is coming.

use std::fmt;
use std::mem;

use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use ring::digest::{Context, SHA256};
use tokio::task::JoinHandle;

use super::{Contents, Piece, PieceKey, Share, blocking, refused};
use crate::objects::Digest;
use crate::refusal::Refusal;

/// From how many bytes on hashing them is no work to do between other people's.
const LONG_TO_HASH: usize = 64 << 10;

/// How many bytes lie together in memory until they go to the store. They are copied: what comes in
/// pieces of one byte would hold far more than it is. Parts are multiples of it.
pub(super) const CHUNK: usize = 64 << 10;

/// What is worked out of a piece's bytes while they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// Its SHA-256.
    Sha256,
    /// Its MD5 (RFC 1321) as well, by which some clients notice bytes that were changed by accident.
    WithMd5,
}

/// A piece that is coming; gone when it is dropped.
pub struct Coming {
    contents: Contents,
    key: PieceKey,
    size: u64,
    most: u64,
    /// What it takes of the room that it shares with others.
    share: Option<Share>,
    /// What has not been sent to the store yet, less than a part, in full chunks but for the last.
    held: Vec<BytesMut>,
    held_size: usize,
    /// Of all parts that have gone there; missing while it is worked on.
    sums: Option<Sums>,
    upload: Option<Box<dyn MultipartUpload>>,
    /// The part that is on its way to the store.
    underway: Option<JoinHandle<Result<(), Refusal>>>,
}

/// A piece that is here as a whole; gone when it is dropped and has not been kept.
#[derive(Debug)]
pub struct Whole {
    claim: Claim,
    /// Taken until something refers to it, and so counts it.
    _share: Option<Share>,
    digest: Digest,
    md5: Option<[u8; 16]>,
}

/// What is under a key, which is removed when this is dropped and it has not been kept.
#[derive(Debug)]
struct Claim {
    contents: Contents,
    piece: Piece,
    is_kept: bool,
}

/// The hashes of a piece so far.
pub(super) struct Sums {
    sha256: Context,
    md5: Option<Md5>,
}

impl Coming {
    pub(super) fn new(
        contents: Contents,
        key: PieceKey,
        (most, share): (u64, Option<Share>),
        hashes: Hashes,
    ) -> Self {
        Self {
            share,
            contents,
            key,
            size: 0,
            most,
            held: Vec::new(),
            held_size: 0,
            sums: Some(Sums::new(hashes)),
            upload: None,
            underway: None,
        }
    }

    /// Takes the next bytes of it. At most two parts of it are in memory.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::Full`]; [`Refusal::Internal`] when the store fails.
    pub async fn take(mut self, bytes: Bytes) -> Result<Self, Refusal> {
        self.size = self.size.saturating_add(whole(bytes.len()));
        if self.size > self.most {
            return Err(self.too_large());
        }
        if let Some(share) = &mut self.share {
            share.grow(whole(bytes.len()))?;
        }
        let mut rest: &[u8] = &bytes;
        while !rest.is_empty() {
            rest = self.hold(rest);
            if self.held_size >= self.contents.0.part {
                self.send_part().await?;
            }
        }
        Ok(self)
    }

    /// Holds as much as goes into the chunk that is being filled, and gives the rest.
    fn hold<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let filled = match self.held.pop() {
            Some(chunk) if chunk.len() < CHUNK => chunk,
            full => {
                self.held.extend(full);
                BytesMut::with_capacity(CHUNK)
            }
        };
        let mut chunk = filled;
        let (now, later) = bytes.split_at(bytes.len().min(CHUNK - chunk.len()));
        chunk.extend_from_slice(now);
        self.held_size += now.len();
        self.held.push(chunk);
        later
    }

    /// What is held, which is held no longer.
    fn let_go(&mut self) -> Vec<Bytes> {
        self.held_size = 0;
        let held = mem::take(&mut self.held);
        held.into_iter().map(BytesMut::freeze).collect()
    }

    /// Says how many bytes are to come in all, so that what has no place is refused before it comes.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::Full`].
    pub fn expect(&self, bytes: u64) -> Result<(), Refusal> {
        if bytes > self.most {
            return Err(self.too_large());
        }
        self.contents.check_room(bytes)
    }

    fn too_large(&self) -> Refusal {
        Refusal::TooLarge {
            what: "bytes of a file",
            limit: self.most,
        }
    }

    /// How many bytes may come at the most.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most
    }

    /// How many bytes have come.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Sends what is held to the store, when the part before has got there. All parts are of the
    /// same size but the last, which some stores ask for.
    async fn send_part(&mut self) -> Result<(), Refusal> {
        self.await_part().await?;
        let size = self.held_size;
        let parts = self.let_go();
        self.contents.check_room(whole(size))?;
        let sums = self.sums.take().ok_or(STOPPED)?;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let store = &self.contents.0.store;
                let begun = store.put_multipart(&self.key.path()).await;
                none.insert(begun.map_err(|error| refused(&error))?)
            }
        };
        let sent = upload.put_part(PutPayload::from_iter(parts.iter().cloned()));
        self.underway = Some(tokio::spawn(async move {
            sent.await.map_err(|error| refused(&error))
        }));
        // While it is on its way.
        self.sums = Some(sums.over(parts).await?);
        Ok(())
    }

    async fn await_part(&mut self) -> Result<(), Refusal> {
        match &mut self.underway {
            Some(underway) => {
                let done = underway.await.unwrap_or(Err(STOPPED));
                self.underway = None;
                done
            }
            None => Ok(()),
        }
    }

    /// That was all of it. Returns once it is kept for good.
    ///
    /// # Errors
    /// [`Refusal::Full`]; [`Refusal::Internal`] when the store fails.
    pub async fn finish(self) -> Result<Whole, Refusal> {
        // On a task of its own: who hangs up in the middle leaves nothing behind.
        tokio::spawn(self.finish_now())
            .await
            .unwrap_or(Err(STOPPED))
    }

    async fn finish_now(mut self) -> Result<Whole, Refusal> {
        self.contents.check_room(whole(self.held_size))?;
        let rest = self.let_go();
        let sums = self.sums.take().ok_or(STOPPED)?;
        self.await_part().await?;
        // From here on there may be something under the key.
        let claim = Claim {
            contents: self.contents.clone(),
            piece: Piece {
                key: self.key.clone(),
                size: self.size,
            },
            is_kept: false,
        };
        let payload = PutPayload::from_iter(rest.iter().cloned());
        let store = async {
            match &mut self.upload {
                Some(upload) => {
                    if payload.content_length() > 0 {
                        upload.put_part(payload).await?;
                    }
                    upload.complete().await.map(drop)
                }
                None => {
                    let store = &self.contents.0.store;
                    store.put(&self.key.path(), payload).await.map(drop)
                }
            }
        };
        let (stored, sums) = tokio::join!(store, sums.over(rest));
        stored.map_err(|error| refused(&error))?;
        self.upload = None;
        let (digest, md5) = sums?.finish();
        Ok(Whole {
            claim,
            _share: self.share.take(),
            digest,
            md5,
        })
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else {
            return;
        };
        let underway = self.underway.take();
        // Without a runtime the hub is ending; then it is swept at the next start.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(underway) = underway {
                    // Whatever became of it goes now.
                    let _ = underway.await;
                }
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "what was coming of a file cannot be given up");
                }
            });
        }
    }
}

impl fmt::Debug for Coming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coming")
            .field("key", &self.key)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Whole {
    /// The SHA-256 of it.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The MD5 of it, if that was asked for.
    #[must_use]
    pub fn md5(&self) -> Option<&[u8; 16]> {
        self.md5.as_ref()
    }

    /// The piece that it is.
    #[must_use]
    pub fn piece(&self) -> &Piece {
        &self.claim.piece
    }

    /// Something refers to it now, so it stays. To be called once that is committed: what is not
    /// kept is removed.
    pub fn keep(mut self) {
        self.claim.is_kept = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_kept {
            self.contents.delete_later(self.piece.key.clone());
        }
    }
}

impl Sums {
    pub(super) fn new(hashes: Hashes) -> Self {
        Self {
            sha256: Context::new(&SHA256),
            md5: (hashes == Hashes::WithMd5).then(Md5::new),
        }
    }

    /// With these bytes behind those before.
    pub(super) async fn over(self, parts: Vec<Bytes>) -> Result<Self, Refusal> {
        let size: usize = parts.iter().map(Bytes::len).sum();
        if size < LONG_TO_HASH {
            return Ok(self.update(&parts));
        }
        blocking(move || Ok(self.update(&parts))).await
    }

    fn update(mut self, parts: &[Bytes]) -> Self {
        for part in parts {
            self.sha256.update(part);
            if let Some(md5) = &mut self.md5 {
                md5.update(part);
            }
        }
        self
    }

    pub(super) fn finish(self) -> (Digest, Option<[u8; 16]>) {
        let md5 = self.md5.map(|md5| md5.finalize().into());
        (Digest::of(self.sha256), md5)
    }
}

fn whole(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A task that nobody ends has ended.
const STOPPED: Refusal = Refusal::Internal("work on a file's bytes stopped");

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::contents::Depot;

    #[tokio::test]
    async fn what_comes_byte_by_byte_takes_no_more_memory_than_it_is() {
        let folder = TempDir::new().unwrap();
        let contents = Contents::open(&Depot::Folder, folder.path(), 0).unwrap();
        let mut coming = contents.begin(1 << 20, None, Hashes::Sha256);
        for at in 0..=CHUNK {
            // Each holds a buffer of its own for as long as it is held.
            let byte = Bytes::from(vec![7; 4 << 10]).slice(at % 9..at % 9 + 1);
            coming = coming.take(byte).await.unwrap();
        }
        let held: usize = coming.held.iter().map(BytesMut::capacity).sum();
        assert_eq!((coming.held.len(), held), (2, 2 * CHUNK));
        let whole = coming.finish().await.unwrap();
        assert_eq!(whole.piece().size, (64 << 10) + 1);
    }
}
