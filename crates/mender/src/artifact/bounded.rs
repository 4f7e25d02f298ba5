//! Readers that count, hash, and stop.

use std::io::{self, Read};

use ring::digest::{Context, SHA256, digest};

/// How much is read at a time when nobody wants to see it.
const PIECE: usize = 64 * 1024;

/// Passes on what it reads, and hashes it.
pub(super) struct Hashed<R> {
    inner: R,
    hash: Context,
    size: u64,
}

/// Passes on so many bytes, and fails when there are more.
pub(super) struct AtMost<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Context::new(&SHA256),
            size: 0,
        }
    }

    /// Reads what is left, and says how many bytes there were and their SHA-256.
    pub(super) fn finish(mut self) -> io::Result<(u64, [u8; 32])> {
        let mut piece = vec![0; PIECE];
        while self.read(&mut piece)? > 0 {}
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.hash.finish().as_ref());
        Ok((self.size, sha256))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let read = buffer.get(..length).unwrap_or_default();
        self.hash.update(read);
        self.size = self.size.saturating_add(read.len() as u64);
        Ok(length)
    }
}

impl<R> AtMost<R> {
    pub(super) fn new(inner: R, most: u64) -> Self {
        Self { inner, left: most }
    }
}

impl<R: Read> Read for AtMost<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(length as u64)
            .ok_or_else(|| io::Error::other("more bytes than may be unpacked"))?;
        Ok(length)
    }
}

/// SHA-256 of `bytes`.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sha256
}
