//! How a stream of XMPP begins (RFC 6120 §4), and its change to TLS (§5).

use quick_xml::{
    Error,
    events::{BytesStart, Event},
    reader::Reader,
};

/// Asks to change to TLS (RFC 6120 §5.4.2.1).
pub const START_TLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
/// Ends a stream (RFC 6120 §4.4).
pub const END: &str = "</stream:stream>";
/// The most bytes of a stream's beginning that are read. Features take a kilobyte or two.
pub const OPENING_MAX: usize = 16 * 1024;

/// The most ways to log in that are kept.
const MECHANISMS_MAX: usize = 32;
/// The longest name or text that is kept, in characters.
const TEXT_MAX: usize = 256;
/// How deep elements may lie in each other. Those of a beginning lie four deep.
const DEPTH_MAX: usize = 16;

/// The header that opens a client's stream to this domain (RFC 6120 §4.7).
pub fn header(domain: &str) -> String {
    let domain = quick_xml::escape::escape(domain);
    format!(
        "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' \
         xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

/// How a server begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The domain that it says it is.
    pub from: Option<String>,
    /// What it says first.
    pub first: First,
}

/// What a server says first on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// What it offers.
    Features(Features),
    /// That there will be no stream, and why: a condition of RFC 6120 §4.9.3.
    Error(String),
}

/// What a server offers (RFC 6120 §4.3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// Whether it offers to change to TLS, and then whether it insists.
    pub start_tls: Option<Demand>,
    /// The ways to log in (RFC 6120 §6.4.1), at most 32.
    pub mechanisms: Vec<String>,
}

/// How much a server wants something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// One may.
    Optional,
    /// One must.
    Required,
}

/// What a server says to the wish for TLS (RFC 6120 §5.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsAnswer {
    /// It begins.
    Proceed,
    /// It cannot.
    Failure,
}

impl Opening {
    /// Reads what a server has said so far, and how many bytes it was; `None` until its first
    /// words are complete.
    ///
    /// # Errors
    /// When it is longer than [`OPENING_MAX`], or not the beginning of a stream.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, XmppError> {
        let mut reading = Reading::default();
        walk(bytes, |step, path| reading.take(step, path))
    }
}

impl TlsAnswer {
    /// Reads the answer to [`START_TLS`], and how many bytes it was; `None` until it is complete.
    ///
    /// # Errors
    /// When it is longer than [`OPENING_MAX`], or no such answer.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, XmppError> {
        walk(bytes, |step, path| match (step, path) {
            (Step::Open(_), ["proceed" | "failure", ..]) | (Step::Text(_), _) => Ok(None),
            (Step::Close, ["proceed"]) => Ok(Some(Self::Proceed)),
            (Step::Close, ["failure"]) => Ok(Some(Self::Failure)),
            (Step::Close, ["failure", ..]) => Ok(None),
            (Step::Open(_) | Step::Close, _) => Err(XmppError::NotXmpp),
        })
    }
}

/// What is known of a beginning that is being read.
#[derive(Default)]
struct Reading {
    from: Option<String>,
    features: Features,
    condition: Option<String>,
    /// The text since the last element began.
    text: String,
}

impl Reading {
    fn take(&mut self, step: Step<'_>, path: &[&str]) -> Result<Option<Opening>, XmppError> {
        match step {
            Step::Open(start) => {
                self.text.clear();
                self.open(start, path)?;
                Ok(None)
            }
            Step::Text(text) => {
                let room = TEXT_MAX.saturating_sub(self.text.chars().count());
                self.text.extend(text.chars().take(room));
                Ok(None)
            }
            Step::Close => self.close(path),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>, path: &[&str]) -> Result<(), XmppError> {
        match path {
            ["stream"] => self.from = attribute(start, "from")?,
            ["stream", "features" | "error"] => {}
            ["stream", "features", "starttls"] => {
                self.features.start_tls = Some(Demand::Optional);
            }
            ["stream", "features", "starttls", "required"] => {
                self.features.start_tls = Some(Demand::Required);
            }
            // The first child is the condition; a text may follow (RFC 6120 §4.9.2).
            ["stream", "error", condition] if self.condition.is_none() => {
                self.condition = Some(condition.chars().take(TEXT_MAX).collect());
            }
            ["stream", "features" | "error", _, ..] => {}
            _ => return Err(XmppError::NotXmpp),
        }
        Ok(())
    }

    fn close(&mut self, path: &[&str]) -> Result<Option<Opening>, XmppError> {
        let first = match path {
            ["stream", "features"] => First::Features(std::mem::take(&mut self.features)),
            ["stream", "error"] => First::Error(self.condition.take().unwrap_or_default()),
            ["stream", "features", "mechanisms", "mechanism"] => {
                let mechanisms = &mut self.features.mechanisms;
                if mechanisms.len() < MECHANISMS_MAX {
                    mechanisms.push(self.text.trim().to_owned());
                }
                return Ok(None);
            }
            ["stream"] => return Err(XmppError::NotXmpp),
            _ => return Ok(None),
        };
        let from = self.from.take();
        Ok(Some(Opening { from, first }))
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, XmppError> {
    let found = start
        .try_get_attribute(name)
        .map_err(|_| XmppError::NotXmpp)?;
    Ok(found.map(|found| found.value.chars().take(TEXT_MAX).collect()))
}

/// A step through a document.
#[derive(Clone, Copy)]
enum Step<'a> {
    /// An element begins; it is the last of the path.
    Open(&'a BytesStart<'a>),
    /// Text in the last element of the path.
    Text(&'a str),
    /// The last element of the path ends.
    Close,
}

/// Walks through what came until `take` has what it wants; says how many bytes that took.
fn walk<T>(
    bytes: &[u8],
    mut take: impl FnMut(Step<'_>, &[&str]) -> Result<Option<T>, XmppError>,
) -> Result<Option<(T, usize)>, XmppError> {
    let text = whole_characters(bytes)?;
    // A stream is UTF-8 and needs no byte order mark (RFC 6120 §11.6). The reader would leave one
    // out of its count.
    if text.starts_with('\u{feff}') {
        return Err(XmppError::NotXmpp);
    }
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            // The rest of a tag is still to come.
            Err(Error::Syntax(_)) => break,
            Err(_) => return Err(XmppError::NotXmpp),
        };
        let empty = matches!(event, Event::Empty(_));
        let taken = match &event {
            Event::Start(start) | Event::Empty(start) => {
                if path.len() >= DEPTH_MAX {
                    return Err(XmppError::NotXmpp);
                }
                path.push(start.local_name().as_ref().to_owned());
                let names = names(&path);
                match take(Step::Open(start), &names)? {
                    None if empty => take(Step::Close, &names)?,
                    taken => taken,
                }
            }
            Event::Text(text) if path.is_empty() && text.trim().is_empty() => None,
            Event::Text(_) if path.is_empty() => return Err(XmppError::NotXmpp),
            Event::Text(text) => take(Step::Text(text), &names(&path))?,
            Event::End(_) => take(Step::Close, &names(&path))?,
            Event::Decl(_) | Event::CData(_) | Event::GeneralRef(_) => None,
            // RFC 6120 §11.1 has no place for them.
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) => return Err(XmppError::NotXmpp),
            Event::Eof => break,
        };
        if let Some(taken) = taken {
            let length = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
            return Ok(Some((taken, length)));
        }
        if empty || matches!(event, Event::End(_)) {
            path.pop();
        }
    }
    if bytes.len() >= OPENING_MAX {
        return Err(XmppError::TooLong);
    }
    Ok(None)
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// What came, without a last character of which only a part is there.
fn whole_characters(bytes: &[u8]) -> Result<&str, XmppError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).map_err(|_| XmppError::NotXmpp)
        }
        Err(_) => Err(XmppError::NotXmpp),
    }
}

/// Why bytes are not the beginning of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmppError {
    /// More came than a beginning has.
    #[error("no end to the first words of XMPP in {OPENING_MAX} bytes")]
    TooLong,
    /// It is something else.
    #[error("not XMPP")]
    NotXmpp,
}

#[cfg(test)]
mod tests;
