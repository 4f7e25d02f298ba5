//! Logs as OpenTelemetry sends them: OTLP 1.x over HTTP, `/v1/logs`, in protobuf and in JSON.
//!
//! A request is walked part by part: one record at a time is turned into values, so that what a
//! request holds in memory stays near to its own size, whatever is in it. What is kept is written
//! anew in protobuf, so that both encodings are kept alike.
//!
//! Field numbers are those of `opentelemetry-proto` 1.x; what is not known is passed over.

mod json;
mod protobuf;
mod reply;
mod value;
mod writer;

pub use reply::{Code, Reply, read_reply, status};
pub use value::{MAX_SEVERITY, Record, Resource, SEVERITIES, Scope, Value, severity_name};
pub use writer::Batch;

/// Where logs are sent (OTLP specification, section "OTLP/HTTP Request").
pub const PATH: &str = "/v1/logs";

/// The most records of a request; the SDKs send 512 at a time.
pub const MAX_RECORDS: usize = 10_000;

/// The most bytes of one record as it is sent.
pub const MAX_RECORD: usize = 65_536;

/// The most bytes of a resource, and of a scope, as it is sent.
pub const MAX_CONTEXT: usize = 65_536;

/// The most attributes, members of maps and items of lists of one record, resource or scope together.
pub const MAX_VALUES: usize = 1_000;

/// How many lists and maps may lie in each other.
pub const MAX_DEPTH: usize = 16;

/// How a request is written, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// A part of a request. A resource holds for the scopes after it, a scope for the records after
/// it; those without records are not told.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// What the following scopes are about.
    Resource(Resource),
    /// What wrote the following records.
    Scope(Scope),
    /// A record.
    Record(Record),
}

/// Records of a request that were not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub records: u64,
    /// Why the first of them was not.
    pub why: Option<&'static str>,
}

/// Why nothing of a request is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is not what the encoding asks for.
    #[error("{0}")]
    Syntax(String),
    /// Something has more than its bound.
    #[error("{0}")]
    TooMuch(&'static str),
}

impl Encoding {
    /// The encoding of the media type `content_type`; what comes after a semicolon does not matter.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        [Self::Protobuf, Self::Json]
            .into_iter()
            .find(|encoding| encoding.media_type().eq_ignore_ascii_case(essence))
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// Hands the parts of a request to `take`, in its order. What has been handed over when it
    /// turns out to be malformed is to be thrown away.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(self, body: &[u8], take: &mut dyn FnMut(Part)) -> Result<Rejected, Malformed> {
        let mut taking = Taking {
            take,
            seen: 0,
            rejected: Rejected::default(),
        };
        match self {
            Self::Protobuf => protobuf::request(body, &mut taking)?,
            Self::Json => json::request(body, &mut taking)?,
        }
        Ok(taking.rejected)
    }
}

impl Malformed {
    fn syntax(why: impl Into<String>) -> Self {
        Self::Syntax(why.into())
    }
}

/// What becomes of the parts of a request.
struct Taking<'a> {
    take: &'a mut dyn FnMut(Part),
    seen: usize,
    rejected: Rejected,
}

/// The resource and the scope of records to come, handed over before the first of them.
struct Waiting {
    resource: Option<Resource>,
    scope: Option<Scope>,
}

impl Taking<'_> {
    /// Takes the record of `bytes` bytes that `read` reads, after what it belongs to.
    fn record(
        &mut self,
        waiting: &mut Waiting,
        bytes: usize,
        read: impl FnOnce() -> Result<Record, Malformed>,
    ) -> Result<(), Malformed> {
        self.seen += 1;
        if self.seen > MAX_RECORDS {
            self.reject("a request has at most 10,000 records");
            return Ok(());
        }
        if bytes > MAX_RECORD {
            self.reject("a record has at most 65,536 bytes");
            return Ok(());
        }
        match read() {
            Ok(record) => {
                if let Some(resource) = waiting.resource.take() {
                    (self.take)(Part::Resource(resource));
                }
                if let Some(scope) = waiting.scope.take() {
                    (self.take)(Part::Scope(scope));
                }
                (self.take)(Part::Record(record));
                Ok(())
            }
            Err(Malformed::TooMuch(why)) => {
                self.reject(why);
                Ok(())
            }
            Err(malformed) => Err(malformed),
        }
    }

    fn reject(&mut self, why: &'static str) {
        self.rejected.records += 1;
        self.rejected.why.get_or_insert(why);
    }
}

/// Counts the values of one record, resource or scope.
struct Budget(usize);

impl Budget {
    fn new() -> Self {
        Self(MAX_VALUES)
    }

    /// One value more.
    fn one(&mut self) -> Result<(), Malformed> {
        self.0 = self.0.checked_sub(1).ok_or(Malformed::TooMuch(
            "a record has at most 1,000 attributes and values within them",
        ))?;
        Ok(())
    }
}

/// Whether a list or map at this depth may still be read.
fn deeper(depth: usize) -> Result<usize, Malformed> {
    if depth >= MAX_DEPTH {
        return Err(Malformed::TooMuch(
            "lists and maps lie at most 16 deep in each other",
        ));
    }
    Ok(depth + 1)
}

/// Refuses a resource or scope that is too large.
fn check_context(bytes: usize) -> Result<(), Malformed> {
    if bytes > MAX_CONTEXT {
        return Err(Malformed::TooMuch(
            "a resource and a scope have at most 65,536 bytes each",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
