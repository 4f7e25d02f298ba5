//! Through squid, by CONNECT, as whoever has a proxy brings it.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use futures_util::future::BoxFuture;
use outgate_signalr_client::Transport;
use outgate_signalr_client::connect::{Authority, Connect, Stream};
use outgate_testbed::{Program, free};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hub::{Stage, exercise, transport, ways};

struct Squid {
    _program: Program,
    address: SocketAddr,
    _folder: TempDir,
}

impl Squid {
    async fn start(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // squid lets go of root's rights.
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), everybody).unwrap();
        let root = folder.path().display();
        let usr = program("squid").parent().unwrap().join("..");
        let usr = usr.display();
        let address = free().unwrap();
        let configuration = format!(
            "http_port {address}
            {lines}
            http_access allow all
            visible_hostname squid.test
            dns_nameservers 127.0.0.1
            cache deny all
            cache_mem 1 MB
            pid_filename none
            pinger_enable off
            netdb_filename none
            unlinkd_program /bin/true
            shutdown_lifetime 0 seconds
            coredump_dir {root}
            access_log none
            cache_log {root}/cache.log
            mime_table {usr}/share/squid/mime.conf
            icon_directory {usr}/share/squid/icons
            error_directory {usr}/share/squid-langpack/templates\n"
        );
        let file = folder.path().join("squid.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new("squid");
        command.arg("-N").arg("-f").arg(file);
        let program = Program::start(&mut command, folder.path(), address).await;
        Self {
            _program: program.unwrap(),
            address,
            _folder: folder,
        }
    }
}

/// Where a program lies.
fn program(name: &str) -> std::path::PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} is missing; `cargo xtask test` installs it"))
}

/// Goes through a proxy (RFC 9110 §9.3.6).
struct Through(SocketAddr);

impl Connect for Through {
    fn connect<'a>(&'a self, to: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let mut stream = TcpStream::connect(self.0).await?;
            let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            if !head.starts_with(b"HTTP/1.1 200") {
                let head = String::from_utf8_lossy(&head).into_owned();
                return Err(io::Error::other(head));
            }
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

#[tokio::test]
async fn every_transport_goes_through_squid() {
    let squid = Squid::start("").await;
    for (only, protocol) in ways() {
        let mut stage = Stage::new().await;
        let builder = stage.client().connect(Through(squid.address));
        let builder = builder.transports(&[only]).protocol(protocol);
        let client = builder.build().unwrap();
        client.start().await.unwrap();
        assert_eq!(transport(&client), only);
        exercise(&mut stage, &client).await;
        client.stop().await;
    }
}

#[tokio::test]
async fn a_squid_that_cuts_what_is_quiet_is_outlasted_by_pings() {
    let squid = Squid::start("read_timeout 2 seconds").await;
    let stage = Stage::new().await;
    let builder = stage.client().connect(Through(squid.address));
    let builder = builder.transports(&[Transport::WebSockets]);
    let builder = builder.keep_alive(std::time::Duration::from_millis(200));
    let client = builder.build().unwrap();
    client.start().await.unwrap();
    // The quiet time that squid does not bear.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    client.invoke::<()>("Nothing", ()).await.unwrap();
}
