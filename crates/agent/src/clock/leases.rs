//! The time servers that DHCP has handed out, as this machine's own DHCP client has written them down.
//! That needs no rights, and sends nothing.

use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use outgate_wire::dhcp::{Kind, MESSAGE_MAX, Question};

/// The most time servers that are taken.
const MAX: usize = 8;
/// The most files that are looked at in a folder.
const FILES_MAX: usize = 32;
/// The most bytes of a file; `dhclient` adds to its own until it is started anew.
const FILE_MAX: u64 = 1 << 20;

/// Reads what a file says.
type Reader = fn(&[u8]) -> Vec<Ipv4Addr>;

/// Where clients keep their leases, what their names end in, and how they are written.
const PLACES: [(&str, &str, Reader); 6] = [
    ("run/systemd/netif/leases", "", networkd),
    ("var/lib/NetworkManager", ".lease", networkd),
    ("var/lib/dhcpcd", ".lease", dhcpcd),
    ("var/lib/dhcp", ".leases", dhclient),
    ("var/lib/dhclient", ".leases", dhclient),
    // What Debian's chrony is told by NetworkManager and by dhclient.
    ("run/chrony-dhcp", ".sources", chrony),
];

/// The time servers in the leases below `root`, each once; what cannot be read is passed over.
pub(super) fn time_servers(root: &Path) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for (folder, end, reader) in PLACES {
        for file in files(&root.join(folder), end) {
            for server in reader(&bytes(&file)) {
                let nobody = server.is_unspecified() || server.is_multicast();
                let server = IpAddr::V4(server);
                if !nobody && !found.contains(&server) && found.len() < MAX {
                    found.push(server);
                }
            }
        }
    }
    found
}

/// In the order of their names, so that it does not change by itself.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let fits = |path: &PathBuf| path.to_string_lossy().ends_with(end) && path.is_file();
    let mut paths: Vec<PathBuf> = paths.filter(fits).take(FILES_MAX).collect();
    paths.sort();
    paths
}

fn bytes(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = fs::File::open(file).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    if let Err(error) = read {
        tracing::debug!(%error, file = %file.display(), "a lease is not read");
        return Vec::new();
    }
    bytes
}

/// A line of variables of a shell: `NTP=192.0.2.1 192.0.2.2`.
fn networkd(bytes: &[u8]) -> Vec<Ipv4Addr> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().filter_map(|line| line.strip_prefix("NTP="));
    lines.flat_map(addresses).collect()
}

/// The message in which the address was lent, as it came.
fn dhcpcd(bytes: &[u8]) -> Vec<Ipv4Addr> {
    let (Some(id), Some(hardware)) = (chunk(bytes, 4), chunk(bytes, 28)) else {
        return Vec::new();
    };
    if bytes.len() > MESSAGE_MAX {
        return Vec::new();
    }
    let asked = Question {
        kind: Kind::Discover,
        id: u32::from_be_bytes(id),
        hardware,
    };
    let reply = asked.read(bytes);
    reply.map_or_else(|_| Vec::new(), |reply| reply.settings.time_servers)
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// `option ntp-servers 192.0.2.1,192.0.2.2;` in one lease after the other (dhclient.leases(5)): the
/// last one counts.
fn dhclient(bytes: &[u8]) -> Vec<Ipv4Addr> {
    let text = String::from_utf8_lossy(bytes);
    let last = text.rsplit("lease {").next().unwrap_or_default();
    let lines = last.lines().map(str::trim);
    let lines = lines.filter_map(|line| line.strip_prefix("option ntp-servers "));
    lines
        .flat_map(|line| addresses(line.trim_end_matches(';')))
        .collect()
}

/// `server 192.0.2.1 iburst` (chrony.conf(5)).
fn chrony(bytes: &[u8]) -> Vec<Ipv4Addr> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().filter_map(|line| line.strip_prefix("server "));
    lines
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect()
}

/// Addresses with commas or spaces between them.
fn addresses(list: &str) -> Vec<Ipv4Addr> {
    let words = list.split([',', ' ', '\t']);
    words.filter_map(|word| word.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use outgate_wire::dhcp::{Answer, Reply, Settings};

    use super::*;

    fn with(place: &str, bytes: &[u8]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(place);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
        let found = time_servers(root.path());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_clients_lease_tells_the_time_servers() {
        let two = ["10.77.0.4", "10.77.0.5"];
        let networkd = b"# private\nADDRESS=10.77.0.50\nNTP=10.77.0.4 10.77.0.5\nDNS=10.77.0.2\n";
        assert_eq!(with("run/systemd/netif/leases/2", networkd), two);
        let of_manager = "var/lib/NetworkManager/internal-1-eth0.lease";
        assert_eq!(with(of_manager, networkd), two);
        let dhclient = b"lease {\n  interface \"eth0\";\n  option ntp-servers 192.0.2.9;\n}\n\
            lease {\n  option routers 10.77.0.1;\n  option ntp-servers 10.77.0.4,10.77.0.5;\n}\n";
        assert_eq!(with("var/lib/dhcp/dhclient.eth0.leases", dhclient), two);
        let chrony = b"server 10.77.0.4 iburst\nserver 10.77.0.5 iburst\n";
        assert_eq!(with("run/chrony-dhcp/eth0.sources", chrony), two);
        let asked = Question {
            kind: Kind::Discover,
            id: 7,
            hardware: [2, 0, 0, 0, 0, 1],
        };
        let reply = Reply {
            answer: Answer::Acknowledgement,
            server: [10, 77, 0, 2].into(),
            settings: Settings {
                time_servers: vec![[10, 77, 0, 4].into(), [10, 77, 0, 5].into()],
                ..Settings::default()
            },
        };
        let message = reply.encode(&asked, [10, 77, 0, 50].into());
        assert_eq!(with("var/lib/dhcpcd/eth0.lease", &message), two);
    }

    #[test]
    fn what_is_no_lease_or_no_servers_address_tells_nothing() {
        for place in [
            "run/systemd/netif/leases/2",
            "var/lib/dhcpcd/eth0.lease",
            "var/lib/dhcp/dhclient.leases",
            "run/chrony-dhcp/eth0.sources",
        ] {
            for bytes in [&b""[..], b"\xff\xfe", b"NTP=", b"NTP=x 0.0.0.0 224.0.1.1\n"] {
                assert_eq!(with(place, bytes), Vec::<String>::new(), "{place}");
            }
        }
        assert_eq!(
            with("var/lib/dhcp/x", b"option ntp-servers 10.0.0.1;"),
            Vec::<String>::new()
        );
    }
}
