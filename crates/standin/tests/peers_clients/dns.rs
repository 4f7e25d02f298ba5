use std::net::SocketAddr;

use outgate_standin::{Answers, DnsFault, Place, Stage};

use crate::{Ended, run, stage};

#[tokio::test]
async fn dig_finds_names_over_udp_and_tcp_and_both_families() {
    let (mut stage, _authority) = stage();
    for place in [Place::v4(), Place::v6()] {
        let address = dns(&mut stage, place, DnsFault::None).await;
        for transport in ["+notcp", "+tcp"] {
            for (question, expected) in [
                (["a.example", "A"], "192.0.2.1\n"),
                (["a.example", "AAAA"], "2001:db8::1\n"),
                (["x.y.b.example", "A"], "192.0.2.2\n"),
                (["alias.example", "A"], "a.example.\n192.0.2.1\n"),
                ([".", "NS"], "standin.invalid.\n"),
                (["other.example", "A"], ""),
            ] {
                let mut arguments = vec!["+short", transport];
                arguments.extend(question);
                let ended = dig(address, &arguments).await;
                assert_eq!(ended.text, expected, "{question:?}");
            }
        }
    }
}

#[tokio::test]
async fn dig_sees_no_fault_in_form_and_every_fault_on_purpose() {
    let (mut stage, _authority) = stage();
    for (fault, shown) in [
        (DnsFault::None, "status: NOERROR"),
        (DnsFault::Refused, "status: REFUSED"),
        (DnsFault::ServerFailure, "status: SERVFAIL"),
        (DnsFault::NoSuchName, "status: NXDOMAIN"),
        (DnsFault::Truncated, "flags: qr tc rd ra;"),
        (DnsFault::Silent, "no servers could be reached"),
    ] {
        let address = dns(&mut stage, Place::v4(), fault).await;
        let patience = if fault == DnsFault::Silent {
            "+time=1"
        } else {
            "+time=20"
        };
        for edns in ["+edns=0", "+noedns"] {
            let arguments = [edns, "+ignore", "+tries=1", patience, "a.example", "A"];
            let ended = dig(address, &arguments).await;
            assert!(ended.text.contains(shown), "{fault:?}: {}", ended.text);
            for complaint in ["WARNING", "extra bytes", "malformed"] {
                assert!(!ended.text.contains(complaint), "{fault:?}: {}", ended.text);
            }
        }
    }
}

#[tokio::test]
async fn dig_comes_again_over_tcp_when_told_to() {
    let (mut stage, _authority) = stage();
    let address = dns(&mut stage, Place::v4(), DnsFault::Truncated).await;
    let ended = dig(address, &["a.example", "A"]).await;
    for shown in [
        "Truncated, retrying in TCP mode",
        "status: NOERROR",
        "192.0.2.1",
    ] {
        assert!(ended.text.contains(shown), "{shown}: {}", ended.text);
    }
}

async fn dns(stage: &mut Stage, place: Place, fault: DnsFault) -> SocketAddr {
    let answers = || {
        Answers::new()
            .address("a.example", [192, 0, 2, 1].into())?
            .address("a.example", [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into())?
            .address("*.b.example", [192, 0, 2, 2].into())?
            .alias("alias.example", "a.example")
    };
    stage.dns(place, answers().unwrap(), fault).await.unwrap()
}

async fn dig(address: SocketAddr, more: &[&str]) -> Ended {
    let server = format!("@{}", address.ip());
    let port = address.port().to_string();
    let mut arguments = vec!["-r", &server, "-p", &port];
    arguments.extend(more);
    run("dig", &arguments).await
}
