//! The same with other people's inspectors and proxies: sslsplit, squid and mitmproxy.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use outgate_testbed::{MITMPROXY_CA, Program, free, installed, mitmdump, squid};
use tempfile::TempDir;

use super::Vendor;

/// A company's own authority.
struct Company {
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Company {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // squid lets go of root's rights.
        open_to_all(folder.path());
        let certificate = folder.path().join("company.pem");
        let key = folder.path().join("company.key");
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        openssl.args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=Company CA"]);
        openssl.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        openssl
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        succeeded(openssl.output().unwrap());
        open_to_all(&key);
        Self {
            folder,
            certificate,
            key,
        }
    }

    /// sslsplit between clients and the hub.
    fn sslsplit(&self, hub: SocketAddr) -> (Program, SocketAddr) {
        let address = free().unwrap();
        let mut command = Command::new("sslsplit");
        command.args(["-P", "-u", "root", "-k"]).arg(&self.key);
        command.arg("-c").arg(&self.certificate);
        command.args(["ssl", "127.0.0.1", &address.port().to_string()]);
        command.args([hub.ip().to_string(), hub.port().to_string()]);
        (self.start(&mut command, address), address)
    }

    /// squid, with `bumping` one that opens TLS.
    fn squid(&self, bumping: bool) -> (Program, SocketAddr) {
        let address = free().unwrap();
        let root = self.folder.path().display().to_string();
        let (options, bump) = if bumping {
            let maker = installed("security_file_certgen").unwrap();
            self.certificates(&maker);
            let options = format!(
                " ssl-bump tls-cert={} tls-key={} generate-host-certificates=on",
                self.certificate.display(),
                self.key.display()
            );
            let bump = format!(
                "sslcrtd_program {} -s {root}/certificates -M 4MB
                tls_outgoing_options flags=DONT_VERIFY_PEER
                acl hello at_step SslBump1
                ssl_bump peek hello
                ssl_bump bump all\n",
                maker.display()
            );
            (options, bump)
        } else {
            (String::new(), String::new())
        };
        let lines = format!(
            "http_port {address}{options}
            {bump}http_access allow all
            hosts_file {root}/hosts
            dns_nameservers 127.0.0.1"
        );
        let hosts = self.folder.path().join("hosts");
        std::fs::write(hosts, "127.0.0.1 hub.test\n").unwrap();
        let mut command = squid(self.folder.path(), &lines).unwrap();
        (self.start(&mut command, address), address)
    }

    /// The folder in which squid keeps the certificates that it makes.
    fn certificates(&self, program: &Path) {
        let folder = self.folder.path().join("certificates");
        let mut making = Command::new(program);
        making.arg("-c").arg("-s").arg(&folder).args(["-M", "4MB"]);
        succeeded(making.output().unwrap());
        for entry in ["", "certs", "index.txt", "size"] {
            open_to_all(&folder.join(entry));
        }
    }

    fn start(&self, command: &mut Command, address: SocketAddr) -> Program {
        let listens = |address| std::net::TcpStream::connect(address).is_ok();
        Program::start_until(command, self.folder.path(), address, listens).unwrap()
    }
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn succeeded(output: Output) {
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn sslsplit_is_found_out_where_its_authority_is_trusted() {
    let (vendor, company) = (Vendor::new(), Company::new());
    let (_program, to) = company.sslsplit(vendor.address);
    let trusted = [vendor.ca(), company.certificate.clone()];
    let found = vendor.check(&vendor.to(to), &trusted, &[]);
    assert_eq!(found.told(), ("warn", "different", vec!["tls-inspected"]));
    assert_eq!(found.0["causes"][0]["subject"], "CN=Company CA");
    let found = vendor.check(&vendor.to(to), &[vendor.ca()], &[]);
    assert_eq!(found.told(), ("fail", "different", vec!["tls-inspected"]));
}

#[test]
fn a_squid_that_hands_tls_on_is_no_inspector_whatever_the_authority() {
    let (vendor, company) = (Vendor::new(), Company::new());
    let (_program, squid) = company.squid(false);
    let proxy = format!("--proxy=http://{squid}");
    let found = vendor.check(&proxy, &[vendor.ca()], &[]);
    assert_eq!(found.told(), ("pass", "same", vec![]));
    assert_eq!(found.seen()["translated"], serde_json::Value::Null);
    let found = vendor.check(&proxy, &[], &[]);
    assert_eq!(found.told(), ("fail", "same", vec!["certificate-private"]));
}

#[test]
fn a_squid_that_opens_tls_is_found_out_where_its_authority_is_trusted() {
    let (vendor, company) = (Vendor::new(), Company::new());
    let (program, squid) = company.squid(true);
    let proxy = format!("--proxy=http://{squid}");
    let trusted = [vendor.ca(), company.certificate.clone()];
    let found = vendor.check(&proxy, &trusted, &[]);
    let log = program.log();
    assert_eq!(
        found.told(),
        ("warn", "different", vec!["tls-inspected"]),
        "{log}"
    );
    let added = found.seen()["added"].to_string();
    assert!(added.contains("via: 1.1 squid.test"), "{added}");
    let found = vendor.check(&proxy, &[vendor.ca()], &[]);
    assert_eq!(found.told(), ("fail", "different", vec!["tls-inspected"]));
}

#[test]
fn a_mitmproxy_is_found_out_and_named_whether_it_is_trusted_or_not() {
    let (vendor, company) = (Vendor::new(), Company::new());
    let address = free().unwrap();
    let mut command = mitmdump(company.folder.path(), address, RESOLVES).unwrap();
    command.arg("--ssl-insecure");
    let _program = company.start(&mut command, address);
    let proxy = format!("--proxy=http://{address}");
    let authority = company.folder.path().join(MITMPROXY_CA);
    for (trusted, outcome) in [
        (&[vendor.ca(), authority][..], "warn"),
        (&[vendor.ca()], "fail"),
    ] {
        let found = vendor.check(&proxy, trusted, &[]);
        assert_eq!(found.told(), (outcome, "different", vec!["tls-inspected"]));
        let cause = &found.0["causes"][0];
        let subject = cause["subject"].as_str().unwrap();
        assert!(subject.contains("CN=mitmproxy"), "{subject}");
        let text = cause["what"].as_str().unwrap();
        assert!(text.contains("(mitmproxy)"), "{text}");
    }
}

/// Where the hub of the tests lies.
const RESOLVES: &str = r#"
def server_connect(data):
    data.server.address = ("127.0.0.1", data.server.address[1])
"#;
