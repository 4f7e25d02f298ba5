//! The header in which a proxy in front says who is behind it (PROXY protocol, version 2).

use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Signature, command, family and the length of the rest (section 2.2).
const FIXED: usize = 16;

/// The most bytes of the rest: the 520 that HAProxy itself takes, rounded up. Addresses need 36,
/// of sockets on the same machine 216; what else there is, certificates' names for instance, is
/// skipped.
const REST_MAX: usize = 536;

/// Both ends of a connection, as a proxy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// The connection ended before it was whole.
    WentAway,
    /// Something else came.
    Bad,
}

/// Reads a header and not a byte more. `None` when the proxy speaks for itself, as to see whether
/// we are well.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Ends>, NoHeader> {
    let mut header = [0; FIXED + REST_MAX];
    fill(from, &mut header[..FIXED]).await?;
    // Before waiting for more: what is no header need not be as long as it seems to say.
    let whole = length(&header[..FIXED]).ok_or(NoHeader::Bad)?;
    fill(from, header.get_mut(FIXED..whole).ok_or(NoHeader::Bad)?).await?;
    ends(&header[..whole])
}

/// How long the header is that starts with these bytes.
fn length(fixed: &[u8]) -> Option<usize> {
    let (&[high, low], start) = fixed
        .split_last_chunk::<2>()
        .map(|(rest, last)| (last, rest))?;
    start
        .starts_with(b"\r\n\r\n\0\r\nQUIT\n")
        .then(|| FIXED + usize::from(u16::from_be_bytes([high, low])))
}

fn ends(header: &[u8]) -> Result<Option<Ends>, NoHeader> {
    let config = ParseConfig {
        include_tlvs: false,
        allow_v1: false,
        allow_v2: true,
    };
    let (header, _) = ProxyHeader::parse(header, config).map_err(|_| NoHeader::Bad)?;
    let Some(proxied) = header.proxied_address() else {
        return Ok(None);
    };
    Ok(Some(Ends {
        peer: proxied.source,
        local: proxied.destination,
    }))
}

async fn fill(from: &mut (impl AsyncRead + Unpin), into: &mut [u8]) -> Result<(), NoHeader> {
    from.read_exact(into)
        .await
        .map(drop)
        .map_err(|_| NoHeader::WentAway)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x30\x39\x01\xbb";

    #[tokio::test]
    async fn the_ends_are_those_that_the_proxy_tells() {
        let mut bytes = [V4, b"rest"].concat();
        let mut from = bytes.as_mut_slice() as &[u8];
        let ends = read(&mut from).await.unwrap().unwrap();
        assert_eq!(ends.peer, "192.0.2.1:12345".parse().unwrap());
        assert_eq!(ends.local, "192.0.2.2:443".parse().unwrap());
        assert_eq!(from, b"rest");
    }

    #[tokio::test]
    async fn a_proxy_may_speak_for_itself() {
        let mut from = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0GET".as_slice();
        assert_eq!(read(&mut from).await, Ok(None));
        assert_eq!(from, b"GET");
    }

    #[tokio::test]
    async fn version_1_is_refused() {
        let mut from = b"PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n".as_slice();
        assert_eq!(read(&mut from).await, Err(NoHeader::Bad));
    }

    #[tokio::test]
    async fn a_header_that_is_too_long_is_refused_at_once() {
        let mut from = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice();
        assert_eq!(read(&mut from).await, Err(NoHeader::Bad));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(rest in proptest::collection::vec(any::<u8>(), 0..600), kept in 0..=V4.len()) {
            let bytes = [&V4[..kept], &rest].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read(&mut bytes.as_slice()));
        }
    }
}
