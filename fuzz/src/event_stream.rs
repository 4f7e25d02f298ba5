//! Streams of Server-Sent Events.

use outgate_wire::event_stream::{DATA_MAX, Reader};

/// Reads `data` as a stream, whole and cut after its first half.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, events that depend on how the stream
/// is cut, or a bound that does not hold.
pub fn event_stream(data: &[u8]) {
    let whole = Reader::new().handle_bytes(data);
    let (first, second) = data.split_at(data.len() / 2);
    let mut reader = Reader::new();
    let cut = reader.handle_bytes(first).and_then(|mut events| {
        events.extend(reader.handle_bytes(second)?);
        Ok(events)
    });
    assert_eq!(whole, cut, "what comes depends on how it is cut");
    for event in whole.iter().flatten() {
        assert!(event.data.len() <= DATA_MAX);
    }
}
