//! Namespaces, cables, addresses and routes.

use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::enter::Inside;
use crate::site::SiteError;
use crate::topology::{
    DEVICE, NEIGHBOUR, NOBODY, PROVIDER, ROUTER, SERVERS, SERVICES, SITE_V6, WAN,
};

/// The namespaces of a site.
const NAMESPACES: [&str; 5] = ["router", "device", "neighbour", "services", "internet"];

/// Settings of the kernel, below `/proc/sys/net`, by namespace.
const SETTINGS: [(&str, &str, &str); 8] = [
    ("router", "ipv4/ip_forward", "1"),
    ("router", "ipv6/conf/all/forwarding", "1"),
    // A refusal that is held back for being one too many would look like silence.
    ("router", "ipv4/icmp_ratelimit", "0"),
    ("router", "ipv6/icmp/ratelimit", "0"),
    ("internet", "ipv4/icmp_ratelimit", "0"),
    ("internet", "ipv6/icmp/ratelimit", "0"),
    // Servers listen at addresses that are routed here and that no device has.
    ("internet", "ipv4/ip_nonlocal_bind", "1"),
    ("internet", "ipv6/ip_nonlocal_bind", "1"),
];

/// The same, where the kernel has them for each namespace (from Linux 6.12 on): as they are, a
/// kernel sends fifty errors in a row and a thousand a second, to whomever they go. A check that
/// tries a range of ports asks for more, and which of its flows were answered would be luck.
const SETTINGS_IF_THERE: [(&str, &str, &str); 4] = [
    ("router", "ipv4/icmp_msgs_per_sec", "100000"),
    ("router", "ipv4/icmp_msgs_burst", "100000"),
    ("internet", "ipv4/icmp_msgs_per_sec", "100000"),
    ("internet", "ipv4/icmp_msgs_burst", "100000"),
];

/// Builds all of it, with nothing wrong yet. Machines send each segment of TCP in a packet of its own
/// (`gso_max_segs 1`), as it would be on a cable: what counts packets or their lengths counts right.
pub(crate) fn build(_: &Inside) -> Result<(), SiteError> {
    add_namespaces(&NAMESPACES)?;
    for (namespace, key, value) in SETTINGS {
        set(namespace, key, value)?;
    }
    for (namespace, key, value) in SETTINGS_IF_THERE {
        set_if_there(namespace, key, value)?;
    }
    ip(Some("router"), &router())?;
    for (name, addresses) in [
        ("device", DEVICE),
        ("neighbour", NEIGHBOUR),
        ("services", SERVICES),
    ] {
        let [gateway, gateway_v6] = ROUTER;
        let own = format!(
            "link set lo up\nlink set eth0 gso_max_segs 1 up\n\
             addr add {}/24 dev eth0\naddr add {}/64 dev eth0 nodad\n\
             route add 0.0.0.0/0 via {gateway}\nroute add ::/0 via {gateway_v6}\n",
            addresses[0], addresses[1]
        );
        ip(Some(name), &own)?;
    }
    ip(Some("internet"), &internet())
}

/// Adds namespaces, in which addresses can be used at once.
pub(crate) fn add_namespaces(names: &[&str]) -> Result<(), SiteError> {
    let add: String = names
        .iter()
        .map(|name| format!("netns add {name}\n"))
        .collect();
    ip(None, &add)?;
    for name in names {
        // Nobody else is here whose addresses could be ours; looking for them takes two seconds.
        for scope in ["all", "default"] {
            set(name, &format!("ipv6/conf/{scope}/accept_dad"), "0")?;
        }
    }
    Ok(())
}

/// Changes a setting of the kernel, below `/proc/sys/net`.
pub(crate) fn set(namespace: &str, key: &str, value: &str) -> Result<(), SiteError> {
    let write = || std::fs::write(format!("/proc/sys/net/{key}"), value);
    inside(namespace, write)?.map_err(|source| SiteError::Setting {
        key: key.to_owned(),
        source,
    })
}

/// Changes a setting that older kernels do not have in a namespace.
fn set_if_there(namespace: &str, key: &str, value: &str) -> Result<(), SiteError> {
    match set(namespace, key, value) {
        Err(SiteError::Setting { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(())
        }
        outcome => outcome,
    }
}

fn router() -> String {
    let mut lines = String::from("link set lo up\nlink add lan type bridge\n");
    for end in ["device", "neighbour", "services"] {
        let short = &end[..3];
        lines.push_str(&format!(
            "link add lan-{short} type veth peer name eth0 netns {end}\n\
             link set lan-{short} master lan up\n"
        ));
    }
    let ([lan, lan_v6], [wan, wan_v6], [up, up_v6]) = (ROUTER, WAN, PROVIDER);
    lines.push_str(&format!(
        "link set lan up\nlink add wan type veth peer name eth0 netns internet\nlink set wan up\n\
         addr add {lan}/24 dev lan\naddr add {lan_v6}/64 dev lan nodad\n\
         addr add {wan}/24 dev wan\naddr add {wan_v6}/64 dev wan nodad\n\
         route add 0.0.0.0/0 via {up}\nroute add ::/0 via {up_v6}\n"
    ));
    lines
}

fn internet() -> String {
    let ([own, own_v6], [_, site_v6]) = (PROVIDER, WAN);
    let [servers, servers_v6] = SERVERS;
    format!(
        "link set lo up\nlink set eth0 gso_max_segs 1 up\n\
         addr add {own}/24 dev eth0\naddr add {own_v6}/64 dev eth0 nodad\n\
         route add local {servers} dev lo\nroute add local {servers_v6} dev lo\n\
         route add {SITE_V6} via {site_v6}\n"
    )
}

/// Has `ip` do these lines, in a namespace unless it is about namespaces.
pub(crate) fn ip(namespace: Option<&str>, lines: &str) -> Result<(), SiteError> {
    let mut words: Vec<&str> = namespace.map_or_else(Vec::new, |name| vec!["-n", name]);
    words.extend(["-batch", "-"]);
    feed("ip", &words, lines)
}

/// Loads rules of nftables.
pub(crate) fn load_rules(_: &Inside, namespace: &str, rules: &str) -> Result<(), SiteError> {
    let place = format!("--net=/run/netns/{namespace}");
    feed("nsenter", &[&place, "nft", "-f", "-"], rules)
}

/// Has the router lead to nobody what goes to these addresses.
pub(crate) fn lose(_: &Inside, lost: &[IpAddr]) -> Result<(), SiteError> {
    let lines: String = lost
        .iter()
        .map(|address| {
            let [v4, v6] = NOBODY;
            let (length, nobody) = if address.is_ipv4() {
                (32, v4)
            } else {
                (128, v6)
            };
            format!("route add {address}/{length} via {nobody}\n")
        })
        .collect();
    ip(Some("router"), &lines)
}

/// The number of the only cable of a namespace that this thread is in.
pub(crate) fn own_cable() -> Result<u32, SiteError> {
    let number = || -> io::Result<u32> {
        let socket = rustix::net::socket(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::DGRAM,
            None,
        )?;
        Ok(rustix::net::netdevice::name_to_index(socket, "eth0")?)
    };
    number().map_err(|source| SiteError::Join { source })
}

/// Runs a program with this text as its input.
fn feed(program: &'static str, words: &[&str], text: &str) -> Result<(), SiteError> {
    let run = || -> io::Result<_> {
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(text.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(|source| SiteError::Start { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(SiteError::Program {
        program: format!("{program} {}", words.join(" ")),
        told: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Does something in a thread that is in one of the namespaces.
fn inside<T: Send>(namespace: &str, act: impl FnOnce() -> T + Send) -> Result<T, SiteError> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| join(namespace).map(|()| act()));
        thread.join().map_err(|_| SiteError::Thread)?
    })
}

/// Moves this thread into a namespace.
pub(crate) fn join(namespace: &str) -> Result<(), SiteError> {
    let enter = || -> io::Result<()> {
        let namespace = File::open(format!("/run/netns/{namespace}"))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    };
    enter().map_err(|source| SiteError::Join { source })
}
