#![cfg(test)]
//! Tills of one site over HTTP on loopback, and whoever else is on the local network.

mod lines;
mod places;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use outgate_neighbours::{Former, Listed, Message, Name, Number, Roster};
use outgate_signed_http::Signer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::envelope::{CHALLENGE, Envelope, NotHeard, PATH, ROSTER_PATH};
use super::*;

/// For what takes no time unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

fn key(number: u8) -> Key {
    Key::new([number; 32])
}

fn id(number: u8) -> MemberId {
    format!("till-{number}").parse().unwrap()
}

fn site_key() -> Signer {
    Signer::from_seed("site", &[200; 32]).unwrap()
}

fn listed(number: u8, not_after: u64) -> Listed {
    let key = key(number).signer(&id(number)).unwrap();
    Listed {
        id: id(number),
        key: key.verifying_key(),
        roles: Vec::new(),
        priority: number.into(),
        not_after,
    }
}

fn roster(epoch: u64, members: Vec<Listed>, revoked: Vec<Former>) -> Vec<u8> {
    let site = "shop-1".parse().unwrap();
    let roster = Roster {
        site,
        epoch,
        members,
        revoked,
    };
    roster.signed(&site_key()).unwrap()
}

fn of_three() -> Vec<u8> {
    roster(
        1,
        (1..=3).map(|it| listed(it, u64::MAX)).collect(),
        Vec::new(),
    )
}

/// A till's place on the disk and on the network.
struct Place {
    folder: TempDir,
    settings: Settings,
}

fn place(number: u8) -> Place {
    let folder = TempDir::new().unwrap();
    let settings = Settings {
        site: "shop-1".parse().unwrap(),
        site_key: site_key().verifying_key(),
        id: id(number),
        key: key(number),
        roster: of_three(),
        folder: folder.path().to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        known: Vec::new(),
        search: Vec::new(),
        files: None,
        relay: None,
    };
    Place { folder, settings }
}

impl Place {
    async fn start(&self) -> Neighbours {
        self.start_with(Board::new(None)).await
    }

    async fn start_with(&self, board: Board) -> Neighbours {
        assert!(self.folder.path().is_dir());
        Neighbours::start(self.settings.clone(), board)
            .await
            .unwrap()
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

/// Waits until the view shows it.
async fn shows(till: &Neighbours, what: impl Fn(&View) -> bool) -> View {
    let mut view = till.view();
    soon(view.wait_for(|view| what(view)))
        .await
        .unwrap()
        .clone()
}

/// Waits until a till knows so many items of a set.
async fn knows(till: &Neighbours, of: &str, count: usize) {
    let of: Name = of.parse().unwrap();
    let mut view = till.view();
    loop {
        view.mark_unchanged();
        let of = of.clone();
        let known = till.look(move |member, _| member.shared().items(&of).count());
        if known.await == Ok(count) {
            return;
        }
        soon(view.changed()).await.unwrap();
    }
}

async fn sell(till: &Neighbours) -> Number {
    let sold = till.change(|member, now| {
        let sales = "sales".parse().unwrap();
        member.add_with_receipt(&sales, |receipt| receipt.to_string().into_bytes(), now)
    });
    sold.await.unwrap().unwrap().0
}

/// Three tills, each of which is told where those before it are.
async fn three() -> (Vec<Place>, Vec<Neighbours>) {
    let mut places = vec![place(1), place(2), place(3)];
    let mut tills: Vec<Neighbours> = Vec::new();
    for place in &mut places {
        place.settings.known = tills.iter().map(Neighbours::address).collect();
        tills.push(place.start().await);
    }
    for till in &tills {
        shows(till, |view| view.there.len() == 2).await;
    }
    (places, tills)
}

#[tokio::test]
async fn three_tills_find_each_other_share_and_agree_on_who_coordinates() {
    let (_places, tills) = three().await;
    for till in &tills {
        let view = shows(till, |view| view.coordinator.is_some()).await;
        assert_eq!(view.coordinator.unwrap().holder, id(1));
        assert_eq!(sell(till).await.number, 1);
    }
    for till in &tills {
        knows(till, "sales", 3).await;
        assert_eq!(till.view().borrow().refused, BTreeMap::new());
    }
}

#[tokio::test]
async fn a_till_that_was_away_gets_what_it_missed_and_others_get_what_it_did_alone() {
    let (mut places, mut tills) = three().await;
    let third = tills.pop().unwrap();
    let address = third.address();
    third.stop().await;
    shows(&tills[0], |view| view.there.len() == 1).await;
    sell(&tills[0]).await;
    // Alone: nobody is configured, and it listens elsewhere.
    let alone = &mut places[2].settings;
    alone.known.clear();
    alone.listen.set_port(0);
    let third = places[2].start().await;
    assert_ne!(third.address(), address);
    sell(&third).await;
    // It knows from before where the others are.
    knows(&third, "sales", 2).await;
    knows(&tills[1], "sales", 2).await;
}

#[tokio::test]
async fn tills_find_each_other_by_searching_their_network() {
    let (mut one, mut other) = (place(1), place(2));
    one.settings.listen.set_ip(IpAddr::from([127, 66, 1, 20]));
    let one = one.start().await;
    other.settings.listen = SocketAddr::from(([127, 66, 1, 30], one.address().port()));
    other.settings.search = vec![other.settings.listen.ip()];
    let other = other.start().await;
    shows(&one, |view| view.there == [id(2)]).await;
    shows(&other, |view| view.there == [id(1)]).await;
}

#[tokio::test]
async fn a_new_roster_reaches_all_and_whom_it_revokes_is_refused() {
    let (places, tills) = three().await;
    let revoked = Former {
        id: id(3),
        key: listed(3, 0).key,
    };
    let members = (1..=2).map(|it| listed(it, u64::MAX)).collect();
    let newer = roster(2, members, vec![revoked]);
    tills[0].take_roster(newer).await.unwrap().unwrap();
    for till in &tills {
        shows(till, |view| view.roster == 2).await;
    }
    for till in &tills[..2] {
        shows(till, |view| view.there.len() == 1).await;
    }
    // One that goes on as if it had not heard.
    let old = Envelope::new(&places[2].settings, 1, &open(&of_three())).unwrap();
    let beat = beat(1);
    let fields = signed(&old, &tills[0], &beat).await;
    post(&tills[0], PATH, &fields, &beat).await;
    shows(&tills[0], |view| {
        view.refused.contains_key("it was revoked")
    })
    .await;
}

#[tokio::test]
async fn whose_membership_is_over_is_refused() {
    let mut first = place(1);
    let members = vec![listed(1, u64::MAX), listed(2, 1000)];
    first.settings.roster = roster(1, members, Vec::new());
    let board = Board::new(None);
    let till = first.start_with(board.clone()).await;
    let expired = Envelope::new(&place(2).settings, 1, &open(&first.settings.roster)).unwrap();
    let beat = beat(1);
    let fields = signed(&expired, &till, &beat).await;
    post(&till, PATH, &fields, &beat).await;
    shows(&till, |view| {
        view.refused.get("its membership is over") == Some(&1)
    })
    .await;
    let shown = board.status().neighbours.unwrap();
    assert_eq!((shown.there, shown.refused.len()), (Vec::new(), 1));
}

#[tokio::test]
async fn what_is_changed_replayed_foreign_unsigned_or_old_is_refused_and_counted() {
    let till = place(1).start().await;
    let second = Envelope::new(&place(2).settings, 1, &open(&of_three())).unwrap();
    let beat = beat(1);
    let refuses = async |fields: &HeaderMap, content: &[u8], status: u16, why: &str| {
        let before = till.view().borrow().refused.get(why).copied();
        assert_eq!(post(&till, PATH, fields, content).await, status, "{why}");
        // What is counted is shown with the next beat.
        shows(&till, |view| view.refused.get(why).copied() > before).await;
    };

    let good = signed(&second, &till, &beat).await;
    let mut changed = beat.clone();
    *changed.last_mut().unwrap() ^= 1;
    refuses(&good, &changed, 401, "changed on the way, or forged").await;
    let mut redirected = good.clone();
    redirected.insert("outgate-port", HeaderValue::from(2));
    refuses(&redirected, &beat, 401, "changed on the way, or forged").await;
    assert_eq!(post(&till, PATH, &good, &beat).await, 200);
    refuses(&good, &beat, 401, "seen before").await;

    let mut elsewhere = place(2).settings;
    elsewhere.site = "shop-2".parse().unwrap();
    let elsewhere = Envelope::new(&elsewhere, 1, &open(&of_three())).unwrap();
    let fields = signed(&elsewhere, &till, &beat).await;
    refuses(&fields, &beat, 401, "for another site or member").await;
    let fields = second.request(PATH, &id(3), challenge(&till).await, &beat);
    refuses(&fields, &beat, 401, "for another site or member").await;

    let mut stranger = place(2).settings;
    stranger.id = "till-9".parse().unwrap();
    let stranger = Envelope::new(&stranger, 1, &open(&of_three())).unwrap();
    let fields = signed(&stranger, &till, &beat).await;
    refuses(&fields, &beat, 401, "signed by nobody of this site").await;
    let mut thief = place(2).settings;
    thief.key = key(9);
    let thief = Envelope::new(&thief, 1, &open(&of_three())).unwrap();
    let fields = signed(&thief, &till, &beat).await;
    refuses(&fields, &beat, 401, "changed on the way, or forged").await;

    refuses(&HeaderMap::new(), &beat, 401, "not signed as it must be").await;
    let old = HeaderValue::from_static("from-yesterday");
    let fields = second.request(PATH, &id(1), old, &beat);
    refuses(&fields, &beat, 409, "made for a challenge that is over").await;
    let fields = signed(&second, &till, b"nonsense").await;
    refuses(&fields, b"nonsense", 400, "no message").await;

    let long = vec![0; outgate_neighbours::MESSAGE_MAX_BYTES + 1];
    assert_eq!(post(&till, PATH, &HeaderMap::new(), &long).await, 413);
    let mut forged = of_three();
    forged[20] ^= 1;
    assert_eq!(
        post(&till, ROSTER_PATH, &HeaderMap::new(), &forged).await,
        202
    );
    shows(&till, |view| {
        view.refused.get("a roster that is not to be taken") == Some(&1)
    })
    .await;
}

#[test]
fn a_response_is_believed_of_whom_was_asked_and_for_this_request_only() {
    let envelope =
        |number: u8| Envelope::new(&place(number).settings, 1, &open(&of_three())).unwrap();
    let (one, other, third) = (envelope(1), envelope(2), envelope(3));
    let asked = one.request(PATH, &id(2), other.challenge(), b"asked");
    let asked_before = one.request(PATH, &id(2), other.challenge(), b"asked");
    let ok = StatusCode::OK;
    let answer = other.response(ok, &asked, b"answer");
    assert_eq!(one.open_response(&id(2), ok, &answer, &asked), Ok(()));
    let replayed = one.open_response(&id(2), ok, &answer, &asked_before);
    assert!(
        matches!(replayed, Err(NotHeard::Signature(_))),
        "{replayed:?}"
    );
    let other_status = one.open_response(&id(2), StatusCode::CONFLICT, &answer, &asked);
    assert!(matches!(other_status, Err(NotHeard::Signature(_))));
    let by_third = third.response(ok, &asked, b"answer");
    let misled = one.open_response(&id(2), ok, &by_third, &asked);
    assert_eq!(misled, Err(NotHeard::Misdirected));
}

fn open(signed: &[u8]) -> Roster {
    let site = "shop-1".parse().unwrap();
    Roster::open(signed, &site, &site_key().verifying_key()).unwrap()
}

fn beat(epoch: u64) -> Vec<u8> {
    let beat = outgate_neighbours::Beat {
        epoch,
        known: Vector::default(),
        fence: None,
        holds: false,
        uplink: false,
    };
    Message::Beat(beat).to_bytes()
}

async fn signed(by: &Envelope, to: &Neighbours, content: &[u8]) -> HeaderMap {
    by.request(PATH, &id(1), challenge(to).await, content)
}

async fn challenge(of: &Neighbours) -> HeaderValue {
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = exchange(of.address(), request.into_bytes()).await;
    let answer = String::from_utf8(answer).unwrap();
    let begin = format!("{CHALLENGE}: ");
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix(&begin))
        .unwrap();
    HeaderValue::from_str(line).unwrap()
}

/// The status of the answer.
async fn post(to: &Neighbours, path: &str, fields: &HeaderMap, content: &[u8]) -> u16 {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n",
        content.len()
    );
    for (name, value) in fields {
        request.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    request.push_str("\r\n");
    let answer = exchange(to.address(), [request.as_bytes(), content].concat()).await;
    let status = std::str::from_utf8(&answer[9..12]).unwrap();
    status.parse().unwrap()
}

async fn exchange(address: SocketAddr, request: Vec<u8>) -> Vec<u8> {
    soon(async {
        let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
        // Who refuses a long body does not read all of it.
        let writing = tokio::spawn(async move {
            let _ = to.write_all(&request).await;
            to
        });
        let mut answer = Vec::new();
        let _ = from.read_to_end(&mut answer).await;
        writing.abort();
        answer
    })
    .await
}
