//! What became of a message on its way, line by line.

use super::question::PADDING;

/// The most lines that are told.
const LINES_MAX: usize = 32;
/// The longest line that is told, in characters.
const LINE_MAX: usize = 256;

/// A line that did not arrive as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// As it was sent; `None` if it was added.
    pub sent: Option<String>,
    /// As it arrived; `None` if it was taken out.
    pub arrived: Option<String>,
}

/// The lines that differ, at most 32, each cut at 256 characters. What `arrived` may end in the
/// padding of what was `sent`, since an echo has to end somewhere; a message that ends before its
/// padding has lost lines.
pub fn rewritten(sent: &[u8], arrived: &[u8]) -> Vec<Rewritten> {
    let (sent, arrived) = (lines(sent), lines(arrived));
    let mut differing = Vec::new();
    for (key, line) in &sent {
        let other = arrived.iter().find(|(known, _)| known == key);
        if other.is_none_or(|(_, other)| other != line) {
            differing.push(Rewritten {
                sent: Some(line.clone()),
                arrived: other.map(|(_, other)| other.clone()),
            });
        }
    }
    for (key, line) in arrived {
        if sent.iter().all(|(known, _)| *known != key) {
            differing.push(Rewritten {
                sent: None,
                arrived: Some(line),
            });
        }
    }
    differing.truncate(LINES_MAX);
    differing
}

/// What a line is about, and which of those that are about it.
type Key = (String, usize);

/// The lines, each with its key, up to the padding.
fn lines(message: &[u8]) -> Vec<(Key, String)> {
    let text = String::from_utf8_lossy(message);
    let mut keyed: Vec<(Key, String)> = Vec::new();
    for (at, line) in text.split("\r\n").enumerate() {
        if line.starts_with(PADDING) {
            break;
        }
        let about = match line.find([':', '=']) {
            Some(end) if at > 0 => line[..end].trim().to_ascii_lowercase(),
            Some(_) | None => String::new(),
        };
        let before = keyed.iter().filter(|((known, _), _)| *known == about);
        let key = (about.clone(), before.count());
        let shown = line.chars().filter(|letter| !letter.is_control());
        keyed.push((key, shown.take(LINE_MAX).collect()));
        if keyed.len() > LINES_MAX {
            break;
        }
    }
    keyed
}
