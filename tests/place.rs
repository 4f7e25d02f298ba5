//! `outgate check --netns` and `--user`: where every thread of it is and as whom, seen from outside
//! while it runs, and what is said of places that are none. Needs root, as the options do.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use outgate_testbed::{BETWEEN_LOOKS, Ends, OwnMachine, PATIENCE, Program, on_own_machine};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::documents::{commands, root};
use crate::support::{json, outgate, stderr, stdout};

/// The product's network: a namespace with its own name server behind a link.
const NETWORK: &str = "
    ip netns add world
    ip netns add product
    ip -n world link set lo up
    ip -n product link set lo up
    ip -n product link add wan type veth peer name lan netns world
    ip -n product addr add 10.8.0.2/24 dev wan
    ip -n world addr add 10.8.0.1/24 dev lan
    ip -n product link set wan up
    ip -n world link set lan up
    ip -n product route add default via 10.8.0.1
    mkdir -p /etc/netns/product
    echo 'nameserver 10.8.0.1' > /etc/netns/product/resolv.conf
    echo 'box:x:4711:4711::/nowhere:/bin/false' >> /etc/passwd
    echo 'box:x:4711:' >> /etc/group
    echo 'modem:x:4712:box' >> /etc/group";

/// A product with one flow: TLS to a name that only the product's name server knows.
const MANIFEST: &str = "
manifest: 1
product: { id: box, name: Box, vendor: Boxes }
source: { document: box.html, language: en }
parties: { device: { at: site, name: { en: the Box } } }
flows:
  cloud:
    from: device
    to: [api.box.test]
    speaks: { tls: 8443 }
    need: required
    why: { en: report }";

const SERVER: ([u8; 4], u16) = ([10, 8, 0, 1], 8443);
const NAME_SERVER: ([u8; 4], u16) = ([10, 8, 0, 1], 53);

/// The product's network on a machine of the test's own, with a server that accepts and then says
/// nothing, so that a check can be looked at while it waits.
struct Network {
    connections: Receiver<TcpStream>,
    folder: TempDir,
    _names: Program,
}

impl Network {
    fn new(machine: &OwnMachine) -> Self {
        machine.shell(NETWORK).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("box.yaml"), MANIFEST).unwrap();
        let mut dnsmasq = Command::new("ip");
        dnsmasq
            .args(["netns", "exec", "world", "dnsmasq", "--no-daemon"])
            .args(["--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
            .args(["--user=root", "--pid-file=", "--local=/test/"])
            .arg("--host-record=api.box.test,10.8.0.1");
        let ready = |address| within("product", move || TcpStream::connect(address).is_ok());
        let address = SocketAddr::from(NAME_SERVER);
        let names = Program::start_until(&mut dnsmasq, folder.path(), address, ready).unwrap();
        let listener = within("world", || {
            TcpListener::bind(SocketAddr::from(SERVER)).unwrap()
        });
        let (tell, connections) = channel();
        std::thread::spawn(move || {
            let accepted = listener.incoming().map_while(Result::ok);
            // Whoever comes when nobody looks any more is turned away.
            accepted.for_each(|stream| drop(tell.send(stream)));
        });
        Self {
            connections,
            folder,
            _names: names,
        }
    }

    /// A check that tells JSON and is never the first to lose its patience.
    fn check(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command
            .args(["check", "box.yaml", "--json", "--timeout=60"])
            .args(options)
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Looks at a check while it waits for the server, and gives what it tells in the end.
    fn watched(self, options: &[&str], look: impl FnOnce(u32)) -> Json {
        let mut child = self.check(options).spawn().unwrap();
        let Ok(stream) = self.connections.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            panic!(
                "it never came: {}",
                stderr(&child.wait_with_output().unwrap())
            );
        };
        look(child.id());
        drop((stream, self.connections));
        json(&child.wait_with_output().unwrap())
    }
}

/// Does something in a namespace that `ip netns` knows, on a thread that goes there and ends.
fn within<T: Send + 'static>(name: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = File::open(format!("/run/netns/{name}")).unwrap();
    let act = move || {
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), kind).unwrap();
        act()
    };
    std::thread::spawn(act).join().unwrap()
}

/// The network namespace of each thread of a process.
fn networks(process: u32) -> Vec<u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let network = |thread: PathBuf| fs::metadata(thread.join("ns/net")).unwrap().ino();
    let networks: Vec<u64> = threads
        .map(|thread| network(thread.unwrap().path()))
        .collect();
    assert!(networks.len() > 1, "a check has several threads");
    networks
}

fn network_of(name: &str) -> u64 {
    fs::metadata(format!("/run/netns/{name}")).unwrap().ino()
}

/// What each thread of a process is: users, groups, capabilities, from its status.
fn identities(process: u32) -> BTreeSet<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status = threads.map(|thread| thread.unwrap().path().join("status"));
    let identity = |path: PathBuf| {
        let status = fs::read_to_string(path).unwrap();
        let wanted = ["Uid:", "Gid:", "Groups:", "CapPrm:", "CapEff:", "CapAmb:"];
        let lines = status
            .lines()
            .filter(|line| wanted.iter().any(|name| line.starts_with(name)))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("; ")
    };
    status.map(identity).collect()
}

const BOX: &str = "Uid: 4711 4711 4711 4711; Gid: 4711 4711 4711 4711; Groups: 4711 4712; \
    CapPrm: 0000000000000000; CapEff: 0000000000000000; CapAmb: 0000000000000000";

#[test]
fn every_thread_of_a_check_is_in_the_namespace_that_is_named_and_asks_its_name_server() {
    on_own_machine(|machine| {
        let report = Network::new(machine).watched(&["--netns=product"], |process| {
            let wanted = network_of("product");
            assert!(networks(process).iter().all(|network| *network == wanted));
        });
        assert_eq!(report["netns"], "product");
        assert_eq!(report["user"], Json::Null);
    })
    .unwrap();
}

#[test]
fn a_namespace_has_a_path_too_and_then_this_machines_name_servers() {
    on_own_machine(|machine| {
        let network = Network::new(machine);
        let mut holder = Command::new("ip");
        holder.args(["netns", "exec", "product", "sleep", "600"]);
        let holder = Ends(holder.spawn().unwrap());
        let path = format!("/proc/{}/ns/net", holder.0.id());
        let wanted = network_of("product");
        while fs::metadata(&path).unwrap().ino() != wanted {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        let option = format!("--netns={path}");
        let told = network.check(&[&option]).output().unwrap();
        assert_eq!(json(&told)["causes"][0]["kind"], "resolver-unavailable");
        let options = [&option, "--resolver=10.8.0.1"];
        let report = network.watched(&options, |process| {
            assert!(networks(process).iter().all(|network| *network == wanted));
        });
        assert_eq!(report["netns"], Json::from(path));
    })
    .unwrap();
}

#[test]
fn every_thread_of_a_check_is_the_user_with_their_groups_and_without_capabilities() {
    on_own_machine(|machine| {
        let options = ["--netns=/run/netns/product", "--user=box"];
        let report = Network::new(machine).watched(&options, |process| {
            assert_eq!(identities(process), BTreeSet::from([BOX.to_owned()]));
            let wanted = network_of("product");
            assert!(networks(process).iter().all(|network| *network == wanted));
        });
        assert_eq!(report["netns"], "/run/netns/product");
        assert_eq!(report["user"], "box");
    })
    .unwrap();
}

#[test]
fn the_forms_of_a_report_say_where_and_as_whom_it_was_run() {
    on_own_machine(|machine| {
        machine.shell("ip netns add product").unwrap();
        let told = |form: &[&str]| {
            let fixed = ["check", "homag-cube", "--netns=product", "--user=nobody"];
            let alone = ["--resolver=127.0.0.1:1", "--timeout=1"];
            stdout(&outgate(fixed.iter().chain(&alone).chain(form)))
        };
        let table = told(&[]);
        assert!(
            table.contains("in network namespace product as user nobody:"),
            "{table}"
        );
        let page = told(&["--html", "--lang=de"]);
        assert!(
            page.contains("im Netz-Namensraum product, als Benutzer nobody"),
            "{page}"
        );
        let plan: Json = serde_json::from_str(&told(&["--plan", "--json"])).unwrap();
        assert_eq!(
            (&plan["netns"], &plan["user"]),
            (&"product".into(), &"nobody".into())
        );
    })
    .unwrap();
}

/// How a check of a CUBE ends that is put in this place, and what it says.
fn refused(place: &[&str]) -> (Option<i32>, String) {
    let told = outgate(["check", "homag-cube", "--plan"].iter().chain(place));
    (told.status.code(), stderr(&told))
}

#[test]
fn what_is_no_namespace_is_refused_with_those_that_there_are() {
    on_own_machine(|machine| {
        let (code, said) = refused(&["--netns=produkt"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains("no network namespace `produkt`: `ip netns` knows none"),
            "{said}"
        );
        let script = "ip netns add product; touch /run/netns/left-over";
        machine.shell(script).unwrap();
        for (place, why) in [
            ("produkt", "did you mean `product`?"),
            ("-all", "no network namespace `-all`"),
            ("..", "no network namespace `..`"),
            (
                "left-over",
                "/run/netns/left-over is not a network namespace",
            ),
            ("/etc/passwd", "/etc/passwd is not a network namespace"),
            ("/nowhere", "failed to open /nowhere"),
            ("/proc/self/ns/mnt", "failed to enter /proc/self/ns/mnt"),
            ("", "--netns needs a name or a path"),
        ] {
            let (code, said) = refused(&[&format!("--netns={place}")]);
            assert_eq!(code, Some(2), "{place}: {said}");
            assert!(said.contains(why), "{place}: {said}");
        }
        for user in ["no-such-user", "-u", ""] {
            let (code, said) = refused(&[&format!("--user={user}")]);
            assert_eq!(code, Some(2), "{user}: {said}");
            assert!(
                said.contains(&format!("there is no user `{user}`")),
                "{said}"
            );
        }
    })
    .unwrap();
}

#[test]
fn without_the_right_or_the_program_it_is_said_what_is_needed() {
    on_own_machine(|machine| {
        machine.shell("ip netns add product").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Where the tests were built may be closed to others.
        let own = folder.path().join("outgate");
        fs::copy(env!("CARGO_BIN_EXE_outgate"), &own).unwrap();
        let as_nobody = |place: &str| {
            let output = Command::new("setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&own)
                .args(["check", "homag-cube", "--plan", place])
                .output()
                .unwrap();
            (output.status.code(), stderr(&output))
        };
        for place in ["--netns=product", "--user=root"] {
            let (code, said) = as_nobody(place);
            assert_eq!(code, Some(2), "{said}");
            assert!(said.contains("only root may"), "{said}");
        }
        assert_eq!(as_nobody("--user=nobody"), (Some(0), String::new()));
        let nothing = tempfile::tempdir().unwrap();
        for (place, wanted) in [
            ("--netns=product", "iproute2"),
            ("--user=root", "coreutils"),
        ] {
            let output = Command::new(&own)
                .args(["check", "homag-cube", "--plan", place])
                .env("PATH", nothing.path())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(1));
            assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
        }
    })
    .unwrap();
}

#[test]
fn the_commands_of_the_book_that_name_a_namespace_work_where_there_is_one() {
    on_own_machine(|machine| {
        machine.shell("ip netns add product").unwrap();
        let all = commands(&root().join("docs/book/check.md"));
        let shown = all.iter().filter(|line| line.contains(" --netns "));
        let shown: Vec<&String> = shown.collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        for line in shown {
            let output = outgate(line.split(' ').skip(1));
            assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
        }
    })
    .unwrap();
}

#[test]
fn a_stray_variable_does_not_make_a_check_believe_that_it_is_there_already() {
    on_own_machine(|machine| {
        machine
            .shell("ip netns add product; ip -n product link set lo up")
            .unwrap();
        // Nobody else can have the number of a process that runs.
        let own = std::process::id().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_outgate"))
            .args(["check", "homag-cube", "--plan", "--netns=nowhere"])
            .env("OUTGATE_NETNS_ENTERED", own)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    })
    .unwrap();
}
