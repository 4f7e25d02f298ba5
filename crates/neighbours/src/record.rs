//! What a member keeps on its disk: values by keys.

/// One change of what is kept. Those that come together are to be written together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Vec<u8>,
    /// Its value from now on; none takes it away.
    pub value: Option<Vec<u8>>,
}

impl Write {
    pub(crate) fn put(key: Vec<u8>, value: Vec<u8>) -> Self {
        Self {
            key,
            value: Some(value),
        }
    }

    pub(crate) fn delete(key: Vec<u8>) -> Self {
        Self { key, value: None }
    }
}

/// Something that counts only once what stands behind it is on the disk.
#[derive(Debug)]
#[must_use = "write it, then take it by `once_saved`"]
pub struct Unsaved<T> {
    value: T,
    writes: Vec<Write>,
}

impl<T> Unsaved<T> {
    pub(crate) fn new(value: T, writes: Vec<Write>) -> Self {
        Self { value, writes }
    }

    /// Both, of which what stands behind is to be written together.
    pub(crate) fn and<U>(self, other: Unsaved<U>) -> Unsaved<(T, U)> {
        Unsaved {
            value: (self.value, other.value),
            writes: [self.writes, other.writes].concat(),
        }
    }

    /// What is to be written first, all together. Where that fails, memory is ahead of the disk:
    /// begin anew from what is kept.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The value, to be taken when all is written and flushed.
    pub fn once_saved(self) -> T {
        self.value
    }

    pub(crate) fn split(self) -> (T, Vec<Write>) {
        (self.value, self.writes)
    }
}

/// What is kept cannot be read: it is of another version, or damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "what was kept under `{key}` is damaged: clear the folder, and let the device be enrolled anew under another name"
)]
pub struct Damaged {
    /// Where.
    pub key: String,
}

impl Damaged {
    pub(crate) fn at(key: &[u8]) -> Self {
        Self {
            key: key.escape_ascii().to_string(),
        }
    }
}
