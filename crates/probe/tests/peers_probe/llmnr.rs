//! LLMNR, answered by a short Python program on another machine of the local network. The same
//! answers were taken by systemd-resolved, which is no package that a test may install.

use outgate_probe::{Host, Outcome, PathConfig, Transport, Trouble};
use tempfile::TempDir;

use crate::{
    asks::{ask, nowhere, run},
    neighbour::Neighbour,
    peer::write,
    unshare::in_own_network,
};

/// Joins both groups and answers for `cube`: 10.77.0.2, or fd00::2.
const RESPONDER: &str = "
import select, socket, struct
four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
four.bind(('', 5355))
four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                socket.inet_aton('224.0.0.252') + socket.inet_aton('10.77.0.2'))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
six.bind(('::', 5355))
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
               socket.inet_pton(socket.AF_INET6, 'ff02::1:3')
               + struct.pack('@I', socket.if_nametoindex('e0')))
print('ready', flush=True)
while True:
    for one in select.select([four, six], [], [])[0]:
        query, peer = one.recvfrom(1500)
        kind, = struct.unpack('>H', query[-4:-2])
        if query[12:18] != b'\\4cube\\0' or kind not in (1, 28):
            continue
        data = socket.inet_aton('10.77.0.2') if kind == 1 else \\
            socket.inet_pton(socket.AF_INET6, 'fd00::2')
        head = query[:2] + struct.pack('>HHHHH', 0x8000, 1, 1, 0, 0)
        record = b'\\xc0\\x0c' + struct.pack('>HHIH', kind, 1, 30, len(data)) + data
        one.sendto(head + query[12:] + record, peer)
";

#[test]
fn the_machine_of_a_name_answers_both_groups_and_nobody_answers_for_another() {
    in_own_network(
        "llmnr::the_machine_of_a_name_answers_both_groups_and_nobody_answers_for_another",
        || async {
            let directory = TempDir::new().unwrap();
            let program = write(&directory, "llmnr.py", RESPONDER);
            let script = format!("exec python3 {}", program.display());
            let _cube = Neighbour::start(&script, "ready");
            for group in ["224.0.0.252", "ff02::1:3"] {
                let mut ask = ask("llmnr");
                ask.host = Host::Address(group.parse().unwrap());
                ask.port = Some(5355);
                ask.transport = Transport::Udp;
                let config = PathConfig {
                    resolver: nowhere(),
                    ..PathConfig::default()
                };
                ask.question = Some("cube.local".to_owned());
                let finding = run(&ask, config.clone()).await;
                assert_eq!(
                    (finding.outcome, finding.trouble),
                    (Outcome::Pass, None),
                    "{group}"
                );
                let evidence = finding.attempts[0].multicast.clone().unwrap();
                let data = &evidence.answers[0].records[0].data;
                assert!(["10.77.0.2", "fd00::2"].contains(&data.as_str()), "{data}");
                ask.question = Some("other".to_owned());
                let finding = run(&ask, config).await;
                let nobody = Some(Trouble::NobodyAnswered);
                assert_eq!((finding.outcome, finding.trouble), (Outcome::Fail, nobody));
            }
        },
    );
}
