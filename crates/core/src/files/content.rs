//! Putting something into files, and reading it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use rusqlite::Connection;

use super::block::{BLOCK, Block, BlockId, Which};
use super::{Access, FileLimits, Files, Place, Verb, kept};
use crate::clock::Timestamp;
use crate::contents::{Coming, Hashes, Piece, PieceKey, Reading, Whole};
use crate::id::{DeviceId, random};
use crate::identity::{Actor, Listed, Page, device_seen_by};
use crate::limits::{check_content_type, check_properties};
use crate::objects::Digest;
use crate::refusal::Refusal;

/// The most blocks of a file, and the most that are staged for a device at a time.
pub const MAX_BLOCKS: usize = 10_000;

/// What a file's type is when nobody said.
const ANY_TYPE: &str = "application/octet-stream";

/// A file, as may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Whose and which.
    pub place: Place,
    /// Another each time something is put into it.
    pub tag: String,
    /// How many bytes it has.
    pub size: u64,
    /// Their SHA-256.
    pub digest: Digest,
    /// Their MD5, where who put them said it or it was worked out.
    pub md5: Option<[u8; 16]>,
    /// Their media type.
    pub content_type: String,
    /// What else who put them said of them.
    pub properties: BTreeMap<String, String>,
    /// Since when there is a file of that name.
    pub created: Timestamp,
    /// Since when it is as it is.
    pub changed: Timestamp,
}

/// What is said of what is put into a file.
pub struct Described {
    /// Its media type; empty for any bytes.
    pub content_type: String,
    /// Named texts to be kept with it: at most 64, 8 KiB together.
    pub properties: BTreeMap<String, String>,
    /// Its MD5, where that is known.
    pub md5: Option<[u8; 16]>,
    /// What its SHA-256 must be, where who sends it says so.
    pub expected: Option<Digest>,
    /// Whether it may take the place of what is there.
    pub condition: Condition,
}

/// Says whether something may take the place of what is there, or come where nothing is; asked in
/// the same transaction in which it does.
pub type Condition = Box<dyn FnOnce(Option<&File>) -> Result<(), Refusal> + Send>;

/// Bytes of a file on their way out, for as long as who reads them may.
#[derive(Debug)]
pub struct Sending {
    access: Access,
    reading: Reading,
}

impl Files {
    /// Begins to take what is to be put into a file, or staged for it, with what is to be worked out
    /// of it. It can have as many bytes as the device has left of its share, in which what else is
    /// coming for it counts as it comes.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when `access` is not to write; [`Refusal::Revoked`],
    /// [`Refusal::Draining`] when it has ended; as the store.
    pub async fn begin(&self, access: &Access, hashes: Hashes) -> Result<Coming, Refusal> {
        access.may(Verb::Write)?;
        let (place, limits) = (access.place.clone(), self.limits());
        let used = self
            .store
            .read(move |connection| kept::used(connection, &place))
            .await?;
        self.note_run().await?;
        let left = limits.device_bytes.saturating_sub(used.bytes_beside());
        let whose = access.place.device.to_string();
        let share = self.coming.take(whose, left, limits.device_bytes);
        let most = left.min(limits.file_bytes);
        Ok(self.contents.begin(most, Some(share), hashes))
    }

    /// Notes what the keys of what comes begin with, before the first of them is there.
    async fn note_run(&self) -> Result<(), Refusal> {
        let Some(run) = self.contents.noted_run() else {
            return Ok(());
        };
        let run = run.to_owned();
        let work = move |connection: &Connection| kept::note_run(connection, &run);
        let note = || self.store.write(work);
        self.noted.get_or_try_init(note).await.copied()
    }

    /// Puts what has come into a file, in the place of what was there and of what was staged for it.
    /// Returns once that is on the disk; who is reading what was there gets all of it.
    ///
    /// # Errors
    /// As [`Files::begin`]; what the condition refuses with; [`Refusal::Invalid`] when something is
    /// said of it that cannot be kept, or when it is not what was expected; [`Refusal::TooMany`],
    /// [`Refusal::TooLarge`] beyond the device's share ([`FileLimits`]).
    pub async fn put(
        &self,
        access: &Access,
        content: Whole,
        described: Described,
    ) -> Result<File, Refusal> {
        let block = Block {
            id: BlockId::none(),
            piece: content.piece().clone(),
        };
        let md5 = described.md5.or(content.md5().copied());
        let described = Described { md5, ..described };
        let made = Made {
            digest: *content.digest(),
            blocks: vec![block],
            // Whatever is staged goes.
            needs: Vec::new(),
        };
        let file = self.place(access, made, described, Some(content)).await?;
        Ok(file)
    }

    /// Stages a block for a file, in the place of one of that name. Nobody sees it before it is
    /// committed; it is forgotten after 7 days.
    ///
    /// # Errors
    /// As [`Files::put`]; [`Refusal::TooMany`] beyond [`MAX_BLOCKS`]; [`Refusal::Invalid`] when its
    /// name is of another length than those that are staged for the file ([`BlockId::length`]).
    pub async fn stage(&self, access: &Access, id: BlockId, content: Whole) -> Result<(), Refusal> {
        access.may(Verb::Write)?;
        let (files, access) = (self.clone(), access.clone());
        let stage = async move {
            let piece = content.piece().clone();
            let (block, now) = (Block { id, piece }, files.clock.now());
            let limits = files.limits();
            let write = files.store.write_bulk(0, move |connection| {
                access.may(Verb::Write)?;
                check_name(connection, &access.place, &block.id)?;
                let before = kept::stage(connection, &access.place, &block, now)?;
                check_staged(connection, &access.place, limits)?;
                Ok(before)
            });
            let before = write.await?;
            content.keep();
            files.contents.remove(before.into_iter().collect()).await;
            Ok(())
        };
        on_its_own(stage).await
    }

    /// Makes a file of blocks that are staged for it or part of it, in that order, and forgets those
    /// that are staged. Works out its digest, for which all of them are read.
    ///
    /// # Errors
    /// As [`Files::put`]; [`Refusal::NotFound`] for a block that there is not; [`Refusal::Conflict`]
    /// when the blocks have been changed meanwhile.
    pub async fn commit(
        &self,
        access: &Access,
        wanted: Vec<(BlockId, Which)>,
        described: Described,
    ) -> Result<File, Refusal> {
        access.may(Verb::Write)?;
        if wanted.len() > MAX_BLOCKS {
            let (what, limit) = ("blocks of a file", MAX_BLOCKS as u64);
            return Err(Refusal::TooMany { what, limit });
        }
        let place = access.place.clone();
        let blocks = self
            .store
            .read(move |connection| {
                resolve(
                    wanted,
                    kept::pieces(connection, &place)?,
                    kept::staged(connection, &place)?,
                )
            })
            .await?;
        let pieces: Vec<_> = blocks.iter().map(|block| block.piece.clone()).collect();
        // Before any of it is read: a block may be named ten thousand times.
        let sizes = pieces.iter().map(|piece| piece.size);
        check_bytes(sizes.fold(0, u64::saturating_add), 0, self.limits())?;
        let made = Made {
            digest: self.contents.digest(&pieces).await?,
            needs: pieces.into_iter().map(|piece| piece.key).collect(),
            blocks,
        };
        self.place(access, made, described, None).await
    }

    async fn place(
        &self,
        access: &Access,
        made: Made,
        described: Described,
        content: Option<Whole>,
    ) -> Result<File, Refusal> {
        access.may(Verb::Write)?;
        check_content_type(&described.content_type)?;
        check_properties(&described.properties)?;
        if described
            .expected
            .is_some_and(|digest| digest != made.digest)
        {
            let why = format!("of what came it is {}", made.digest);
            return Err(Refusal::invalid("SHA-256", why));
        }
        let now = self.clock.now();
        let file = File {
            place: access.place.clone(),
            tag: random("")?,
            size: made.blocks.iter().map(|block| block.piece.size).sum(),
            digest: made.digest,
            md5: described.md5,
            content_type: match described.content_type {
                none if none.is_empty() => ANY_TYPE.to_owned(),
                given => given,
            },
            properties: described.properties,
            created: now,
            changed: now,
        };
        let (files, access) = (self.clone(), access.clone());
        let condition = described.condition;
        let place = async move {
            let limits = files.limits();
            let write = files.store.write_bulk(0, move |connection| {
                access.may(Verb::Write)?;
                put_now(connection, file, &made, condition, limits)
            });
            let (file, gone) = write.await?;
            if let Some(content) = content {
                content.keep();
            }
            files.contents.remove(gone).await;
            Ok(file)
        };
        on_its_own(place).await
    }

    /// The blocks that are staged for a file, by name, whichever way there is access to it: so that
    /// who was cut off can go on.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::Draining`] when access has ended; as the store.
    pub async fn staged(&self, access: &Access) -> Result<Vec<Block>, Refusal> {
        let place = access.place.clone();
        let read = self
            .store
            .read(move |connection| kept::staged(connection, &place));
        let staged = read.await?;
        access.check()?;
        Ok(staged)
    }

    /// The blocks that a file is made of, in order; one without a name when it came as a whole.
    ///
    /// # Errors
    /// As [`Files::find`].
    pub async fn blocks(&self, access: &Access) -> Result<Vec<Block>, Refusal> {
        access.may(Verb::Read)?;
        let place = access.place.clone();
        let read = self.store.read(move |connection| {
            found(connection, &place)?;
            kept::pieces(connection, &place)
        });
        let blocks = read.await?;
        access.check()?;
        Ok(blocks)
    }

    /// What is in a file's place, if anything, whichever way there is access to it. Who may only
    /// write is not to be told of it more than whether something can be put there.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::Draining`] when access has ended; as the store.
    pub async fn there(&self, access: &Access) -> Result<Option<File>, Refusal> {
        let place = access.place.clone();
        let read = self
            .store
            .read(move |connection| kept::find(connection, &place));
        let file = read.await?;
        access.check()?;
        Ok(file)
    }

    /// The file.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when `access` is not to read; [`Refusal::NotFound`];
    /// [`Refusal::Revoked`], [`Refusal::Draining`] when access has ended; as the store.
    pub async fn find(&self, access: &Access) -> Result<File, Refusal> {
        access.may(Verb::Read)?;
        let file = self.there(access).await?;
        file.ok_or_else(|| Refusal::not_found("file", &access.place.name))
    }

    /// Begins to read the bytes of `range` out of the file as it was found.
    ///
    /// # Errors
    /// As [`Files::find`]; [`Refusal::Conflict`] when it has changed since.
    pub async fn read(
        &self,
        access: &Access,
        file: &File,
        range: Range<u64>,
    ) -> Result<Sending, Refusal> {
        access.may(Verb::Read)?;
        let (place, tag) = (access.place.clone(), file.tag.clone());
        let (contents, access) = (self.contents.clone(), access.clone());
        let read = self.store.read(move |connection| {
            if found(connection, &place)?.tag != tag {
                return Err(Refusal::Conflict { what: "the file" });
            }
            kept::pieces(connection, &place)
        });
        let blocks = read.await?;
        let pieces: Vec<_> = blocks.into_iter().map(|block| block.piece).collect();
        Ok(Sending {
            access,
            reading: contents.read(&pieces, range),
        })
    }

    /// What is told of a file to who sees its device, if there is one.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn look(&self, actor: &Actor, place: &Place) -> Result<File, Refusal> {
        let (actor, place) = (actor.clone(), place.clone());
        self.store
            .read(move |connection| {
                device_seen_by(connection, &actor, &place.device)?;
                found(connection, &place)
            })
            .await
    }

    /// Lists the files of a device by name.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for a device that `actor` does not see, [`Refusal::Invalid`] when
    /// `page` has no good limit; as the store.
    pub async fn list(
        &self,
        actor: &Actor,
        device: &DeviceId,
        page: &Page,
    ) -> Result<Listed<File>, Refusal> {
        let (actor, device) = (actor.clone(), device.clone());
        let (page, fetch) = (page.clone(), page.fetch()?);
        self.store
            .read(move |connection| {
                device_seen_by(connection, &actor, &device)?;
                let files = kept::after(connection, &device, page.after(), fetch)?;
                Ok(Listed::of(files, &page, |file| file.place.name.to_string()))
            })
            .await
    }
}

impl Sending {
    /// The next bytes, or none after the last. To be called again only if it returned bytes.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::Draining`] when access has ended meanwhile; otherwise as
    /// [`Reading::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let bytes = self.reading.next().await?;
        self.access.check()?;
        Ok(bytes)
    }
}

/// A file that is about to take its place.
struct Made {
    digest: Digest,
    blocks: Vec<Block>,
    /// The pieces of it that something must still refer to.
    needs: Vec<PieceKey>,
}

/// Puts a file into its place. Gives it with the keys of what nothing refers to any more.
fn put_now(
    connection: &Connection,
    mut file: File,
    made: &Made,
    condition: Condition,
    limits: FileLimits,
) -> Result<(File, Vec<PieceKey>), Refusal> {
    let before = kept::find(connection, &file.place)?;
    condition(before.as_ref())?;
    if let Some(before) = before {
        file.created = before.created;
    }
    if !made.needs.is_empty() {
        let pieces = kept::pieces(connection, &file.place)?;
        let staged = kept::staged(connection, &file.place)?;
        let mut there: Vec<_> = pieces.into_iter().chain(staged).collect();
        there.sort_unstable_by(|one, other| one.piece.key.cmp(&other.piece.key));
        let is_there = |key: &PieceKey| {
            there
                .binary_search_by(|block| block.piece.key.cmp(key))
                .is_ok()
        };
        if !made.needs.iter().all(is_there) {
            return Err(Refusal::Conflict {
                what: "the staged blocks",
            });
        }
    }
    let used = kept::used(connection, &file.place)?;
    if used.files.0 >= limits.device_files {
        let (what, limit) = ("files of a device", limits.device_files);
        return Err(Refusal::TooMany { what, limit });
    }
    check_bytes(file.size, used.bytes_beside(), limits)?;
    let gone = kept::put(connection, &file, &made.blocks)?;
    Ok((file, gone))
}

/// Whether a block's name is as long as those that are staged for the file already, which are all of
/// the same length.
fn check_name(connection: &Connection, place: &Place, id: &BlockId) -> Result<(), Refusal> {
    let other = kept::some_staged(connection, place)?;
    if other.is_none_or(|other| other.length() == id.length()) {
        return Ok(());
    }
    Err(Refusal::invalid(
        BLOCK,
        "as long as the names of the others",
    ))
}

/// Whether what is staged for a device is within its share.
fn check_staged(connection: &Connection, place: &Place, limits: FileLimits) -> Result<(), Refusal> {
    let used = kept::used(connection, place)?;
    if used.blocks.0.saturating_add(used.own_blocks.0) > MAX_BLOCKS as u64 {
        let (what, limit) = ("staged blocks of a device", MAX_BLOCKS as u64);
        return Err(Refusal::TooMany { what, limit });
    }
    check_bytes(used.own_blocks.1, used.bytes_beside(), limits)
}

/// Whether a file may have `bytes` where others of its device have `taken`.
fn check_bytes(bytes: u64, taken: u64, limits: FileLimits) -> Result<(), Refusal> {
    if bytes > limits.file_bytes {
        let (what, limit) = ("bytes of a file", limits.file_bytes);
        return Err(Refusal::TooLarge { what, limit });
    }
    if taken.saturating_add(bytes) > limits.device_bytes {
        let (what, limit) = ("bytes of all files of a device", limits.device_bytes);
        return Err(Refusal::TooLarge { what, limit });
    }
    Ok(())
}

/// The blocks that are meant.
fn resolve(
    wanted: Vec<(BlockId, Which)>,
    committed: Vec<Block>,
    staged: Vec<Block>,
) -> Result<Vec<Block>, Refusal> {
    let by_id = |blocks: Vec<Block>| -> HashMap<BlockId, Piece> {
        let pairs = blocks.into_iter().map(|block| (block.id, block.piece));
        pairs.collect()
    };
    let (committed, staged) = (by_id(committed), by_id(staged));
    let mut blocks = Vec::with_capacity(wanted.len());
    for (id, which) in wanted {
        let piece = match which {
            Which::Committed => committed.get(&id),
            Which::Staged => staged.get(&id),
            Which::Latest => staged.get(&id).or_else(|| committed.get(&id)),
        };
        let piece = piece.cloned();
        let piece = piece.ok_or_else(|| Refusal::not_found("block", &id))?;
        blocks.push(Block { id, piece });
    }
    Ok(blocks)
}

pub(super) fn found(connection: &Connection, place: &Place) -> Result<File, Refusal> {
    let found = kept::find(connection, place)?;
    found.ok_or_else(|| Refusal::not_found("file", &place.name))
}

/// Does something on a task of its own: who hangs up in the middle leaves nothing half done.
pub(super) async fn on_its_own<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    let stopped = Err(Refusal::Internal("work on a file stopped"));
    tokio::spawn(work).await.unwrap_or(stopped)
}

impl Described {
    /// Bytes of any kind, whatever is there.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            content_type: String::new(),
            properties: BTreeMap::new(),
            md5: None,
            expected: None,
            condition: Box::new(|_| Ok(())),
        }
    }
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Described")
            .field("content_type", &self.content_type)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}
