//! Replays the committed inputs on any compiler, and holds the list of targets together.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use outgate_fuzz::TARGETS;

#[test]
fn no_committed_input_breaks_a_promise() {
    for (name, target) in TARGETS {
        let inputs = files(&folder("corpus").join(name));
        assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
        for input in inputs {
            target(&fs::read(&input).unwrap());
        }
    }
}

#[test]
fn the_smallest_inputs_break_no_promise() {
    for (_, target) in TARGETS {
        target(&[]);
        for byte in 0..=u8::MAX {
            target(&[byte]);
            target(&[byte; 48]);
        }
    }
}

#[test]
fn every_target_has_its_program_and_every_program_its_target() {
    let programs: BTreeSet<String> = files(&folder("fuzz_targets"))
        .iter()
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(programs, targets);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.is_file())
        .collect()
}

/// A folder of this package, in which Cargo runs its tests.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(name)
}
