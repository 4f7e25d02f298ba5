//! A device and the world around it: links, names, certificates, servers and proxies, all of them
//! other people's programs.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use outgate_standin::{Authority, Identity, Validity};
use outgate_testbed::{OwnMachine, Program, squid};
use tempfile::TempDir;

/// The device stands in the machine's own network, with two links; `world` has all servers;
/// `product`, `quarantine` and `branch` are networks beside the device's own.
const NETWORK: &str = "
    ip netns add world
    ip -n world link set lo up
    link() { # namespace, device there, device in the world, net
        ip link add \"$2\" netns \"$1\" type veth peer name \"$3\" netns world
        ip -n \"$1\" addr add \"$4.2/24\" dev \"$2\"
        ip -n world addr add \"$4.1/24\" dev \"$3\"
        ip -n \"$1\" link set dev \"$2\" up
        ip -n world link set dev \"$3\" up
    }
    ip netns attach device $$
    link device wan site 10.8.0
    ip addr add 10.8.0.3/24 dev wan
    ip addr add fd08::2/64 dev wan nodad
    ip -n world addr add 10.8.0.9/24 dev site
    ip -n world addr add fd08::1/64 dev site nodad
    link device lte mast 10.9.0
    ip route add default via 10.9.0.1 metric 500
    third=10
    for name in product quarantine branch; do
        ip netns add $name
        ip -n $name link set lo up
        link $name wan $name 10.$third.0
        ip -n $name route add default via 10.$third.0.1
        mkdir -p /etc/netns/$name
        echo nameserver 10.8.0.1 > /etc/netns/$name/resolv.conf
        third=$((third + 1))
    done
    ip netns exec quarantine nft 'add table inet site
        add chain inet site out { type filter hook output priority 0; }
        add rule inet site out tcp dport 443 reject with tcp reset'
    echo nameserver 10.8.0.9 > /etc/netns/branch/resolv.conf
    echo nameserver 10.8.0.1 > /etc/resolv.conf
    echo box:x:4711:4711::/nowhere:/bin/false >> /etc/passwd
    echo box:x:4711: >> /etc/group
    echo nobody:x:65534: >> /etc/group";

/// What the world's first name server knows, all of it below box.test.
const NAMES: [&str; 8] = [
    "api", "stranger", "other", "expired", "old", "older", "new", "mutual",
];

/// The names of the certificate of `api`.
const RIGHT: [&str; 7] = ["api", "six", "inside", "old", "older", "new", "mutual"];

const WEB: &str = "
daemon off; master_process off; pid web.pid; error_log stderr;
events { }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    ssl_certificate api.chain; ssl_certificate_key api.key;
    server { listen 80; listen [::]:80; return 200 here; }
    server { listen 443 ssl; listen [::]:443 ssl; return 200 here; }
    server {
        listen 443 ssl; listen [::]:443 ssl; server_name stranger.box.test; return 200 here;
        ssl_certificate stranger.chain; ssl_certificate_key stranger.key;
    }
    server {
        listen 443 ssl; listen [::]:443 ssl; server_name expired.box.test; return 200 here;
        ssl_certificate expired.chain; ssl_certificate_key expired.key;
    }
    server {
        listen 8411 ssl; ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0; return 200 here;
    }
    server { listen 8412 ssl; ssl_protocols TLSv1.2; return 200 here; }
    server { listen 8413 ssl; ssl_protocols TLSv1.3; return 200 here; }
}
";

const BROKER: &str = "
user root
allow_anonymous true
listener 1883
listener 8883
certfile api.chain
keyfile api.key
listener 8884
certfile stranger.chain
keyfile stranger.key
";

/// One squid that lets through, one port of it that forbids, and one that wants a login.
const SQUID: &str = "
http_port 10.8.0.1:3128
http_port 10.8.0.1:3129
http_port 10.8.0.1:3130
auth_param basic program {usr}/lib/squid/basic_ncsa_auth {users}
acl forbids localport 3129
acl asks localport 3130
acl known proxy_auth REQUIRED
http_access deny forbids
http_access deny asks !known
http_access allow all
";

/// Another that knows no login but those of Windows. Nobody's is right.
const SQUID_OF_WINDOWS: &str = "
http_port 10.8.0.1:3131
auth_param negotiate program /bin/cat
auth_param ntlm program {usr}/lib/squid/ntlm_fake_auth
acl known proxy_auth REQUIRED
http_access deny !known
http_access allow all
";

/// What both have.
const NAMES_OF_SQUIDS: &str = "
dns_nameservers 10.8.0.1
hosts_file none
";

/// Everything, until it is dropped.
pub(super) struct Site<'a> {
    machine: &'a OwnMachine,
    folder: TempDir,
    programs: Vec<Program>,
}

impl<'a> Site<'a> {
    pub(super) fn new(machine: &'a OwnMachine) -> Self {
        machine.shell(NETWORK).unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Proxies let go of root's rights, and a check does as a user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let mut site = Self {
            machine,
            folder,
            programs: Vec::new(),
        };
        site.certify();
        site.serve_names();
        site.serve();
        site.lead();
        site
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the device this rule for what it sends, in place of what it had.
    pub(super) fn filter(&self, rule: &str) {
        let rule = match rule {
            "" => String::new(),
            rule => format!("add rule inet site out {rule}"),
        };
        let rules = format!(
            "flush ruleset
            add table inet site
            add chain inet site out {{ type filter hook output priority 0; }}
            {rule}"
        );
        self.write("device.nft", &rules);
        let file = self.folder().join("device.nft");
        let load = format!("nft -f {}", file.display());
        self.machine.shell(&load).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap();
    }

    /// Certificates of two authorities; one of them is put into the system's store.
    fn certify(&self) {
        let now = SystemTime::now();
        let company = Authority::named("Company CA", now).unwrap();
        let stranger = Authority::named("Stranger CA", now).unwrap();
        let full = |name: &str| format!("{name}.box.test");
        let issue = |authority: &Authority, names: &[&str], validity| {
            let names: Vec<String> = names.iter().map(|name| full(name)).collect();
            authority.issue(&names, validity).unwrap()
        };
        let around = Validity::around(now);
        self.keep("api", &issue(&company, &RIGHT, around));
        self.keep(
            "expired",
            &issue(&company, &["expired"], Validity::expired(now)),
        );
        self.keep("stranger", &issue(&stranger, &["stranger"], around));
        self.write("company.pem", &company.pem());
        self.write("stranger.pem", &stranger.pem());
        let folder = self.folder().display();
        let install = format!(
            "cp /etc/ssl/certs/ca-certificates.crt {folder}/mozilla.pem
            cat {folder}/company.pem >> /etc/ssl/certs/ca-certificates.crt
            cp {folder}/company.pem /etc/ssl/certs/company.pem
            ln -s company.pem /etc/ssl/certs/$(openssl x509 -hash -noout -in {folder}/company.pem).0
            mkdir {folder}/none"
        );
        self.machine.shell(&install).unwrap();
    }

    fn keep(&self, name: &str, identity: &Identity) {
        self.write(&format!("{name}.chain"), identity.chain_pem());
        self.write(&format!("{name}.key"), &identity.key_pem());
    }

    fn serve_names(&mut self) {
        let mut first: Vec<String> = NAMES
            .iter()
            .map(|name| format!("--host-record={name}.box.test,10.8.0.1"))
            .collect();
        first.push("--host-record=six.box.test,fd08::1".to_owned());
        let second = vec!["--host-record=inside.box.test,10.8.0.1".to_owned()];
        for (address, records) in [("10.8.0.1", first), ("10.8.0.9", second)] {
            let mut command = in_world("dnsmasq");
            command
                .args([
                    "--no-daemon",
                    "--conf-file=/dev/null",
                    "--no-resolv",
                    "--no-hosts",
                ])
                .args([
                    "--user=root",
                    "--pid-file=",
                    "--local=/test/",
                    "--bind-interfaces",
                ])
                .arg(format!("--listen-address={address}"))
                .args(records);
            self.start(command, &format!("{address}:53"));
        }
    }

    fn serve(&mut self) {
        self.write("web.conf", WEB);
        let mut web = in_world("nginx");
        web.arg("-p")
            .arg(self.folder())
            .args(["-e", "stderr", "-c"]);
        web.arg(self.folder().join("web.conf"));
        self.start(web, "10.8.0.1:8413");
        self.write("broker.conf", BROKER);
        let mut broker = in_world("mosquitto");
        broker.args(["-c", "broker.conf"]);
        self.start(broker, "10.8.0.1:8884");
        let mut mutual = in_world("openssl");
        mutual.args(["s_server", "-quiet", "-www", "-accept", "10.8.0.1:8440"]);
        mutual.args([
            "-cert",
            "api.chain",
            "-cert_chain",
            "api.chain",
            "-key",
            "api.key",
        ]);
        mutual.args(["-Verify", "1", "-CAfile", "company.pem", "-tls1_3"]);
        self.start(mutual, "10.8.0.1:8440");
    }

    fn lead(&mut self) {
        let hashed = Command::new("openssl")
            .args(["passwd", "-apr1", "opensesame"])
            .output()
            .unwrap();
        let hashed = String::from_utf8(hashed.stdout).unwrap();
        self.write("users", &format!("alice:{hashed}"));
        for (name, own, port) in [("squid", SQUID, 3130), ("windows", SQUID_OF_WINDOWS, 3131)] {
            let folder = self.folder().join(name);
            fs::create_dir(&folder).unwrap();
            let users = self.folder().join("users").display().to_string();
            let lines = format!("{own}{NAMES_OF_SQUIDS}").replace("{users}", &users);
            let command = squid(&folder, &lines).unwrap();
            let mut squid = in_world("squid");
            squid.args(command.get_args());
            self.start(squid, &format!("10.8.0.1:{port}"));
        }
        for (port, login) in [
            ("1080", [].as_slice()),
            ("1081", &["-u", "alice", "-P", "opensesame"]),
        ] {
            let mut socks = in_world("microsocks");
            socks.args(["-i", "10.8.0.1", "-p", port]).args(login);
            self.start(socks, &format!("10.8.0.1:{port}"));
        }
    }

    /// Starts a server in the world, and waits until it takes connections at this address.
    fn start(&mut self, mut command: Command, address: &str) {
        let address: SocketAddr = address.parse().unwrap();
        let ready = |address| TcpStream::connect(address).is_ok();
        let program = Program::start_until(&mut command, self.folder(), address, ready);
        self.programs.push(program.unwrap());
    }
}

fn in_world(program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", "world", program]);
    command
}
