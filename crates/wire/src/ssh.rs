//! The first line that each end of SSH says (RFC 4253 §4.2), the packets that follow it, and the keys
//! and certificates of users.

mod certificate;
mod key;
mod packet;

pub use certificate::Certificate;
pub use key::{KEY_LINE_MAX, NoKey, PublicKey};
pub use packet::{COOKIE_LEN, PACKET_MAX, Packet, PacketError, algorithms, goodbye};

/// The longest line that says who speaks, with its end (RFC 4253 §4.2).
pub const LINE_MAX: usize = 255;
/// The most bytes that are read before that line is there. A server may greet with other lines
/// first (RFC 4253 §4.2), and legal notices run to pages.
pub const GREETING_MAX: usize = 16 * 1024;

/// How the line begins.
const START: &[u8] = b"SSH-";

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identification {
    /// The version of the protocol: `2.0`, or `1.99` for a server that also knows 1 (RFC 4253
    /// §5.1).
    pub protocol: String,
    /// The software and its version.
    pub software: String,
    /// What the software says beside that.
    pub comments: Option<String>,
    /// How many lines came before.
    pub lines_before: usize,
}

impl Identification {
    /// Reads what a server has said so far, and says how many bytes that took; `None` until the
    /// line is complete.
    ///
    /// # Errors
    /// When the line, or what comes before it, is too long, or the line is none.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, IdentificationError> {
        let mut rest = bytes;
        let mut lines_before = 0;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            if bytes.len() - after.len() > GREETING_MAX {
                return Err(IdentificationError::TooLong);
            }
            if line.starts_with(START) {
                if line.len() > LINE_MAX {
                    return Err(IdentificationError::TooLong);
                }
                let used = bytes.len() - after.len();
                return Self::of(line, lines_before).map(|server| Some((server, used)));
            }
            lines_before += 1;
            rest = after;
        }
        let line_too_long = rest.starts_with(START) && rest.len() >= LINE_MAX;
        if line_too_long || bytes.len() >= GREETING_MAX {
            return Err(IdentificationError::TooLong);
        }
        Ok(None)
    }

    /// Reads the line itself.
    fn of(line: &[u8], lines_before: usize) -> Result<Self, IdentificationError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        // Servers of version 1.99 may leave the carriage return out (RFC 4253 §5.1).
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| IdentificationError::NoVersion)?;
        let versions = text.strip_prefix("SSH-").unwrap_or(text);
        let (protocol, rest) = versions
            .split_once('-')
            .ok_or(IdentificationError::NoVersion)?;
        let (software, comments) = match rest.split_once(' ') {
            Some((software, comments)) => (software, Some(comments.to_owned())),
            None => (rest, None),
        };
        if protocol.is_empty() || software.is_empty() {
            return Err(IdentificationError::NoVersion);
        }
        Ok(Self {
            protocol: protocol.to_owned(),
            software: software.to_owned(),
            comments,
            lines_before,
        })
    }

    /// Whether it speaks version 2, the one that is in use.
    pub fn speaks_version_2(&self) -> bool {
        matches!(self.protocol.as_str(), "2.0" | "1.99")
    }
}

/// Why no line says who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentificationError {
    /// More came than such a line, or what may stand before it, can have.
    #[error("no SSH identification in the first {GREETING_MAX} bytes, or one of over {LINE_MAX}")]
    TooLong,
    /// It lacks a version.
    #[error("an SSH identification without a version of protocol and software")]
    NoVersion,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Option<Identification>, IdentificationError> {
        let read = Identification::read(text.as_bytes())?;
        Ok(read.map(|(server, _)| server))
    }

    #[test]
    fn the_line_of_a_debian_server_is_read() {
        let line = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7\r\n";
        let said = format!("{line}\0\0\x05");
        let (server, used) = Identification::read(said.as_bytes()).unwrap().unwrap();
        assert_eq!(used, line.len());
        assert_eq!(server.software, "OpenSSH_9.2p1");
        assert_eq!(server.comments.as_deref(), Some("Debian-2+deb12u7"));
        assert!(server.speaks_version_2());
    }

    #[test]
    fn lines_before_it_are_counted_and_left_alone() {
        let server = read("Authorised use only.\r\nReally.\nSSH-1.99-old\n").unwrap();
        let server = server.unwrap();
        assert_eq!((server.lines_before, server.protocol.as_str()), (2, "1.99"));
        assert!(server.speaks_version_2());
    }

    #[test]
    fn half_a_line_says_nothing_yet() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("SSH-2.0-Open"), Ok(None));
        assert_eq!(read("welcome\r\nSSH-2.0-Open"), Ok(None));
    }

    #[test]
    fn a_line_without_versions_is_none() {
        for text in [
            "SSH-\n",
            "SSH-2.0\n",
            "SSH--x\n",
            "SSH-2.0-\n",
            "SSH-2.0- x\n",
        ] {
            assert_eq!(read(text), Err(IdentificationError::NoVersion), "{text:?}");
        }
    }

    #[test]
    fn a_server_of_version_1_is_told() {
        assert!(!read("SSH-1.5-old\n").unwrap().unwrap().speaks_version_2());
    }

    #[test]
    fn too_much_is_not_waited_for() {
        let too_long = Err(IdentificationError::TooLong);
        assert_eq!(read(&format!("SSH-2.0-{}", "x".repeat(247))), too_long);
        assert_eq!(read(&format!("SSH-2.0-{}\r\n", "x".repeat(247))), too_long);
        assert_eq!(read(&"x".repeat(GREETING_MAX)), too_long);
        assert_eq!(read(&"x\n".repeat(GREETING_MAX)), too_long);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_more_bytes_change_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            more in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let read = Identification::read(&bytes);
            if matches!(read, Ok(Some(_))) {
                let longer = [bytes, more].concat();
                prop_assert_eq!(Identification::read(&longer), read);
            }
        }

        #[test]
        fn every_line_of_the_standard_is_read(
            protocol in "[0-9.]{1,5}",
            software in "[!-,.-~]{1,40}",
            comments in proptest::option::of("[ -~]{0,40}"),
        ) {
            let tail = comments.as_ref().map_or_else(String::new, |text| format!(" {text}"));
            let line = format!("SSH-{protocol}-{software}{tail}\r\n");
            let expected = Identification { protocol, software, comments, lines_before: 0 };
            prop_assert_eq!(read(&line), Ok(Some(expected)));
        }
    }
}
