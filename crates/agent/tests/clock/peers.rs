//! Time told by chrony.

use std::net::SocketAddr;
use std::process::Command;

use outgate_agent::status::Board;
use outgate_testbed::Program;
use outgate_wire::ntp::Request;
use tempfile::TempDir;

use super::off;
use super::servers::{Wrong, keep, keeper, shown};

/// With `source`, chrony serves the machine's own time; without, it has none.
fn chrony(folder: &TempDir, source: &str) -> (Program, SocketAddr) {
    let at = outgate_testbed::free().unwrap();
    let (root, port) = (folder.path().display(), at.port());
    let configuration = format!(
        "{source}\nport {port}\nbindaddress 127.0.0.1\nallow\ncmdport 0\nbindcmdaddress /\n\
         user root\npidfile {root}/pid-{port}\ndriftfile {root}/drift-{port}\n"
    );
    let file = folder.path().join(format!("chrony-{port}.conf"));
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new("chronyd");
    command.args(["-x", "-d", "-U", "-f"]).arg(file);
    let program = Program::start_until(&mut command, folder.path(), at, answers).unwrap();
    (program, at)
}

/// Whether it answers at all.
pub(crate) fn answers(at: SocketAddr) -> bool {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let wait = std::time::Duration::from_millis(100);
    socket.set_read_timeout(Some(wait)).unwrap();
    let asked = socket.send_to(&Request::new(1).encode(), at);
    asked.is_ok() && socket.recv(&mut [0; 1_024]).is_ok()
}

#[tokio::test]
async fn chrony_tells_a_machine_in_1970_what_time_it_is() {
    let folder = TempDir::new().unwrap();
    let (_unset, unset) = chrony(&folder, "");
    let (_right, right) = chrony(&folder, "local stratum 3");
    let board = Board::new(None);
    let keeper = keeper(folder.path(), &board, &[unset, right], Wrong::In1970);
    let _keeping = keep(&keeper);
    let status = shown(&board, |status| status.clock.trusted).await;
    assert_eq!(status.clock.source, Some(format!("configured {right}")));
    assert_eq!(status.clock.asked[0].refused.len(), 1);
    assert!(off(&keeper) <= 1);
}
