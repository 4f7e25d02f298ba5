//! The bytes of files, sent to a hub as they are read, and a line that shows how far that is.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use futures_util::{Stream, stream};
use indicatif::{ProgressBar, ProgressStyle};

/// How many bytes of a file are read at a time.
const CHUNK: u64 = 256 << 10;

/// The bytes of a file, and how many there are.
pub(crate) fn read(
    path: &Path,
) -> Result<(u64, impl Stream<Item = io::Result<Vec<u8>>> + Send + use<>), anyhow::Error> {
    let failed = || format!("failed to read {}", path.display());
    let file = File::open(path).with_context(failed)?;
    let about = file.metadata().with_context(failed)?;
    if !about.is_file() {
        anyhow::bail!("{} is no file", path.display());
    }
    let size = about.len();
    let bar = bar(Some(size));
    let content = stream::unfold((file, size), move |(file, left)| {
        let bar = bar.clone();
        async move {
            let wanted = left.min(CHUNK);
            if wanted == 0 {
                return None;
            }
            let mut bytes = Vec::new();
            // As much as it had at first, even if it grows meanwhile.
            let read = (&file).take(wanted).read_to_end(&mut bytes);
            let left = match read {
                Ok(0) => return Some((Err(io::ErrorKind::UnexpectedEof.into()), (file, 0))),
                Ok(_) => left - u64::try_from(bytes.len()).unwrap_or(left),
                Err(error) => return Some((Err(error), (file, 0))),
            };
            bar.set_position(size - left);
            Some((Ok(bytes), (file, left)))
        }
    });
    Ok((size, content))
}

/// A line that shows how far it is: drawn on standard error if that is a terminal.
pub(crate) fn bar(size: Option<u64>) -> ProgressBar {
    let bar = size.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let style = ProgressStyle::with_template("{bytes}/{total_bytes} {bytes_per_sec} {wide_bar}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
