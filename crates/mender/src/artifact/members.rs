//! The members of a tar file, one after the other (POSIX.1-2017, `pax`; names as Go writes them).
//!
//! Extensions are not left to the library: it reads a long name of any length into memory. The one
//! that matters here, a path that the plain header has no room for, is read within a bound.

use std::io::{self, Read};

use tar::{Archive, Entries, Entry, PaxExtensions};

use super::ArtifactError;

/// The most bytes of extensions of one member.
const MAX_EXTENSIONS: u64 = 8 * 1024;

/// The most bytes of a name.
const MAX_NAME: usize = 1_024;

/// How much is looked at at a time behind the end.
const PIECE: usize = 8 * 1024;

/// The members that are still to come.
pub(super) struct Members<'a, R: Read>(Entries<'a, R>);

/// A file in a tar file, to be read before the next.
pub(super) struct Member<'a, R: Read> {
    pub(super) name: String,
    entry: Entry<'a, R>,
}

impl<'a, R: Read> Members<'a, R> {
    pub(super) fn of(archive: &'a mut Archive<R>) -> Result<Self, ArtifactError> {
        let entries = archive.entries().map_err(ArtifactError::Cut)?;
        Ok(Self(entries.raw(true)))
    }

    /// The next file.
    pub(super) fn next(&mut self) -> Result<Option<Member<'a, R>>, ArtifactError> {
        let mut extended = None;
        for entry in self.0.by_ref() {
            let entry = entry.map_err(ArtifactError::Cut)?;
            let kind = entry.header().entry_type();
            if kind.is_pax_local_extensions() {
                extended = Some(path_of(entry)?);
                continue;
            }
            let name = match extended.flatten() {
                Some(path) => path,
                None => plain(&entry.path_bytes())?,
            };
            if !kind.is_file() {
                return Err(ArtifactError::NoFile(name));
            }
            return Ok(Some(Member { name, entry }));
        }
        Ok(None)
    }
}

impl<R: Read> Member<'_, R> {
    /// All of it, when it has no more than `most` bytes.
    pub(super) fn small(self, most: u64) -> Result<Vec<u8>, ArtifactError> {
        if self.entry.size() > most {
            let part = self.name;
            return Err(ArtifactError::TooLarge { part, most });
        }
        let mut all = Vec::new();
        let mut entry = self.entry.take(most);
        entry.read_to_end(&mut all).map_err(ArtifactError::Cut)?;
        Ok(all)
    }
}

impl<R: Read> Read for Member<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.entry.read(buffer)
    }
}

/// The path in the extensions of the member that follows, if there is one.
fn path_of<R: Read>(entry: Entry<'_, R>) -> Result<Option<String>, ArtifactError> {
    let name = "extensions".to_owned();
    let text = Member { name, entry }.small(MAX_EXTENSIONS)?;
    let mut path = None;
    for extension in PaxExtensions::new(&text) {
        let extension = extension.map_err(ArtifactError::Cut)?;
        match extension.key_bytes() {
            b"path" => path = Some(plain(extension.value_bytes())?),
            // Where the size in the header does not count, what follows is something else than it
            // seems.
            b"size" => return Err(ArtifactError::Senseless("a size in extensions")),
            _ => {}
        }
    }
    Ok(path)
}

/// A name that means the same to everybody.
fn plain(name: &[u8]) -> Result<String, ArtifactError> {
    let text = String::from_utf8_lossy(name);
    let sound = !text.is_empty()
        && text.len() <= MAX_NAME
        && !text.contains(|c: char| c.is_control() || c == '\u{fffd}' || c == '\\')
        && text.split('/').all(|step| !matches!(step, "" | "." | ".."));
    if sound {
        Ok(text.into_owned())
    } else {
        Err(ArtifactError::Name(text.escape_debug().collect()))
    }
}

/// Reads a tar file that has been read to its end on to the end of its bytes, which must all be
/// zero.
pub(super) fn only_zeros<R: Read>(archive: Archive<R>) -> Result<(), ArtifactError> {
    let mut rest = archive.into_inner();
    let mut piece = vec![0; PIECE];
    loop {
        match rest.read(&mut piece).map_err(ArtifactError::Cut)? {
            0 => return Ok(()),
            length if piece.iter().take(length).all(|byte| *byte == 0) => {}
            _ => return Err(ArtifactError::Behind),
        }
    }
}
