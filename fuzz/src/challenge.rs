//! The challenges of a proxy or server, from a header of its answer.

use outgate_wire::challenge::{SCHEME_MAX, SCHEMES_MAX, schemes};

/// Reads the bytes as header values, one a line. There are never more or longer names than said.
pub fn challenges(data: &[u8]) {
    let found = schemes(data.split(|byte| *byte == b'\n'));
    assert!(found.len() <= SCHEMES_MAX);
    for scheme in found {
        assert!((1..=SCHEME_MAX).contains(&scheme.len()), "{scheme}");
    }
}
