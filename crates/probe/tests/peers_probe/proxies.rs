//! Proxies of three makers: squid, tinyproxy and microsocks.

use std::process::Command;

use outgate_testbed::squid;
use tempfile::TempDir;

use crate::peer::{Peer, free_port, write};

/// The only login that any of them takes.
pub(crate) const LOGIN: (&str, &str) = ("alice", "open sesame");

/// How a squid is set up.
pub(crate) struct Squid<'a> {
    /// Whether it asks for a login.
    pub(crate) login: bool,
    /// Whether it is spoken to inside TLS, with this certificate and key in one PEM.
    pub(crate) tls: Option<&'a str>,
    /// Lines of the test's own, before those that allow everything.
    pub(crate) lines: &'a str,
}

impl Squid<'_> {
    pub(crate) const PLAIN: Self = Self {
        login: false,
        tls: None,
        lines: "",
    };

    pub(crate) fn start(&self) -> Peer {
        let directory = TempDir::new().unwrap();
        let port = free_port();
        let root = directory.path().display().to_string();
        let listen = match self.tls {
            None => format!("http_port 127.0.0.1:{port}"),
            Some(pem) => {
                let file = write(&directory, "proxy.pem", pem);
                format!("https_port 127.0.0.1:{port} tls-cert={}", file.display())
            }
        };
        let login = if self.login {
            write(
                &directory,
                "users",
                format!("{}:{}\n", LOGIN.0, crypt(LOGIN.1)),
            );
            format!(
                "auth_param ntlm program {{usr}}/lib/squid/ntlm_fake_auth
                auth_param basic program {{usr}}/lib/squid/basic_ncsa_auth {root}/users
                auth_param basic realm proxy
                acl known proxy_auth REQUIRED
                http_access deny !known\n"
            )
        } else {
            String::new()
        };
        let lines = format!(
            "{listen}\n{}\n{login}http_access allow all
            dns_nameservers 127.0.0.1
            dns_timeout 1 seconds
            dns_retransmit_interval 1 seconds",
            self.lines
        );
        let mut command = squid(directory.path(), &lines).unwrap();
        Peer::tcp(&mut command, port, directory)
    }
}

pub(crate) fn tinyproxy(login: bool) -> Peer {
    let directory = TempDir::new().unwrap();
    let port = free_port();
    let login = if login {
        format!("BasicAuth {} {}\n", LOGIN.0, LOGIN.1.replace(' ', "-"))
    } else {
        String::new()
    };
    let configuration = format!("Port {port}\nListen 127.0.0.1\n{login}");
    let configuration = write(&directory, "tinyproxy.conf", configuration);
    let mut command = Command::new("tinyproxy");
    command.arg("-d").arg("-c").arg(configuration);
    Peer::tcp(&mut command, port, directory)
}

pub(crate) fn microsocks(login: bool) -> Peer {
    let port = free_port();
    let mut command = Command::new("microsocks");
    command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
    if login {
        command.args(["-u", LOGIN.0, "-P", LOGIN.1]);
    }
    Peer::tcp(&mut command, port, TempDir::new().unwrap())
}

fn crypt(password: &str) -> String {
    let output = Command::new("openssl")
        .args(["passwd", "-apr1", password])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
