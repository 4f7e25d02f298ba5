//! Artifacts that come: written down and judged at the same time, a few parts in memory.

use std::io::{self, Read};

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use outgate_core::Refusal;
use outgate_core::objects::{Incoming, Whole};
use outgate_core::releases::{Described, NewRelease, ReleaseKey};
use outgate_mender::VerifyingKey;
use outgate_mender::artifact::{self, Artifact, ArtifactError, Bounds, OneOrMore};
use tokio::sync::mpsc;

use crate::api::problem::{Kind, Problem};

/// The most parts of a body that wait to be judged.
const MAX_WAITING: usize = 4;

/// What an artifact provides whose signer lets it be installed in the place of a newer one.
const GOES_BACK: (&str, &str) = ("outgate.downgrade", "allowed");

/// Takes a body to its end, and what it is.
///
/// # Errors
/// [`Kind::Invalid`] with the first fault of the artifact, as soon as it is found;
/// [`Kind::Malformed`] when the body breaks off; what [`Incoming::take`] refuses with.
pub(super) async fn take(body: Body, mut incoming: Incoming) -> Result<(Whole, Artifact), Problem> {
    let (to, from) = mpsc::channel(MAX_WAITING);
    let source = Parts {
        from,
        part: Bytes::new(),
    };
    let judging = tokio::task::spawn_blocking(|| artifact::read(source, &Bounds::default()));
    let mut body = body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Kind::Malformed, "the body broke off"))?;
        if let Ok(bytes) = frame.into_data() {
            if to.send(bytes.clone()).await.is_err() {
                // It has been judged already.
                break;
            }
            incoming = incoming.take(bytes).await?;
        }
    }
    drop(to);
    let judged = judging.await;
    let judged = judged.map_err(|_| Refusal::Internal("an artifact's judging stopped"))?;
    let artifact = judged.map_err(|fault| faulty(&fault))?;
    Ok((incoming.finish().await?, artifact))
}

/// The release that an artifact is, if one of `keys` has signed it.
///
/// # Errors
/// [`Refusal::Invalid`].
pub(super) fn judged(artifact: Artifact, keys: &[ReleaseKey]) -> Result<NewRelease, Refusal> {
    let read = keys.iter().map(|key| VerifyingKey::from_pem(&key.pem));
    let read: Vec<_> = read.filter_map(Result::ok).collect();
    let signer = artifact.signer(&read);
    let signer = signer.map_err(|why| Refusal::invalid("artifact", why.to_string()))?;
    let print = hexadecimal(signer.thumbprint());
    let key = keys.iter().find(|key| key.thumbprint == print);
    let key = key.ok_or(Refusal::Internal("a release key is not what it was"))?;
    let info = artifact.type_info;
    let (name, allowed) = GOES_BACK;
    let may_go_back = info
        .artifact_provides
        .get(name)
        .is_some_and(|text| text == allowed);
    let depends = info.artifact_depends.into_iter().map(|(name, right)| {
        let right = match right {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        (name, right)
    });
    let mut depends: std::collections::BTreeMap<_, _> = depends.collect();
    if !artifact.depends_group.is_empty() {
        depends.insert("artifact_group".to_owned(), artifact.depends_group);
    }
    Ok(NewRelease {
        name: artifact.name.parse()?,
        described: Described {
            device_types: artifact.device_types,
            depends_name: artifact.depends_name,
            depends,
            provides: info.artifact_provides,
            payload_type: artifact.payload_type,
            may_go_back,
        },
        signed_by: key.id.clone(),
    })
}

/// A digest as people compare it.
pub(super) fn hexadecimal(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn faulty(fault: &ArtifactError) -> Refusal {
    let mut why = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(deeper) = source {
        why = format!("{why}: {deeper}");
        source = deeper.source();
    }
    Refusal::invalid("artifact", why)
}

/// The parts of a body, read where waiting holds nobody up.
struct Parts {
    from: mpsc::Receiver<Bytes>,
    part: Bytes,
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.part.has_remaining() {
            match self.from.blocking_recv() {
                Some(part) => self.part = part,
                None => return Ok(0),
            }
        }
        let count = self.part.remaining().min(into.len());
        if let Some(into) = into.get_mut(..count) {
            self.part.copy_to_slice(into);
        }
        Ok(count)
    }
}
