//! From a body to records.

use std::io::Read as _;

use axum::body::Body;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderValue;
use outgate_core::logs::{NewLog, NewLogs};
use outgate_wire::otlp::{Encoding, Malformed, Part, Rejected, Resource};

use crate::api::{BODY_WITHIN, MAX_LOGS};
use crate::api::{Held, Kind, Problem, whole_within};

/// Attributes of resources that begin so are the hub's own: what a device says of itself under such
/// a name is left out, so that nobody mistakes it for what the hub knows.
const OWN: &str = "outgate.";

/// How much is unpacked between two looks at how much that is.
const STEP: usize = 64 * 1_024;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// By gzip.
    Gzip,
}

impl Packing {
    /// As `Content-Encoding` says.
    pub(super) fn of(header: Option<&HeaderValue>) -> Result<Self, Problem> {
        let named = header.map_or(Ok("identity"), HeaderValue::to_str);
        match named.map(str::trim) {
            Ok(name) if name.eq_ignore_ascii_case("gzip") => Ok(Self::Gzip),
            Ok(name) if name.eq_ignore_ascii_case("identity") || name.is_empty() => Ok(Self::Plain),
            Ok(_) | Err(_) => {
                let detail = "Content-Encoding: gzip, or none";
                Err(Problem::new(Kind::MediaType, detail))
            }
        }
    }
}

/// Reads a body; what it holds in memory counts as `held`.
pub(super) async fn read(
    body: Body,
    packing: Packing,
    encoding: Encoding,
    held: &Held,
) -> Result<(NewLogs, Rejected), Problem> {
    let body = whole_within(body, Some(held), MAX_LOGS, BODY_WITHIN).await?;
    let held = held.clone();
    // Some ten milliseconds for the largest.
    let read = tokio::task::spawn_blocking(move || {
        let packed = body.len();
        let plain = match packing {
            Packing::Plain => body,
            Packing::Gzip => unpacked(&body, &held)?,
        };
        // What is made of it is about as large as it is.
        held.reach(packed + 2 * plain.len())?;
        records(&plain, encoding)
    });
    let stopped = |_| outgate_core::Refusal::Internal("a reader of logs stopped");
    read.await.map_err(stopped)?
}

fn unpacked(packed: &[u8], held: &Held) -> Result<Bytes, Problem> {
    let (mut from, mut plain) = (MultiGzDecoder::new(packed), Vec::new());
    loop {
        let step = from.by_ref().take(STEP as u64).read_to_end(&mut plain);
        let step = step.map_err(|error| {
            Problem::new(Kind::Malformed, format!("the body is not gzip: {error}"))
        })?;
        if plain.len() > MAX_LOGS {
            let detail = format!("a body has at most {MAX_LOGS} bytes, also unpacked");
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        held.reach(packed.len() + plain.len())?;
        if step == 0 {
            return Ok(plain.into());
        }
    }
}

/// Reads a body that is not packed.
pub(in crate::dialects) fn records(
    plain: &[u8],
    encoding: Encoding,
) -> Result<(NewLogs, Rejected), Problem> {
    let mut logs = NewLogs::default();
    let (mut resource, mut scope) = (0, 0);
    let rejected = encoding.read(plain, &mut |part| match part {
        Part::Resource(held) => {
            resource = logs.contexts.len();
            logs.contexts.push(without_own(held).to_bytes().into());
        }
        Part::Scope(held) => {
            scope = logs.contexts.len();
            logs.contexts.push(held.to_bytes().into());
        }
        Part::Record(record) => logs.records.push(NewLog {
            resource,
            scope,
            severity: record.severity,
            record: record.to_bytes().into(),
        }),
    });
    let rejected = rejected.map_err(|malformed| {
        let kind = match malformed {
            Malformed::Syntax(_) => Kind::Malformed,
            Malformed::TooMuch(_) => Kind::TooLarge,
        };
        Problem::new(kind, malformed.to_string())
    })?;
    Ok((logs, rejected))
}

fn without_own(mut resource: Resource) -> Resource {
    resource
        .attributes
        .retain(|(name, _)| !name.starts_with(OWN));
    resource
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use outgate_core::limits::Share;

    use super::*;
    use crate::api::Bodies;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn what_would_be_too_large_unpacked_is_not_unpacked() {
        let share = Share::new("device/till", outgate_core::identity::Scope::All);
        let held = Bodies::default().none_yet(&share);
        let most = gzip(&vec![0; MAX_LOGS]);
        assert!(most.len() < 8_192, "{}", most.len());
        assert_eq!(unpacked(&most, &held).unwrap().len(), MAX_LOGS);
        let bomb = gzip(&vec![0; 64 * MAX_LOGS]);
        let refused = unpacked(&bomb, &held).unwrap_err();
        assert_eq!(refused.kind(), Kind::TooLarge);
        // Members behind each other are one body (RFC 1952, section 2.2).
        let twice = [most.clone(), most].concat();
        let refused = unpacked(&twice, &held).unwrap_err();
        assert_eq!(refused.kind(), Kind::TooLarge);
    }

    #[test]
    fn what_breaks_off_or_is_no_gzip_is_refused() {
        let share = Share::new("device/till", outgate_core::identity::Scope::All);
        let held = Bodies::default().none_yet(&share);
        let packed = gzip(b"some text");
        for wrong in [&packed[..packed.len() - 1], b"some text", b""] {
            let refused = unpacked(wrong, &held).unwrap_err();
            assert_eq!(refused.kind(), Kind::Malformed, "{wrong:?}");
        }
    }

    #[test]
    fn how_a_body_is_packed_is_told_by_one_known_name() {
        let of = |name: &'static str| Packing::of(Some(&HeaderValue::from_static(name)));
        assert_eq!(Packing::of(None).unwrap(), Packing::Plain);
        assert_eq!(of("GZIP").unwrap(), Packing::Gzip);
        assert_eq!(of("identity").unwrap(), Packing::Plain);
        for unknown in ["deflate", "gzip, gzip", "br"] {
            assert_eq!(
                of(unknown).unwrap_err().kind(),
                Kind::MediaType,
                "{unknown}"
            );
        }
    }
}
