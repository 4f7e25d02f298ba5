//! A folder that is made from a list and kept until the list changes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Makes `folder` with `make`, unless it was made from the same `recipe` before.
///
/// The recipe is written beside the folder only after `make` has succeeded, so that a run that
/// was cut short is made anew.
///
/// # Errors
///
/// When `make` fails or the folder or its stamp cannot be written.
pub(super) fn made_from(
    folder: &Path,
    recipe: &str,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let stamp = folder.with_extension("stamp");
    if folder.is_dir() && fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        return Ok(());
    }
    remove(&stamp, |path| fs::remove_file(path))?;
    remove(folder, |path| fs::remove_dir_all(path))?;
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    make(folder)?;
    fs::write(&stamp, recipe).with_context(|| format!("failed to write {}", stamp.display()))
}

fn remove(path: &Path, with: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    if path.exists() {
        with(path).with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::bail;

    use super::*;

    #[test]
    fn a_folder_is_made_again_only_when_its_recipe_changes() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("node");
        let times = Cell::new(0);
        let make = |_: &Path| -> Result<()> {
            times.set(times.get() + 1);
            Ok(())
        };
        made_from(&folder, "ws 1", make).unwrap();
        made_from(&folder, "ws 1", make).unwrap();
        assert_eq!(times.get(), 1);
        made_from(&folder, "ws 2", make).unwrap();
        assert_eq!(times.get(), 2);
    }

    #[test]
    fn a_folder_whose_making_failed_is_made_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("node");
        assert!(made_from(&folder, "ws 1", |_| bail!("no network")).is_err());
        let made = Cell::new(false);
        made_from(&folder, "ws 1", |_| {
            made.set(true);
            Ok(())
        })
        .unwrap();
        assert!(made.get());
    }
}
