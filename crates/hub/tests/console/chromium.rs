//! Chromium without a screen, driven by its own protocol (Chrome DevTools Protocol 1.3).

use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Nothing in these tests takes longer, unless it will never come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How it is started.
const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    // As root there is no sandbox; what is shown is our own.
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // The hub's authority is made on the spot.
    "--ignore-certificate-errors",
    // Nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
    "--remote-debugging-port=0",
    "--window-size=1200,900",
];

/// A browser with one page.
pub(crate) struct Chromium {
    socket: WebSocketStream<TcpStream>,
    page: String,
    number: u64,
    /// Everything that the page has complained of: violations of the policy, exceptions, dialogs.
    pub(crate) complaints: Vec<String>,
    /// Everything that the page has asked for, itself included, by its URL.
    pub(crate) requests: Vec<String>,
    loads: usize,
    _child: Child,
    _home: TempDir,
}

impl Chromium {
    pub(crate) async fn new() -> Self {
        Self::at_home(tempfile::tempdir().unwrap()).await
    }

    /// One of a user whose home is that folder, with the profile in `chromium` below it.
    pub(crate) async fn at_home(home: TempDir) -> Self {
        let profile = home.path().join("chromium");
        let mut child = Command::new("chromium")
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .env("HOME", home.path())
            // Its sockets, which it leaves behind when it is killed.
            .env("TMPDIR", home.path())
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium is installed: run `cargo xtask peers`");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    return address.to_owned();
                }
            }
            panic!("chromium ended");
        })
        .await
        .expect("chromium starts");
        // Whoever writes on must not find the pipe full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let host = address.strip_prefix("ws://").unwrap().split('/').next();
        let stream = TcpStream::connect(host.unwrap()).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(&address, stream)
            .await
            .unwrap();
        let mut browser = Self {
            socket,
            page: String::new(),
            number: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            loads: 0,
            _child: child,
            _home: home,
        };
        let target = browser
            .ask("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", attach).await;
        attached["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.page);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Goes to an address and waits until it is loaded.
    pub(crate) async fn go(&mut self, address: &str) {
        let before = self.loads;
        self.ask("Page.navigate", json!({"url": address})).await;
        self.loaded_since(before).await;
    }

    /// Does something that leads to another page, and waits until that is loaded.
    pub(crate) async fn follow(&mut self, script: &str) {
        let before = self.loads;
        self.run(script).await;
        self.loaded_since(before).await;
    }

    /// Runs a script in the page and gives its value.
    pub(crate) async fn run(&mut self, script: &str) -> Value {
        let arguments = json!({
            "expression": script,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let result = self.ask("Runtime.evaluate", arguments).await;
        assert!(result["exceptionDetails"].is_null(), "{script}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until a condition holds in the page.
    pub(crate) async fn until(&mut self, condition: &str) {
        let script = format!(
            "new Promise(done => {{ \
                const look = () => ({condition}) ? done(true) : setTimeout(look, 10); look(); }})"
        );
        self.run(&script).await;
    }

    /// Waits until the page has been loaded anew, without having been told to.
    pub(crate) async fn thrown_out(&mut self, before: usize) {
        self.loaded_since(before).await;
    }

    /// How many pages have been loaded.
    pub(crate) fn loads(&self) -> usize {
        self.loads
    }

    /// Shows pages in so many pixels of CSS from now on.
    pub(crate) async fn size(&mut self, width: i64, height: i64) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.ask("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// A picture of the whole page, as PNG in base 64.
    pub(crate) async fn picture(&mut self) -> String {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.ask("Page.captureScreenshot", whole).await;
        shot["data"].as_str().unwrap().to_owned()
    }

    /// Shows the page as somebody sees it who likes it dark, or light.
    pub(crate) async fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    async fn loaded_since(&mut self, before: usize) {
        while self.loads <= before {
            let message = self.next().await;
            self.note(&message);
        }
    }

    /// Asks the browser for something of its protocol.
    pub(crate) async fn ask(&mut self, method: &str, arguments: Value) -> Value {
        self.number += 1;
        let number = self.number;
        let mut request = json!({"id": number, "method": method, "params": arguments});
        if !self.page.is_empty() {
            request["sessionId"] = self.page.as_str().into();
        }
        let text = Message::text(request.to_string());
        self.socket.send(text).await.unwrap();
        loop {
            let message = self.next().await;
            if message["id"] == number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let message = next.expect("chromium answers").unwrap().unwrap();
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    fn note(&mut self, message: &Value) {
        let arguments = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.loads += 1,
            Some("Network.requestWillBeSent") => {
                self.requests.push(arguments["request"]["url"].to_string());
            }
            Some("Log.entryAdded") => self.complaints.push(arguments["entry"]["text"].to_string()),
            Some("Runtime.exceptionThrown" | "Page.javascriptDialogOpening") => {
                self.complaints.push(arguments.to_string());
            }
            _ => {}
        }
    }
}
