//! Packets against rmqtt-codec, which others wrote.

use bytes::BytesMut;
use proptest::prelude::*;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::{Decoder as _, Encoder as _};

use outgate_mqtt::packet::{
    DecodeError, Decoder, Packet, PayloadFormat, Peer, PublishProperties, Version, decode, encode,
};
use outgate_mqtt::text::{Text, TextError};

use crate::made;

/// Reads `bytes` with the other codec and writes what it has read.
fn through_oracle(version: Version, bytes: &mut BytesMut) -> Result<BytesMut, String> {
    let mut written = BytesMut::new();
    if version == Version::V5 {
        let mut codec = v5::Codec::new(0, 0);
        let read = codec.decode(bytes).map_err(|error| error.to_string())?;
        let (packet, _) = read.ok_or("more bytes are wanted")?;
        // Another one: this one has learnt from a CONNECT to leave words out.
        let mut codec = v5::Codec::new(0, 0);
        codec
            .encode(packet, &mut written)
            .map_err(|error| error.to_string())?;
    } else {
        let mut codec = v3::Codec::new(0);
        let read = codec.decode(bytes).map_err(|error| error.to_string())?;
        let (packet, _) = read.ok_or("more bytes are wanted")?;
        codec
            .encode(packet, &mut written)
            .map_err(|error| error.to_string())?;
    }
    Ok(written)
}

/// The packet without what the other codec has no place for.
fn without_what_it_lacks(mut packet: Packet) -> Packet {
    if let Packet::Publish(publish) = &mut packet {
        tame(&mut publish.properties);
    }
    if let Packet::Connect(connect) = &mut packet {
        if connect.client_id.is_empty() {
            connect.client_id = Text::new("c").unwrap();
        }
        if let Some(will) = &mut connect.will {
            tame(&mut will.properties);
        }
    }
    packet
}

fn tame(properties: &mut PublishProperties) {
    // It has no expiry of 0, and takes an absent format for 0.
    properties.message_expiry = properties.message_expiry.map(|seconds| seconds.max(1));
    properties.payload_format = properties
        .payload_format
        .filter(|format| *format == PayloadFormat::Utf8);
}

fn check(version: Version, packet: Packet, from: Peer) -> Result<(), TestCaseError> {
    let packet = without_what_it_lacks(packet);
    let mut written = BytesMut::new();
    encode(&packet, version, &mut written).unwrap();
    let mut back = match through_oracle(version, &mut written) {
        Ok(back) => back,
        Err(error) => return Err(TestCaseError::fail(format!("{error} for {packet:?}"))),
    };
    let read = Decoder {
        version,
        max_size: usize::MAX,
        from,
    }
    .decode(&mut back);
    prop_assert_eq!(read, Ok(Some(packet)));
    Ok(())
}

fn versions() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V3_1_1), Just(Version::V5)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_other_codec_reads_what_we_write_and_we_what_it_writes(
        (version, from_client, from_server) in versions().prop_flat_map(|version| {
            (Just(version), made::from_client(version), made::from_server(version))
        }),
    ) {
        check(version, from_client, Peer::Client)?;
        check(version, from_server, Peer::Server)?;
    }

    /// A good packet with a byte changed, cut out or put in.
    #[test]
    fn we_refuse_what_the_other_codec_refuses(
        (version, packet) in versions().prop_flat_map(|version| (Just(version), made::from_client(version))),
        place in any::<prop::sample::Index>(),
        change in prop_oneof![any::<u8>().prop_map(Change::Put), Just(Change::Cut), any::<u8>().prop_map(Change::Insert)],
    ) {
        let mut written = BytesMut::new();
        encode(&packet, version, &mut written).unwrap();
        let mut bytes = written.to_vec();
        let place = 2 + place.index(bytes.len().max(3) - 2);
        change.apply(&mut bytes, place);
        let ours = decode(&mut BytesMut::from(&bytes[..]), version, usize::MAX);
        let theirs = through_oracle(version, &mut BytesMut::from(&bytes[..]));
        match (&ours, &theirs) {
            (Ok(None), _) | (Ok(Some(_)), Ok(_)) | (Err(_), Err(_)) => {}
            (Ok(Some(packet)), Err(_)) => {
                prop_assert!(is_wrongly_refused_there(packet), "{:?} {:?}", packet, theirs);
            }
            (Err(error), Ok(_)) => {
                prop_assert!(is_wrongly_taken_there(*error), "{:?} {:02x?}", error, bytes);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Put(u8),
    Cut,
    Insert(u8),
}

impl Change {
    /// Changes a byte behind the fixed header, and the length with it.
    fn apply(self, bytes: &mut Vec<u8>, place: usize) {
        match self {
            Self::Put(byte) => {
                if let Some(old) = bytes.get_mut(place) {
                    *old = byte;
                }
            }
            Self::Cut if place < bytes.len() => {
                bytes.remove(place);
                bytes[1] = bytes[1].wrapping_sub(1);
            }
            Self::Cut => {}
            Self::Insert(byte) => {
                bytes.insert(place.min(bytes.len()), byte);
                bytes[1] = bytes[1].wrapping_add(1);
            }
        }
    }
}

/// It asks clients of 5.0 for an identifier, and looks at that of 3.1.1 where we do so later.
fn is_wrongly_refused_there(packet: &Packet) -> bool {
    matches!(packet, Packet::Connect(connect) if connect.client_id.is_empty())
}

/// What the other codec is known to let through.
fn is_wrongly_taken_there(error: DecodeError) -> bool {
    const LET_THROUGH: [&str; 5] = [
        "bytes after the last field",
        "a reserved subscription option is set",
        "a repetition of QoS 0",
        "no local on a shared subscription",
        "a client sent a subscription identifier",
    ];
    match error {
        DecodeError::Malformed(what) | DecodeError::Protocol(what) => LET_THROUGH.contains(&what),
        DecodeError::Text(error) => error == TextError::Nul,
        DecodeError::Topic(_) | DecodeError::Filter(_) => true,
        DecodeError::Version { .. }
        | DecodeError::TooLarge
        | DecodeError::TooMany(_)
        | DecodeError::TopicAlias => false,
    }
}
