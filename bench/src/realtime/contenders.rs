//! The servers that are compared.

use std::path::PathBuf;

use anyhow::ensure;

use super::dialect::Dialect;
use super::link::Target;
use crate::process::Running;
use crate::servers::{Programs, Stage, free_port, wait_for};

/// A server that may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    program: Program,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// The product, whose devices these clients are.
    Hub,
    /// That of this package, with the library's name.
    Rust(&'static str),
    /// The script, with the package's name.
    Node(&'static str),
}

/// What the ratios are to.
pub(crate) const AGAINST: &str = "socketioxide";

/// All of them.
pub(crate) const ALL: [Contender; 6] = [
    Contender {
        name: "outgate, JSON",
        dialect: Dialect::Json,
        program: Program::Rust("signalr"),
    },
    Contender {
        name: "outgate, MessagePack",
        dialect: Dialect::MessagePack,
        program: Program::Rust("signalr"),
    },
    Contender {
        name: "outgate hub, JSON",
        dialect: Dialect::Json,
        program: Program::Hub,
    },
    Contender {
        name: AGAINST,
        dialect: Dialect::SocketIo,
        program: Program::Rust("socketioxide"),
    },
    Contender {
        name: "socket.io",
        dialect: Dialect::SocketIo,
        program: Program::Node("socket.io"),
    },
    Contender {
        name: "ws",
        dialect: Dialect::Echo,
        program: Program::Node("ws"),
    },
];

/// One that runs.
pub(crate) struct Server {
    pub(crate) target: Target,
    pub(crate) running: Running,
}

impl Contender {
    pub(crate) fn is_the_hub(self) -> bool {
        self.program == Program::Hub
    }

    /// Starts it, over TLS or without.
    pub(crate) async fn start(
        self,
        programs: &Programs,
        stage: &Stage,
        tls: bool,
    ) -> anyhow::Result<Server> {
        let port = free_port()?;
        let mut arguments: Vec<String> = Vec::new();
        let program = match self.program {
            Program::Hub => return self.hub(programs, stage).await,
            Program::Rust(library) => {
                arguments.push(library.to_owned());
                beside_this()?
            }
            Program::Node(package) => {
                let script = stage.folder().join("realtime.mjs");
                std::fs::write(&script, include_str!("../realtime.mjs"))?;
                let modules = programs.node.join("node_modules");
                arguments.extend([script, modules].map(|path| path.display().to_string()));
                arguments.push(package.to_owned());
                PathBuf::from("node")
            }
        };
        arguments.push(port.to_string());
        if tls {
            let files = ["cert.pem", "key.pem"].map(|name| stage.folder().join(name));
            arguments.extend(files.map(|path| path.display().to_string()));
        }
        let running = Running::start(&program, &arguments)?;
        wait_for(port).await?;
        let target = Target {
            dialect: self.dialect,
            port,
            tls: tls.then(|| stage.tls()),
            token: None,
        };
        Ok(Server { target, running })
    }

    async fn hub(self, programs: &Programs, stage: &Stage) -> anyhow::Result<Server> {
        let hub = stage.hub(programs).await?;
        let target = Target {
            dialect: self.dialect,
            port: hub.target.port,
            tls: Some(stage.tls()),
            token: Some(hub.login.password),
        };
        let running = hub.running;
        Ok(Server { target, running })
    }
}

/// The program with the servers in Rust, which is built together with this one.
fn beside_this() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("outgate-bench-realtime");
    ensure!(program.exists(), "{} is missing", program.display());
    Ok(program)
}
