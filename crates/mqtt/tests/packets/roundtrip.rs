//! What is written is read again.

use bytes::BytesMut;
use proptest::prelude::*;

use outgate_mqtt::packet::{Decoder, Packet, Peer, Version, decode, encode};

use crate::made;

/// More than any made packet takes.
const MAX: usize = 1 << 20;

fn check(packet: &Packet, version: Version, from: Peer) -> Result<(), TestCaseError> {
    let mut written = BytesMut::new();
    encode(packet, version, &mut written).unwrap();
    let whole = written.clone();
    let read = Decoder {
        version,
        max_size: whole.len(),
        from,
    }
    .decode(&mut written);
    prop_assert_eq!(read.as_ref(), Ok(&Some(packet.clone())));
    prop_assert!(written.is_empty());
    for length in 0..whole.len() {
        let mut beginning = BytesMut::from(&whole[..length]);
        let read = Decoder {
            version,
            max_size: whole.len(),
            from,
        }
        .decode(&mut beginning);
        prop_assert_eq!(read, Ok(None), "the first {} bytes", length);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_client_says_is_read_as_it_was_said(
        (version, packet) in made::versions().prop_flat_map(|version| (Just(version), made::from_client(version)))
    ) {
        check(&packet, version, Peer::Client)?;
    }

    #[test]
    fn what_a_server_says_is_read_as_it_was_said(
        (version, packet) in made::versions().prop_flat_map(|version| (Just(version), made::from_server(version)))
    ) {
        check(&packet, version, Peer::Server)?;
    }

    /// One byte of a good packet changed, so that most of it still reads.
    #[test]
    fn whatever_is_read_can_be_written_and_reads_the_same(
        (version, packet) in made::versions().prop_flat_map(|version| (Just(version), made::from_client(version))),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = BytesMut::new();
        encode(&packet, version, &mut bytes).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(Some(read)) = decode(&mut bytes, version, MAX) {
            check(&read, version, Peer::Client)?;
        }
    }
}
