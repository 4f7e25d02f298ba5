//! A real proxy in front.

use std::process::Command;

use outgate_door::{Listener, Protocol};
use outgate_testbed::{Program, free};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::Client;
use crate::place::{Place, patient, tls};

#[tokio::test]
async fn haproxy_says_who_is_behind_it() {
    let listener = Listener {
        proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..tls()
    };
    let mut place = Place::with(listener, patient());
    let front = free().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = place.address;
    let configuration = format!(
        "global\n  maxconn 64\ndefaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  \
         timeout server 60s\nfrontend in\n  bind {front}\n  default_backend hub\nbackend hub\n  \
         server hub {server} send-proxy-v2 proxy-v2-options ssl,cert-cn,unique-id\n"
    );
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(&file);
    let _haproxy = Program::start(&mut command, folder.path(), front)
        .await
        .unwrap();
    let client = Client::trusting(&place.authority()).offering(&["mqtt"]);
    let mut connection = client.connect(front).await.unwrap();
    let (protocol, facts) = place.arrival().await;
    assert_eq!(protocol, Protocol::Mqtt);
    assert_eq!(facts.peer, connection.get_ref().0.local_addr().unwrap());
    assert_eq!(facts.local, front);
    connection.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    connection.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
}
