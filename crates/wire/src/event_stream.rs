//! Server-Sent Events: from a stream's bytes to its events (WHATWG HTML, section 9.2.6).

/// Longest line that is read, in bytes.
pub const LINE_MAX: usize = 65_536;
/// Most bytes of data of one event.
pub const DATA_MAX: usize = 65_536;

/// An event, as a browser would dispatch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its kind; `message` unless the server says otherwise.
    pub kind: String,
    /// What it carries. Lines that came apart are joined by line feeds.
    pub data: String,
}

/// Why a stream is read no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventStreamError {
    /// A line of more than [`LINE_MAX`] bytes.
    #[error("a line is longer than {LINE_MAX} bytes")]
    LineTooLong,
    /// An event of more than [`DATA_MAX`] bytes.
    #[error("an event carries more than {DATA_MAX} bytes")]
    DataTooLong,
}

/// Reads a stream as it comes, in pieces of any size.
#[derive(Debug, Default)]
pub struct Reader {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, after which a line feed ends no line.
    after_return: bool,
    /// Whether the first line has been read, before which a byte order mark means nothing.
    begun: bool,
    kind: String,
    data: String,
    /// Whether the event has data, which may be empty.
    has_data: bool,
}

impl Reader {
    /// A reader of a stream from its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of the stream and returns the events that it completes.
    ///
    /// # Errors
    /// A line or an event is too long. What comes after is of no use then.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<Vec<Event>, EventStreamError> {
        let mut events = Vec::new();
        for byte in bytes {
            let ends = match byte {
                b'\n' => !self.after_return,
                b'\r' => true,
                _ => {
                    if self.line.len() >= LINE_MAX {
                        return Err(EventStreamError::LineTooLong);
                    }
                    self.line.push(*byte);
                    false
                }
            };
            self.after_return = *byte == b'\r';
            if ends {
                events.extend(self.end_line()?);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<Event>, EventStreamError> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) if !self.begun => rest,
            Some(_) | None => &text,
        };
        self.begun = true;
        if text.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                if self.data.len() + value.len() >= DATA_MAX {
                    return Err(EventStreamError::DataTooLong);
                }
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            // A comment has the empty name; what else a browser keeps (`id`, `retry`) is for
            // coming back, which nobody does here.
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<Event> {
        let kind = std::mem::take(&mut self.kind);
        let data = std::mem::take(&mut self.data);
        std::mem::take(&mut self.has_data).then(|| Event {
            kind: if kind.is_empty() {
                "message".to_owned()
            } else {
                kind
            },
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let events = Reader::new().handle_bytes(text.as_bytes()).unwrap();
        events.into_iter().map(|it| (it.kind, it.data)).collect()
    }

    fn message(data: &str) -> (String, String) {
        ("message".to_owned(), data.to_owned())
    }

    #[test]
    fn the_examples_of_the_standard_are_read_as_it_says() {
        assert_eq!(
            read("data: YHOO\ndata: +2\ndata: 10\n\n"),
            [message("YHOO\n+2\n10")]
        );
        let four = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        assert_eq!(
            read(four),
            [
                message("first event"),
                message("second event"),
                message(" third event")
            ]
        );
        assert_eq!(
            read("data\n\ndata\ndata\n\ndata:"),
            [message(""), message("\n")]
        );
        assert_eq!(
            read("data:test\n\ndata: test\n\n"),
            [message("test"), message("test")]
        );
        let add = ("add".to_owned(), "7".to_owned());
        assert_eq!(read("event: add\ndata: 7\n\n"), [add]);
    }

    #[test]
    fn every_kind_of_line_end_counts_once() {
        for end in ["\n", "\r", "\r\n"] {
            assert_eq!(
                read(&format!("data: a{end}data: b{end}{end}")),
                [message("a\nb")]
            );
        }
        assert_eq!(read("\u{feff}data: a\n\n"), [message("a")]);
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        let mut reader = Reader::new();
        let line = vec![b'x'; LINE_MAX];
        assert_eq!(reader.handle_bytes(&line), Ok(Vec::new()));
        assert_eq!(
            reader.handle_bytes(b"x"),
            Err(EventStreamError::LineTooLong)
        );
        let mut reader = Reader::new();
        let line = format!("data: {}\n", "x".repeat(1000));
        let given_up = (0..100).find_map(|_| reader.handle_bytes(line.as_bytes()).err());
        assert_eq!(given_up, Some(EventStreamError::DataTooLong));
    }

    proptest! {
        #[test]
        fn how_a_stream_is_cut_into_pieces_changes_nothing(
            text in "(data: ?[a-z]{0,3}|event: ?[a-z]{0,3}|:[a-z]?|\r|\n|\r\n){0,40}",
            at in 0usize..200,
        ) {
            let bytes = text.as_bytes();
            let at = at.min(bytes.len());
            let whole = Reader::new().handle_bytes(bytes).unwrap();
            let mut reader = Reader::new();
            let mut pieces = reader.handle_bytes(&bytes[..at]).unwrap();
            pieces.extend(reader.handle_bytes(&bytes[at..]).unwrap());
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let _ = Reader::new().handle_bytes(&bytes);
        }
    }
}
