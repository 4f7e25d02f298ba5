//! What SignalR's ends say: answers to negotiations, handshakes and messages in both protocols.

use outgate_signalr::framing::Records;
use outgate_signalr::negotiate::{Answer, TRANSPORTS_MAX};
use outgate_signalr::{MESSAGE_MAX, event, handshake, json, message_pack};
use outgate_wire::event_stream;

/// Reads `data` as an answer to a negotiation and as a handshake of either side.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an answer that does not read as it
/// is written, or a bound that does not hold.
pub fn signalr_answer(data: &[u8]) {
    if let Ok(answer) = Answer::read(data) {
        if let Answer::Connection(connection) = &answer {
            assert!(connection.transports.len() <= TRANSPORTS_MAX);
        }
        // What names a connection of version 0 is written once.
        let written = answer.to_json();
        let again = Answer::read(written.as_bytes());
        assert_eq!(again.map(|again| again.to_json()), Ok(written));
    }
    if let Ok(request) = handshake::Request::read(data) {
        let bytes = request.to_bytes();
        let read = handshake::Request::read(bytes.strip_suffix(b"\x1e").unwrap_or(&bytes));
        assert_eq!(read, Ok(request));
    }
    if let Ok(answer) = handshake::Answer::read(data) {
        let bytes = answer.to_bytes();
        let read = handshake::Answer::read(bytes.strip_suffix(b"\x1e").unwrap_or(&bytes));
        assert_eq!(read, Ok(answer));
    }
}

/// Reads `data` as records of messages, in JSON and in MessagePack.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a message that does not read as it is
/// written, or records that depend on how they are cut.
pub fn signalr_message(data: &[u8]) {
    for record in texts(&[data]) {
        if let Ok(Some(message)) = json::read(&record) {
            let bytes = json::write(&message);
            let read = json::read(bytes.strip_suffix(b"\x1e").unwrap_or(&bytes));
            assert_eq!(read, Ok(Some(message)));
        }
    }
    for record in binaries(&[data]) {
        if let Ok(Some(message)) = message_pack::read(&record) {
            let bytes = message_pack::write(&message);
            // What an old message leaves out is written, so it may have become longer.
            let mut again = Records::new(usize::MAX);
            again.handle_bytes(&bytes);
            let record = again.poll_binary().ok().flatten().unwrap_or_default();
            let read = message_pack::read(record).ok().flatten();
            // Numbers that are none are not equal to themselves.
            assert_eq!(
                read.map(|message| message_pack::write(&message)),
                Some(bytes)
            );
        }
    }
    let (first, second) = data.split_at(data.len() / 2);
    assert_eq!(texts(&[data]), texts(&[first, second]));
    assert_eq!(binaries(&[data]), binaries(&[first, second]));
}

/// Reads `data` as a stream of events, for the records in it.
///
/// # Panics
///
/// When a promise of the crate is broken: data that depends on how the stream is cut, that is more
/// than came, or that is not what the reader of whole events finds.
pub fn signalr_events(data: &[u8]) {
    let (first, second) = data.split_at(data.len() / 2);
    let found = events(&[data]);
    assert_eq!(found, events(&[first, second]));
    assert!(found.len() <= data.len());
    // The other reader makes text of what is none, and reads no line without end.
    if std::str::from_utf8(data).is_ok()
        && let Ok(whole) = event_stream::Reader::new().handle_bytes(data)
    {
        let whole: String = whole.into_iter().map(|event| event.data).collect();
        // What has come of the last event is there already.
        assert!(found.starts_with(whole.as_bytes()));
    }
}

fn events(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut reader, mut found) = (event::Reader::default(), Vec::new());
    for piece in pieces {
        reader.handle_bytes(piece, &mut found);
    }
    found
}

/// The records of text up to the first that is none.
fn texts(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut records = Records::new(MESSAGE_MAX);
    let mut found = Vec::new();
    for piece in pieces {
        records.handle_bytes(piece);
        while let Ok(Some(record)) = records.poll_text() {
            found.push(record.to_vec());
        }
    }
    found
}

/// The records of bytes up to the first that is none.
fn binaries(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut records = Records::new(MESSAGE_MAX);
    let mut found = Vec::new();
    for piece in pieces {
        records.handle_bytes(piece);
        while let Ok(Some(record)) = records.poll_binary() {
            found.push(record.to_vec());
        }
    }
    found
}
