//! How the tar files in an artifact are compressed, by how their names end.

use std::io::Read;

use flate2::read::GzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::ArtifactError;
use super::bounded::AtMost;

/// The most memory that xz may want, in KiB: twice what its highest level does. What Zstandard may
/// want is bounded by the library, at 100 MB.
const XZ_MEMORY_KIB: u32 = 128 * 1024;

/// A compression that Mender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Packing {
    /// The packing of `name`, when that is `plain` with or without the ending of one.
    pub(super) fn of(name: &str, plain: &str) -> Option<Self> {
        match name.strip_prefix(plain)? {
            "" => Some(Self::None),
            ".gz" => Some(Self::Gzip),
            ".xz" => Some(Self::Xz),
            ".zst" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What is in `source`, of which at most `most` bytes are unpacked.
pub(super) fn packed<'a>(
    source: impl Read + 'a,
    packing: Packing,
    most: u64,
) -> Result<AtMost<Box<dyn Read + 'a>>, ArtifactError> {
    let reader: Box<dyn Read + 'a> = match packing {
        Packing::None => Box::new(source),
        Packing::Gzip => Box::new(GzDecoder::new(source)),
        Packing::Xz => Box::new(XzReader::new_mem_limit(source, false, XZ_MEMORY_KIB)),
        Packing::Zstd => {
            let reader = StreamingDecoder::new(source)
                .map_err(|_| ArtifactError::Compression("zst".to_owned()))?;
            Box::new(reader)
        }
    };
    Ok(AtMost::new(reader, most))
}
