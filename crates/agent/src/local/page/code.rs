//! One-time codes: who may read the agent's folder may have one, and may then change something from
//! the page, once and soon.
//!
//! The command line leaves what the code is recognised by in the agent's folder, so the agent's API
//! has no part in it: the device's own software cannot let anybody in.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::kept;
use crate::queue::Moment;

/// The file, in the agent's folder.
pub const CODE_FILE: &str = "page-code";
/// How long a code can be used.
pub const LASTS: Duration = Duration::from_secs(600);

/// Random bytes of a code.
const LENGTH: usize = 5;
/// Characters of a code.
const CHARACTERS: usize = 8;
/// Digits and letters that are not taken for each other (Douglas Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// The most bytes of the file.
const MAX_FILE: u64 = 512;

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// SHA-256 of the code.
    digest: Vec<u8>,
    /// The run of the machine in which it was made.
    boot: String,
    /// Until when it can be used, in seconds after the start of that run.
    until: u64,
}

/// Makes a code, in place of any that was made before, for the agent whose folder this is.
///
/// # Errors
/// When the folder cannot be written to, or the system gives no random numbers.
pub fn make(folder: &Path, now: &Moment) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    getrandom::fill(&mut *bytes).map_err(io::Error::other)?;
    let code = Zeroizing::new(spelled(&bytes));
    let kept = Kept {
        digest: digest(&SHA256, code.as_bytes()).as_ref().to_vec(),
        boot: format!("{:032x}", now.boot.0),
        until: now.up.saturating_add(LASTS).as_secs(),
    };
    kept::write(&folder.join(CODE_FILE), folder, &serde_json::to_vec(&kept)?)?;
    Ok(code)
}

/// Whether that is the code. It is none any more then.
pub(super) fn take(folder: &Path, given: &str, now: &Moment) -> bool {
    let path = folder.join(CODE_FILE);
    let Some(kept) = read(&path) else {
        return false;
    };
    if kept.boot != format!("{:032x}", now.boot.0) || kept.until <= now.up.as_secs() {
        // It is nothing any more; that it stays matters to nobody.
        let _ = fs::remove_file(&path);
        return false;
    }
    let Some(code) = plain(given) else {
        return false;
    };
    let given = digest(&SHA256, code.as_bytes());
    // Of two who give it at once one takes the file away.
    bool::from(given.as_ref().ct_eq(&kept.digest)) && fs::remove_file(&path).is_ok()
}

fn read(path: &Path) -> Option<Kept> {
    let mut text = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(MAX_FILE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A code as people read it: eight characters.
fn spelled(bytes: &[u8; LENGTH]) -> String {
    let number = bytes
        .iter()
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let characters = (0..CHARACTERS).rev().map(|at| {
        let place = usize::try_from((number >> (at * 5)) & 31).unwrap_or_default();
        char::from(ALPHABET.get(place).copied().unwrap_or(b'0'))
    });
    characters.collect()
}

/// What somebody typed, as it is spelled; none if it is no code.
fn plain(given: &str) -> Option<Zeroizing<String>> {
    let typed = given.chars().filter(|one| !matches!(one, '-' | ' '));
    let spelled = typed.map(|one| match one.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    let code: Zeroizing<String> = Zeroizing::new(spelled.take(CHARACTERS + 1).collect());
    let known = |one: u8| ALPHABET.contains(&one);
    (code.len() == CHARACTERS && code.bytes().all(known)).then_some(code)
}

/// A code in two halves, to be read out.
#[must_use]
pub fn shown(code: &str) -> Zeroizing<String> {
    let (one, two) = code.split_at_checked(CHARACTERS / 2).unwrap_or((code, ""));
    Zeroizing::new(format!("{one}-{two}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use tempfile::TempDir;

    use super::*;
    use crate::queue::Boot;

    fn at(boot: u128, seconds: u64) -> Moment {
        Moment {
            boot: Boot(boot),
            up: Duration::from_secs(seconds),
            wall: None,
        }
    }

    #[test]
    fn a_code_is_taken_once() {
        let folder = TempDir::new().unwrap();
        let code = make(folder.path(), &at(1, 100)).unwrap();
        assert!(!take(folder.path(), "00000000", &at(1, 101)));
        assert!(take(folder.path(), &code, &at(1, 101)));
        assert!(!take(folder.path(), &code, &at(1, 101)));
    }

    #[test]
    fn a_code_is_taken_for_ten_minutes_and_not_after_the_machine_was_started_anew() {
        for (then, taken) in [(at(1, 699), true), (at(1, 700), false), (at(2, 101), false)] {
            let folder = TempDir::new().unwrap();
            let code = make(folder.path(), &at(1, 100)).unwrap();
            assert_eq!(take(folder.path(), &code, &then), taken, "{then:?}");
            assert!(!folder.path().join(CODE_FILE).exists());
        }
    }

    #[test]
    fn a_code_may_be_typed_as_it_is_read() {
        let folder = TempDir::new().unwrap();
        let code = make(folder.path(), &at(1, 0)).unwrap();
        let typed = shown(&code)
            .to_lowercase()
            .replace('0', "o")
            .replace('1', "l");
        assert!(
            take(folder.path(), &format!(" {typed} "), &at(1, 0)),
            "{typed}"
        );
    }

    #[test]
    fn only_the_agent_may_read_what_a_code_is_recognised_by() {
        let folder = TempDir::new().unwrap();
        let code = make(folder.path(), &at(1, 0)).unwrap();
        let path = folder.path().join(CODE_FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(path).unwrap().contains(&**code));
    }

    #[test]
    fn without_a_code_or_with_something_else_in_its_place_nothing_is_taken() {
        let folder = TempDir::new().unwrap();
        assert!(!take(folder.path(), "00000000", &at(1, 0)));
        fs::write(folder.path().join(CODE_FILE), "{}").unwrap();
        assert!(!take(folder.path(), "00000000", &at(1, 0)));
    }

    #[test]
    fn every_code_is_spelled_by_its_bytes() {
        assert_eq!(spelled(&[0; LENGTH]), "00000000");
        assert_eq!(spelled(&[255; LENGTH]), "ZZZZZZZZ");
        assert_eq!(spelled(&[0, 0, 0, 0, 33]), "00000011");
    }
}
