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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_text_is_one_of_data() {
        assert_eq!(of("{}\u{1e}"), "data: {}\u{1e}\r\n\r\n");
        assert_eq!(of("{\n}"), "data: {\r\ndata: }\r\n\r\n");
    }
}
