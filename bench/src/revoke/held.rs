//! An API that answers nobody, for look-ups that are under way.

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What it is called at the hub.
pub(crate) const NAME: &str = "held";

/// The scope of the provisioning service.
pub(crate) const SCOPE: &str = "0ne00BENCH";

/// It, until the end of the run.
pub(crate) struct Held {
    port: u16,
    asked: mpsc::UnboundedReceiver<()>,
}

impl Held {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (ask, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hold(stream, ask.clone()));
            }
        });
        Ok(Self { port, asked })
    }

    /// What makes it known to the hub.
    pub(crate) fn configured(&self) -> String {
        format!(
            "[[live.upstreams]]\nname = '{NAME}'\nurl = 'http://127.0.0.1:{}/'\npaths = ['/']\n\
             networks = ['127.0.0.0/8']\nanswer-seconds = 60\n\
             [azure.provisioning]\nscopes = ['{SCOPE}']\n",
            self.port
        )
    }

    /// Waits until somebody asks.
    pub(crate) async fn is_asked(&mut self) {
        // Which ends with the run only.
        let _ = self.asked.recv().await;
    }
}

/// Says that somebody asks, and lets them wait until they go.
async fn hold(mut stream: TcpStream, ask: mpsc::UnboundedSender<()>) {
    let mut request = Vec::with_capacity(4 * 1024);
    while stream
        .read_buf(&mut request)
        .await
        .is_ok_and(|read| read > 0)
    {
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            // Nobody listens at the end of the run.
            let _ = ask.send(());
        }
    }
}
