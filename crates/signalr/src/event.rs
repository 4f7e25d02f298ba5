//! Text as Server-Sent Events carry it from a server (WHATWG HTML, section 9.2).

/// What a server sends as soon as a stream stands: a comment, so that whoever waits for the first
/// byte has it (Firefox does).
pub const OPENING: &str = ":\r\n";

/// The event that carries a text. A line feed in it begins a new line of data, and the reader puts
/// it back; a carriage return, which would not come back, does not stand in JSON that was written
/// without blanks.
#[must_use]
pub fn of(text: &str) -> String {
    let mut event = String::with_capacity(text.len() + 16);
    for line in text.split('\n') {
        event.push_str("data: ");
        event.push_str(line);
        event.push_str("\r\n");
    }
    event.push_str("\r\n");
    event
}

/// The name of the field that carries data.
const DATA: &[u8] = b"data";
/// What may stand before everything else, and means nothing.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Takes the data of events out of a stream as it comes, in pieces of any size, and keeps none of
/// it: SignalR's records have ends of their own, so nobody waits for that of an event.
///
/// The lines of an event are joined by line feeds. Kinds of events mean nothing to SignalR.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    /// Whether the last byte was a carriage return, after which a line feed ends no line.
    after_return: bool,
    /// Whether the event has data already.
    has_data: bool,
}

/// Where in a line the next byte stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the mark at the beginning, of which this many bytes have come.
    Mark(usize),
    /// In the name of a field, of which this many bytes are those of [`DATA`].
    Name(usize),
    /// After the colon, where one blank means nothing.
    Colon,
    Data,
    /// In what is of no interest.
    Other,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            place: Place::Mark(0),
            after_return: false,
            has_data: false,
        }
    }
}

impl Reader {
    /// Takes the next piece of the stream, and puts the data in it behind what is in `out`.
    pub fn handle_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => self.end_line(out),
                _ => self.place = self.step(*byte, out),
            }
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) -> Place {
        match self.place {
            Place::Mark(seen) if MARK.get(seen) == Some(&byte) => {
                if seen + 1 == MARK.len() {
                    Place::Name(0)
                } else {
                    Place::Mark(seen + 1)
                }
            }
            Place::Mark(0) => Self::name(0, byte),
            Place::Name(seen) if seen == DATA.len() && byte == b':' => {
                self.begin_data(out);
                Place::Colon
            }
            Place::Name(seen) => Self::name(seen, byte),
            Place::Colon if byte == b' ' => Place::Data,
            Place::Colon | Place::Data => {
                out.push(byte);
                Place::Data
            }
            Place::Mark(_) | Place::Other => Place::Other,
        }
    }

    fn name(seen: usize, byte: u8) -> Place {
        if DATA.get(seen) == Some(&byte) {
            Place::Name(seen + 1)
        } else {
            Place::Other
        }
    }

    fn begin_data(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_data, true) {
            out.push(b'\n');
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        match self.place {
            Place::Mark(0) | Place::Name(0) => self.has_data = false,
            Place::Name(seen) if seen == DATA.len() => self.begin_data(out),
            Place::Mark(_) | Place::Name(_) | Place::Colon | Place::Data | Place::Other => {}
        }
        self.place = Place::Name(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> String {
        let (mut reader, mut out) = (Reader::default(), Vec::new());
        for piece in pieces {
            reader.handle_bytes(piece, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_of_a_text_is_one_of_data() {
        assert_eq!(of("{}\u{1e}"), "data: {}\u{1e}\r\n\r\n");
        assert_eq!(of("{\n}"), "data: {\r\ndata: }\r\n\r\n");
    }

    #[test]
    fn data_is_read_however_its_lines_end_and_whatever_stands_beside_it() {
        for end in ["\n", "\r", "\r\n"] {
            let stream = format!(
                "\u{feff}:{end}event: x{end}data: a{end}data:b{end}data{end}{end}\
                 id{end}datas: no{end}dat: no{end}data:  c{end}{end}"
            );
            assert_eq!(read(&[stream.as_bytes()]), "a\nb\n c");
        }
        // A mark that is none makes the name of a field that nobody knows.
        assert_eq!(read(&[b"\xefdata: a\ndata: b\n"]), "b");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            texts in prop::collection::vec("[a-z :\n]{0,9}", 0..5),
            at in 0_usize..200,
        ) {
            let stream = OPENING.to_owned() + &texts.iter().map(|it| of(it)).collect::<String>();
            let (one, other) = stream.as_bytes().split_at(at.min(stream.len()));
            prop_assert_eq!(read(&[one, other]), texts.concat());
        }
    }
}
