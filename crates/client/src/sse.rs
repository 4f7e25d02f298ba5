//! Server-Sent Events (WHATWG HTML, section 9.2), without input or output.

/// The most bytes of one line.
pub const MAX_LINE: usize = 2 * 1024 * 1024;

/// The most bytes of the data of one event.
pub const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line of more than [`MAX_LINE`] bytes.
    #[error("a line has more than {MAX_LINE} bytes")]
    LongLine,
    /// An event of more than [`MAX_EVENT_BYTES`] bytes.
    #[error("an event has more than {MAX_EVENT_BYTES} bytes")]
    LongEvent,
    /// Text that is not UTF-8.
    #[error("a line is not UTF-8")]
    Utf8,
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// Its kind; empty for a message.
    pub(crate) kind: String,
    /// Its data; nothing when the stream only tells an id.
    pub(crate) data: Option<String>,
    /// The newest id of the stream, up to and with this event.
    pub(crate) id: Option<String>,
}

/// Takes the bytes of a stream as they come and gives events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The line before ended in a carriage return, so that a line feed now belongs to it.
    after_return: bool,
    begun: bool,
    building: SseEvent,
    has_id: bool,
}

impl Parser {
    /// Takes more bytes; gives the events that they complete.
    pub(crate) fn handle_bytes(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, SseError> {
        let mut events = Vec::new();
        for &byte in bytes {
            let follows_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    events.extend(self.end_line()?);
                }
                _ if self.line.len() >= MAX_LINE => return Err(SseError::LongLine),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>, SseError> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8(line).map_err(|_| SseError::Utf8)?;
        let mut line = line.as_str();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                let data = match &mut self.building.data {
                    Some(data) => {
                        data.push('\n');
                        data
                    }
                    none => none.insert(String::new()),
                };
                if data.len() + value.len() > MAX_EVENT_BYTES {
                    return Err(SseError::LongEvent);
                }
                data.push_str(value);
            }
            "event" => value.clone_into(&mut self.building.kind),
            "id" if !value.contains('\0') => {
                self.building.id = Some(value.to_owned());
                self.has_id = true;
            }
            // Comments, `retry` (our own back-off decides) and fields to come.
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let id = self.building.id.clone();
        let next = SseEvent {
            id,
            ..SseEvent::default()
        };
        let event = std::mem::replace(&mut self.building, next);
        let has_id = std::mem::take(&mut self.has_id);
        (event.data.is_some() || has_id).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&str]) -> Vec<(String, String, Option<String>)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for chunk in chunks {
            events.extend(parser.handle_bytes(chunk.as_bytes()).unwrap());
        }
        let parts = |event: SseEvent| (event.kind, event.data.unwrap_or_default(), event.id);
        events.into_iter().map(parts).collect()
    }

    fn event(kind: &str, data: &str, id: Option<&str>) -> (String, String, Option<String>) {
        (kind.into(), data.into(), id.map(Into::into))
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line() {
        for end in ["\n", "\r", "\r\n"] {
            let text = format!("id: 7{end}event: x{end}data: a{end}data:b{end}{end}");
            assert_eq!(read(&[&text]), [event("x", "a\nb", Some("7"))], "{end:?}");
        }
    }

    #[test]
    fn bytes_may_be_cut_anywhere() {
        let text = "\u{feff}id: 1\r\ndata: å\r\n\r\n: comment\r\ndata: b\r\n\r\n";
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for byte in text.as_bytes() {
            events.extend(parser.handle_bytes(&[*byte]).unwrap());
        }
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].data.as_deref(), Some("å"));
        assert_eq!(events[1].id.as_deref(), Some("1"));
    }

    #[test]
    fn comments_and_what_has_no_data_are_no_events() {
        assert_eq!(read(&[": beat\n\n", "event: x\n\n", "retry: 1\n\n"]), []);
    }

    #[test]
    fn a_stream_may_tell_an_id_alone() {
        assert_eq!(read(&["id: 9\n\n"]), [event("", "", Some("9"))]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = Parser::default();
        let bytes = vec![b'a'; MAX_LINE + 1];
        assert_eq!(parser.handle_bytes(&bytes), Err(SseError::LongLine));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "a".repeat(MAX_LINE - 10));
        let mut last = Ok(Vec::new());
        for _ in 0..3 {
            last = parser.handle_bytes(line.as_bytes());
        }
        assert_eq!(last, Err(SseError::LongEvent));
    }
}
