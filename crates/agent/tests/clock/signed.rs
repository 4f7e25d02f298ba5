//! The time that a hub signs, for a machine that does not know what time it is and has no NTP.

use std::fs::Permissions;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use outgate_agent::clock::{Hub, Keeper, Plan};
use outgate_agent::config::Clock;
use outgate_agent::status::{Board, Status};
use outgate_probe::{
    Ask, Counted, Host, Path, PathConfig, ResolverChoice, Roots, Transport, Trouble, Trust,
};
use outgate_standin::{Authority, Validity};
use outgate_wire::signed_time::{PATH, SignedTime, key_text, nonce_text};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::running::Running;
use super::servers::{Wrong, keep, plan, shown};
use super::{YEAR, off};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: time::Duration = time::Duration::HOUR;

/// A hub with a certificate.
struct Signer {
    running: Running,
    authority: String,
}

impl Signer {
    async fn start(name: &str, validity: Validity) -> Self {
        let authority = Authority::new(SystemTime::now()).unwrap();
        let identity = authority.issue(&[name.to_owned()], validity).unwrap();
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let chain = file("chain.pem", identity.chain_pem());
        let key = file("key.pem", &identity.key_pem());
        let config = format!(
            "[tls]\ncertificate = '{chain}'\nkey = '{key}'\n[[listen]]\naddress = '127.0.0.1:0'\n\
             [[listen]]\naddress = '127.0.0.1:0'\ntls = false\n"
        );
        Self {
            running: Running::on(folder, &config).await,
            authority: authority.pem(),
        }
    }

    async fn right() -> Self {
        Self::start("127.0.0.1", Validity::around(SystemTime::now())).await
    }

    fn at(&self, number: usize) -> SocketAddr {
        self.running.hub.listening()[number].address
    }

    fn key(&self) -> [u8; 32] {
        self.running.core().identity.time_key().public()
    }

    /// As a device has it that trusts this authority.
    fn trusted(&self, authority: &str) -> Hub {
        let roots = Roots::mozilla().counting(Counted::Given);
        Hub {
            url: format!("https://{}", self.at(0)),
            way: PathConfig {
                roots: roots.give_pem(authority.as_bytes()).unwrap(),
                resolver: ResolverChoice::At(Vec::new()),
                ..PathConfig::default()
            },
            pins: Vec::new(),
        }
    }

    fn hub(&self) -> Hub {
        self.trusted(&self.authority)
    }

    /// SHA-256 of the public keys in the chain that it shows.
    async fn keys(&self) -> Vec<[u8; 32]> {
        let host = Host::Address(IpAddr::from([127, 0, 0, 1]));
        let port = Some(self.at(0).port());
        let mut ask = Ask::new("https", host, port, Transport::Tcp);
        ask.tls.trust = Trust::Pinned(vec![[0; 32]]);
        let path = Path::new(self.hub().way).unwrap();
        let Err(Trouble::PinMismatch { presented }) =
            outgate_probe::open(&ask, &path, true).await.map(drop)
        else {
            panic!("a key of nobody is in the chain");
        };
        let byte = |text: &str, at: usize| u8::from_str_radix(&text[2 * at..][..2], 16).unwrap();
        let key = |text: &String| std::array::from_fn(|at| byte(text, at));
        presented.iter().map(key).collect()
    }
}

/// A machine that has nobody but the hub to ask, and what has become of that.
struct Device {
    keeper: Keeper,
    board: Board,
    folder: TempDir,
}

impl Device {
    fn new(hub: Hub, key: Option<[u8; 32]>, wrong: Wrong, earliest: OffsetDateTime) -> Self {
        let (folder, board) = (TempDir::new().unwrap(), Board::new(None));
        Self {
            keeper: keeper(&folder, &board, hub, key, wrong, earliest),
            board,
            folder,
        }
    }

    /// What became of asking the hub.
    async fn asked(&self) -> Status {
        let _keeping = keep(&self.keeper);
        shown(&self.board, |status| !status.clock.asked.is_empty()).await
    }

    /// Why the hub is not believed.
    async fn refused(&self) -> String {
        let status = self.asked().await;
        assert!(!status.clock.trusted);
        status.clock.asked[0].refused.join("; ")
    }
}

fn keeper(
    folder: &TempDir,
    board: &Board,
    hub: Hub,
    key: Option<[u8; 32]>,
    wrong: Wrong,
    earliest: OffsetDateTime,
) -> Keeper {
    let plan = plan(folder.path(), board, &[], wrong);
    Keeper::new(Plan {
        clock: Clock {
            hub_key: key,
            ..plan.clock.clone()
        },
        hub: Some(hub),
        earliest,
        ..plan
    })
}

fn year_ago() -> OffsetDateTime {
    OffsetDateTime::now_utc() - time::Duration::seconds(YEAR)
}

#[tokio::test]
async fn whatever_the_machines_clock_says_the_hub_tells_the_time_without_ntp() {
    let signer = Signer::right().await;
    for wrong in [Wrong::In1970, Wrong::By(-7 * YEAR), Wrong::By(5 * YEAR)] {
        let device = Device::new(signer.hub(), Some(signer.key()), wrong, year_ago());
        let status = device.asked().await;
        assert_eq!(
            status.clock.source.as_deref(),
            Some("hub-signed"),
            "{status:?}"
        );
        assert!(off(&device.keeper) <= 1, "{wrong:?}");
    }
}

#[tokio::test]
async fn the_key_that_the_hub_has_told_before_is_kept_and_so_is_the_newest_time() {
    let signer = Signer::right().await;
    let device = Device::new(signer.hub(), None, Wrong::In1970, year_ago());
    assert!(device.refused().await.contains("key is not known yet"));
    device.keeper.on_hub_key(&key_text(&signer.key()));
    drop(device.keeper);
    let again = |board: &Board| {
        keeper(
            &device.folder,
            board,
            signer.hub(),
            None,
            Wrong::In1970,
            year_ago(),
        )
    };
    let board = Board::new(None);
    let keeper = again(&board);
    let _keeping = keep(&keeper);
    shown(&board, |status| status.clock.trusted).await;
    // After another start it cannot be earlier than that.
    let floor = again(&Board::new(None)).time();
    assert!(OffsetDateTime::now_utc() - floor < HOUR, "{floor}");
}

#[tokio::test]
async fn nothing_but_the_dates_of_the_hubs_certificate_may_be_wrong() {
    let now = SystemTime::now();
    let signer = Signer::right().await;
    let wrong = Wrong::In1970;
    let stranger = Authority::new(now).unwrap().pem();
    let key = Some(signer.key());
    let untrusted = Device::new(signer.trusted(&stranger), key, wrong, year_ago());
    assert!(untrusted.refused().await.contains("certificate issued by"));

    let other = Signer::start("hub.example", Validity::around(now)).await;
    let misnamed = Device::new(other.hub(), Some(other.key()), wrong, year_ago());
    let why = misnamed.refused().await;
    assert!(why.contains("certificate is for hub.example"), "{why}");

    let forger = Device::new(signer.hub(), Some([7; 32]), wrong, year_ago());
    assert!(forger.refused().await.contains("not the hub's"));
}

#[tokio::test]
async fn a_certificate_that_is_out_of_date_by_the_time_that_the_hub_tells_is_refused() {
    let now = SystemTime::now();
    for (validity, word) in [
        (Validity::expired(now), "expired"),
        (Validity::not_yet(now), "not valid before"),
    ] {
        let signer = Signer::start("127.0.0.1", validity).await;
        let wrong = Wrong::In1970;
        let device = Device::new(signer.hub(), Some(signer.key()), wrong, year_ago());
        let why = device.refused().await;
        assert!(why.contains("at the time that the hub tells"), "{why}");
        assert!(why.contains(word), "{why}");
    }
    // One that had ended at the newest time that was is not even asked.
    let signer = Signer::start("127.0.0.1", Validity::expired(now)).await;
    let earliest = (now - DAY / 2).into();
    let device = Device::new(signer.hub(), Some(signer.key()), Wrong::In1970, earliest);
    let why = device.refused().await;
    assert!(why.contains("expired") && !why.contains("tells"), "{why}");
}

#[tokio::test]
async fn a_pinned_key_in_the_chain_vouches_for_the_hub_and_one_that_was_replaced_does_not() {
    let signer = Signer::right().await;
    let stranger = Authority::new(SystemTime::now()).unwrap().pem();
    let keys = signer.keys().await;
    assert_eq!(keys.len(), 2);
    let pinned = |pin: [u8; 32]| {
        let hub = Hub {
            pins: vec![pin],
            ..signer.trusted(&stranger)
        };
        Device::new(hub, Some(signer.key()), Wrong::In1970, year_ago())
    };
    for key in keys {
        assert!(pinned(key).asked().await.clock.trusted);
    }
    assert!(pinned([9; 32]).refused().await.contains("pin"));
}

#[tokio::test]
async fn a_time_that_is_over_is_refused_whoever_has_signed_it() {
    let signer = Signer::right().await;
    let earliest = OffsetDateTime::now_utc() + HOUR;
    let device = Device::new(signer.hub(), Some(signer.key()), Wrong::In1970, earliest);
    assert!(device.refused().await.contains("but it has been"));
}

#[tokio::test]
async fn the_hub_signs_for_whoever_gives_a_nonce_and_for_nobody_without_one() {
    let signer = Signer::right().await;
    // Another test may have been here before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let plain = signer.at(1);
    let ask = async |query: String| {
        let url = format!("http://{plain}{PATH}{query}");
        client.get(url).send().await.unwrap()
    };
    for query in ["", "?nonce=", "?nonce=AAAA"] {
        assert_eq!(ask(query.to_owned()).await.status(), 400, "{query}");
    }
    let nonce = [3; 32];
    let answer = ask(format!("?nonce={}", nonce_text(&nonce))).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body = answer.bytes().await.unwrap();
    let read = SignedTime::read(&body, &nonce).unwrap();
    assert_eq!(read.key, key_text(&signer.key()));
}
