//! What can be wrong with an artifact.

use std::io;

/// Why something is no artifact that a device should be given.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The bytes end too early, are no tar file, or their compression is broken.
    #[error("the artifact cannot be read to its end")]
    Cut(#[source] io::Error),
    /// A part stands where another must.
    #[error("`{found}` stands where {expected} must")]
    Order {
        /// The part's name.
        found: String,
        /// Which part belongs here.
        expected: &'static str,
    },
    /// A part is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A part is not named as a part may be.
    #[error("`{0}` is no name of a part")]
    Name(String),
    /// A part is no file but a folder, a link or the like.
    #[error("`{0}` is no ordinary file")]
    NoFile(String),
    /// A part is larger than it may be.
    #[error("`{part}` has more than {most} bytes")]
    TooLarge {
        /// Which part.
        part: String,
        /// How many bytes it may have.
        most: u64,
    },
    /// It is no artifact, or of another version.
    #[error("this is no Mender artifact of version 3")]
    Version,
    /// A line of the manifest is not a digest and a name, or names what another has named.
    #[error("line {0} of the manifest cannot be read")]
    Manifest(usize),
    /// The manifest says nothing of a part.
    #[error("the manifest does not name `{0}`")]
    Unnamed(String),
    /// A part has another digest than the manifest says.
    #[error("`{0}` is not what the manifest says: its digest is another")]
    Digest(String),
    /// The manifest names what is not there.
    #[error("the manifest names `{0}`, which is not there")]
    Absent(String),
    /// The signature is no base 64.
    #[error("the signature cannot be read")]
    Signature,
    /// A part of the header cannot be read.
    #[error("`{part}` of the header cannot be read")]
    Header {
        /// Which part.
        part: String,
        /// Why.
        #[source]
        why: serde_json::Error,
    },
    /// The header says something that no artifact can.
    #[error("the header is not one of an artifact: {0}")]
    Senseless(&'static str),
    /// Something stands behind the end.
    #[error("something stands behind the artifact's end")]
    Behind,
    /// The compression wants more memory than it may have.
    #[error("the compression of `{0}` wants too much memory, or is none that is known")]
    Compression(String),
}
