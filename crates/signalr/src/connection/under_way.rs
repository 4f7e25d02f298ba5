//! Streams and answers that are under way on a connection.

use super::Connection;
use super::tables::{Drained, Full, Handles, Tables};

impl<H: Handles> Connection<H> {
    /// Takes a stream that came with a call ([`Called::stream_ids`](super::Called::stream_ids)).
    ///
    /// # Errors
    /// There are too many, or there is one of that name.
    pub fn open_upload(&mut self, id: &str, upload: H::Upload) -> Result<(), Full> {
        let max = self.settings.streams_max;
        self.tables().open_upload(id, upload, max)
    }

    /// Takes no more of a stream that the client sends.
    pub fn close_upload(&mut self, id: &str) {
        if let Some(tables) = &mut self.tables {
            tables.close_upload(id);
        }
        self.tidy();
    }

    /// Begins a stream to the client.
    ///
    /// # Errors
    /// There are too many, or there is one of that name.
    pub fn open_download(&mut self, id: &str, download: H::Download) -> Result<(), Full> {
        let max = self.settings.streams_max;
        self.tables().open_download(id, download, max)
    }

    /// A stream to the client is over.
    pub fn close_download(&mut self, id: &str) {
        if let Some(tables) = &mut self.tables {
            tables.close_download(id);
        }
        self.tidy();
    }

    /// Names a call to the client whose answer somebody waits for.
    ///
    /// # Errors
    /// Too many wait.
    pub fn wait_for_answer(&mut self, waiting: H::Waiting) -> Result<String, Full> {
        let max = self.settings.answers_max;
        self.tables().wait(waiting, max)
    }

    /// Nobody waits for that answer any more.
    pub fn forget_answer(&mut self, id: &str) {
        if let Some(tables) = &mut self.tables {
            tables.answered(id);
        }
        self.tidy();
    }

    /// Everything that somebody may still wait for, when it has ended.
    pub fn drain(&mut self) -> Drained<H> {
        let tables = self.tables.take().map(|tables| *tables);
        tables.unwrap_or_default().drain()
    }

    fn tables(&mut self) -> &mut Tables<H> {
        self.tables.get_or_insert_default()
    }

    /// An idle connection holds no tables.
    fn tidy(&mut self) {
        self.tables.take_if(|tables| tables.is_empty());
    }
}
