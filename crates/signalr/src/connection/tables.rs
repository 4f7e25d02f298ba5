//! Streams and answers under way on a connection, by their names.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;

/// What the caller keeps for streams and answers under way.
pub trait Handles {
    /// For a stream that the client sends.
    type Upload: Clone + Debug;
    /// For a stream to the client.
    type Download: Clone + Debug;
    /// For an answer of the client's.
    type Waiting: Debug;
}

/// There is no room for one more, or its name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many as may be are under way.
    #[error("{max} are under way already")]
    TooMany {
        /// How many may be.
        max: usize,
    },
    /// One of that name is under way.
    #[error("its name is in use already")]
    Taken,
}

#[derive(Debug)]
pub(super) struct Tables<H: Handles> {
    uploads: HashMap<String, H::Upload>,
    downloads: HashMap<String, H::Download>,
    answers: HashMap<String, H::Waiting>,
    answers_named: u64,
}

impl<H: Handles> Default for Tables<H> {
    fn default() -> Self {
        Self {
            uploads: HashMap::new(),
            downloads: HashMap::new(),
            answers: HashMap::new(),
            answers_named: 0,
        }
    }
}

/// What was under way when a connection ended.
#[derive(Debug)]
pub struct Drained<H: Handles> {
    /// Streams that the client sent.
    pub uploads: Vec<H::Upload>,
    /// Streams to the client.
    pub downloads: Vec<H::Download>,
    /// Answers of the client's.
    pub answers: Vec<H::Waiting>,
}

impl<H: Handles> Tables<H> {
    pub(super) fn open_upload(
        &mut self,
        id: &str,
        upload: H::Upload,
        max: usize,
    ) -> Result<(), Full> {
        open(&mut self.uploads, id, upload, max)
    }

    pub(super) fn upload(&self, id: &str) -> Option<H::Upload> {
        self.uploads.get(id).cloned()
    }

    pub(super) fn close_upload(&mut self, id: &str) -> Option<H::Upload> {
        self.uploads.remove(id)
    }

    pub(super) fn open_download(
        &mut self,
        id: &str,
        download: H::Download,
        max: usize,
    ) -> Result<(), Full> {
        open(&mut self.downloads, id, download, max)
    }

    pub(super) fn download(&self, id: &str) -> Option<H::Download> {
        self.downloads.get(id).cloned()
    }

    pub(super) fn close_download(&mut self, id: &str) {
        self.downloads.remove(id);
    }

    /// The names count, so that none comes twice; with a letter before, so that none is a stream's.
    pub(super) fn wait(&mut self, waiting: H::Waiting, max: usize) -> Result<String, Full> {
        let id = format!("s{}", self.answers_named);
        open(&mut self.answers, &id, waiting, max)?;
        self.answers_named += 1;
        Ok(id)
    }

    pub(super) fn answered(&mut self, id: &str) -> Option<H::Waiting> {
        self.answers.remove(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        // What counts the names must stay while answers may come late.
        self.uploads.is_empty() && self.downloads.is_empty() && self.answers_named == 0
    }

    pub(super) fn drain(self) -> Drained<H> {
        Drained {
            uploads: self.uploads.into_values().collect(),
            downloads: self.downloads.into_values().collect(),
            answers: self.answers.into_values().collect(),
        }
    }
}

fn open<T>(table: &mut HashMap<String, T>, id: &str, item: T, max: usize) -> Result<(), Full> {
    if table.len() >= max {
        return Err(Full::TooMany { max });
    }
    match table.entry(id.to_owned()) {
        Entry::Occupied(_) => Err(Full::Taken),
        Entry::Vacant(place) => {
            place.insert(item);
            Ok(())
        }
    }
}
