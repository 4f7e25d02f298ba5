//! Files of the hub over a network that breaks, and for software that does not wait for them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use outgate_agent::assets::{Assets, Digest, Hub};
use outgate_agent::proof::Shown;
use outgate_core::assets::NewAsset;
use outgate_core::identity::Actor;
use outgate_probe::PathConfig;
use outgate_signalr_client::Token;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::stage::Stage;

/// The file's name at the hub.
const NAME: &str = "images/logo.png";

/// A way on which each connection ends after so many bytes of the hub's.
struct Way {
    address: SocketAddr,
    /// How many bytes of the hub's have come through.
    passed: Arc<AtomicUsize>,
    /// Who may send something.
    open: Arc<Semaphore>,
    _passing: JoinSet<()>,
}

impl Way {
    async fn to(hub: SocketAddr, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (passed, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let mut passing = JoinSet::new();
        let (count, gate) = (Arc::clone(&passed), Arc::clone(&open));
        passing.spawn(async move {
            let mut ways = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
                ways.spawn(async move {
                    // Either end may go.
                    let _ = pass(near, hub, most, (&count, &gate)).await;
                });
            }
        });
        Self {
            address,
            passed,
            open,
            _passing: passing,
        }
    }
}

async fn pass(
    mut near: TcpStream,
    hub: SocketAddr,
    most: usize,
    (count, gate): (&AtomicUsize, &Semaphore),
) -> io::Result<()> {
    let mut far = TcpStream::connect(hub).await?;
    let (mut up, mut down) = (vec![0; 4_096], vec![0; 4_096]);
    let mut left = most;
    while left > 0 {
        tokio::select! {
            read = near.read(&mut up) => match read? {
                0 => return Ok(()),
                read => far.write_all(&up[..read]).await?,
            },
            read = far.read(&mut down) => {
                let read = read?.min(left);
                if read == 0 {
                    return Ok(());
                }
                drop(gate.acquire().await);
                near.write_all(&down[..read]).await?;
                count.fetch_add(read, Ordering::Relaxed);
                left -= read;
            }
        }
    }
    Ok(())
}

/// A device that holds a file of the hub's, which it fetches by the way.
async fn holding(stage: &Stage, way: &Way, content: &[u8]) -> (Assets, Digest) {
    let new = NewAsset {
        name: NAME.parse().unwrap(),
        site: None,
        content_type: "image/png".to_owned(),
    };
    let (assets, actor) = (&stage.running.core().assets, Actor::hub());
    let incoming = assets.begin(&actor, &new).await.unwrap();
    let content = Bytes::copy_from_slice(content);
    let incoming = incoming.take(content).await.unwrap();
    let whole = incoming.finish().await.unwrap();
    let kept = assets.put(&actor, new, whole).await.unwrap();
    let token = stage.token.lock().unwrap().clone();
    let hub = Hub {
        at: format!("http://{}", way.address),
        way: PathConfig::default(),
        shows: Arc::new(move || Ok(Shown::Token(Token::new(token.clone())))),
    };
    let most = 64 << 20;
    let assets = Assets::open(stage.folder.path(), most, hub, None, stage.board.clone());
    (assets.unwrap(), kept.digest.to_string().parse().unwrap())
}

fn logo() -> Vec<u8> {
    (0..1_000_000_u32).map(|it| (it % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_on_where_it_broke_off() {
    let stage = Stage::new().await;
    let way = Way::to(stage.address(), 300_000).await;
    way.open.add_permits(1);
    let (assets, digest) = holding(&stage, &way, &logo()).await;
    let file = assets.file(digest, NAME).await.unwrap();
    let mut read = Vec::new();
    io::Read::read_to_end(&mut &file, &mut read).unwrap();
    assert_eq!(read, logo());
    // Four times, each with what a head takes and with what was lost when it broke off.
    let passed = way.passed.load(Ordering::Relaxed);
    assert!(passed < 1_300_000, "{passed}");
    assert_eq!(stage.board.status().assets.from_hub, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_comes_although_whoever_asked_for_it_has_gone() {
    let stage = Stage::new().await;
    let way = Way::to(stage.address(), usize::MAX).await;
    let (assets, digest) = holding(&stage, &way, &logo()).await;
    tokio::select! {
        biased;
        file = assets.file(digest, NAME) => panic!("the hub may not answer yet: {file:?}"),
        () = tokio::task::yield_now() => {}
    }
    way.open.add_permits(1);
    stage.shown(|status| status.assets.files == 1).await;
    assets.file(digest, NAME).await.unwrap();
    assert_eq!(stage.board.status().assets.from_hub, 1);
}
