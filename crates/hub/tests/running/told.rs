//! Clients by others that do what they are told, line by line: arrays of JSON go in, and arrays
//! come out that begin with what is said.

use std::process::Stdio;

use outgate_testbed::PATIENCE;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A client.
pub(crate) struct Client {
    _child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    /// What it has said while something else was waited for.
    before: Vec<Value>,
}

impl Client {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
            before: Vec::new(),
        }
    }

    /// Has it do something and gives what comes of it.
    pub(crate) async fn does(&mut self, order: Value) -> Value {
        self.told(&order).await;
        self.says("done").await
    }

    /// Tells it what to do.
    pub(crate) async fn told(&mut self, order: &Value) {
        let line = format!("{order}\n");
        self.to.write_all(line.as_bytes()).await.unwrap();
    }

    /// Waits until it says something of that kind; what else it says before is kept.
    pub(crate) async fn says(&mut self, kind: &str) -> Value {
        if let Some(at) = self.before.iter().position(|said| said[0] == kind) {
            return self.before.remove(at)[1].take();
        }
        let said = async {
            loop {
                let line = self.from.next_line().await.unwrap();
                let line = line.expect("the client has ended");
                let mut said: Value = serde_json::from_str(&line).unwrap();
                if said[0] == kind {
                    return said[1].take();
                }
                self.before.push(said);
            }
        };
        let said = tokio::time::timeout(PATIENCE, said).await;
        said.unwrap_or_else(|_| panic!("it says no {kind}"))
    }
}
