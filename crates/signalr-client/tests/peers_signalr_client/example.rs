//! The example, in a room of the server's example with Microsoft's client.

use std::path::{Path, PathBuf};

use outgate_testbed::{Example, packages, run};
use tokio::process::Command;

/// A package of this workspace.
fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Says hello as Ada, and gives what she hears: a line each, until somebody else has said
/// something.
async fn ada(url: &str) -> String {
    let modules = packages().unwrap().join("node/node_modules");
    let mut command = Command::new("node");
    command.args(["-e", include_str!("example.js")]);
    command.arg(modules).arg(url);
    run(&mut command).await.unwrap().1
}

#[tokio::test]
async fn two_in_a_room_hear_each_other_whosever_client_they_use() {
    let mut chat = Example::start(&package("signalr-server"), "chat", &[]).unwrap();
    let url = chat.line().await.unwrap();
    let arguments = [url.as_str(), "bob", "kitchen"];
    let mut bob = Example::start(&package("signalr-client"), "chat_client", &arguments).unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(bob.line().await.unwrap());
    }
    told.sort();
    let expected = ["(1 are here)", "(connected by WebSockets)", "(in kitchen)"];
    assert_eq!(told, expected);
    let bob_hears = async {
        assert_eq!(bob.line().await.unwrap(), "(2 are here)");
        assert_eq!(bob.line().await.unwrap(), "ada: hello");
        bob.say("hello, Ada").await.unwrap();
        let mut heard = [bob.line().await.unwrap(), bob.line().await.unwrap()];
        heard.sort();
        assert_eq!(heard, ["(2 hear it)", "bob: hello, Ada"]);
    };
    let (ada, ()) = tokio::join!(ada(&url), bob_hears);
    assert_eq!(ada, "ada: hello\n2 hear it\nbob: hello, Ada\n");
    assert_eq!(bob.line().await.unwrap(), "(1 are here)");
    assert!(bob.end().await.unwrap());
}
