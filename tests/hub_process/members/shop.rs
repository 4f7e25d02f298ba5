//! A shop with many tills, whose switch can be cut into parts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outgate_lab::{Inside, Plot, Town};
use outgate_testbed::BETWEEN_LOOKS;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::book::Book;
use super::chance::Chance;
use super::till::{Common, Till};
use crate::process::Hub;

/// The longest that anything may take which must come. Sixteen agents want a processor to themselves,
/// and come to the same end on a machine that has none to spare, only far later.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// Its name on the map.
pub(super) const SITE: &str = "shop";

/// The tills, and what holds them together.
pub(super) struct Shop {
    pub(super) chance: Chance,
    inside: Inside,
    town: Arc<Town>,
    tills: Vec<Arc<Till>>,
    book: Arc<Book>,
    hub: Option<Hub>,
    /// Sales and starts that are under way.
    doing: JoinSet<()>,
    _folder: TempDir,
}

impl Shop {
    /// Builds its network and the hub's, has the hub make the devices, and starts their agents.
    pub(super) fn open(inside: Inside, tills: usize) -> Self {
        let names: Vec<String> = (1..=tills)
            .map(|number| format!("till{number:02}"))
            .collect();
        let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
        let plot = Plot {
            name: SITE,
            hosts: &hosts,
        };
        let town = Town::build(&inside, &[plot]).unwrap();
        // The hub is started there.
        town.join_vendor().unwrap();
        let folder = folder();
        let vendor = town.vendor();
        let listen = format!("[[listen]]\naddress = '{vendor}:443'\n[tls]\nnames = ['{vendor}']\n");
        let hub = Hub::start_at(folder.path(), &listen, [0, 0]);
        hub.site("s");
        let address = |name: &String| town.address(SITE, name).unwrap().to_string();
        let common = Common {
            hub: format!(
                "hub = 'https://{vendor}'\nauthority = '{}'\n",
                hub.authority().display()
            ),
            all: names.iter().map(address).collect(),
        };
        let till = |name: String| {
            let (own, token) = (address(&name), hub.device(&name));
            Arc::new(Till::new(name, &own, token, &common))
        };
        Self {
            chance: Chance::new(),
            tills: names.into_iter().map(till).collect(),
            inside,
            town: Arc::new(town),
            book: Arc::default(),
            hub: Some(hub),
            doing: JoinSet::new(),
            _folder: folder,
        }
    }

    /// What was acknowledged.
    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    /// Starts those that do not run, and waits until each hears all others.
    pub(super) async fn meet(&mut self) {
        self.restart_all().await;
        let others = self.tills.len() - 1;
        for till in &self.tills {
            let met = |column: &Json| {
                let there = column["there"].as_array();
                there.map_or(0, Vec::len) == others && column["coordinator"].is_string()
            };
            until(till, met).await;
        }
    }

    /// From now on there is no hub.
    pub(super) fn close_the_line(&mut self) {
        self.town.connect(SITE, false).unwrap();
        self.hub.take().unwrap().kill();
    }

    /// Cuts the switch at random into so many parts.
    pub(super) fn cut(&mut self, parts: usize) {
        let mut hosts = vec![Vec::new(); parts];
        for till in &self.tills {
            let part = self.chance.index(parts);
            hosts[part].push(till.name.as_str());
        }
        self.town.cut(&self.inside, SITE, &hosts).unwrap();
    }

    /// Has a till sell something, some time soon.
    pub(super) fn sell(&mut self, till: usize) {
        let sold = Arc::clone(&self.tills[till]).sell(Arc::clone(&self.book));
        self.doing.spawn(async {
            // What came of it is in the book.
            let _ = sold.await;
        });
    }

    /// Has every till sell something, and waits until they have.
    pub(super) async fn all_sell(&mut self) {
        for till in &self.tills {
            let sold = Arc::clone(till).sell(Arc::clone(&self.book));
            let sold = async { sold.await.unwrap() };
            self.doing.spawn(sold);
        }
        self.done().await;
    }

    /// Kills a till's agent.
    pub(super) async fn kill(&mut self, till: usize) {
        let till = Arc::clone(&self.tills[till]);
        // It may be starting, which is waited for.
        tokio::task::spawn_blocking(move || till.kill())
            .await
            .unwrap();
    }

    /// Has a till's agent be started, unless it runs.
    pub(super) fn restart(&mut self, till: usize) {
        let (till, town) = (Arc::clone(&self.tills[till]), Arc::clone(&self.town));
        self.doing.spawn_blocking(move || till.start(&town));
    }

    /// Starts the agents that do not run, and waits until everything that was begun is done.
    pub(super) async fn restart_all(&mut self) {
        (0..self.tills.len()).for_each(|till| self.restart(till));
        self.done().await;
        for till in &self.tills {
            until(till, |column| column["name"].is_string()).await;
        }
    }

    async fn done(&mut self) {
        let all = async {
            while let Some(done) = self.doing.join_next().await {
                done.unwrap();
            }
        };
        let in_time = timeout(LONGEST, all).await.is_ok();
        assert!(in_time, "what was begun is not done after {LONGEST:?}");
    }

    /// Makes the switch whole, and gives how long it took from then on until all knew the same.
    pub(super) async fn heal(&mut self) -> Duration {
        let known = watch::Sender::new(vec![String::new(); self.tills.len()]);
        let mut telling = JoinSet::new();
        for (number, till) in self.tills.iter().enumerate() {
            let known = known.clone();
            let tell = move |tag| known.send_modify(|known| known[number] = tag);
            telling.spawn(Arc::clone(till).tell(tell));
        }
        let mut known = known.subscribe();
        let all_tell = |known: &Vec<String>| known.iter().all(|tag| !tag.is_empty());
        let tell = hear(&mut telling, &mut known, all_tell).await;
        assert!(tell, "not all tell after {LONGEST:?}");
        let begin = Instant::now();
        self.cut(1);
        let all_same = |known: &Vec<String>| known.iter().collect::<BTreeSet<_>>().len() == 1;
        let same = hear(&mut telling, &mut known, all_same).await;
        let took = begin.elapsed();
        assert!(same, "not the same after {took:?}: {}", self.told().await);
        took
    }

    /// How each till is, for who wants to know why one is not as it should be.
    async fn told(&self) -> String {
        let mut told = String::new();
        for till in &self.tills {
            let (column, state) = (till.neighbours().await, till.state().await);
            let sales = state["sales"]["items"].as_array().map_or(0, Vec::len);
            told += &format!("\n{}: {sales} sales, {column}", till.name);
        }
        told
    }

    /// All say the same of what is shared, and nothing is missing.
    pub(super) async fn know_all_that_was_sold(&self) {
        let first = self.tills[0].state().await;
        for (number, till) in self.tills.iter().enumerate() {
            let state = till.state().await;
            assert_eq!(state, first, "{}", till.name);
            self.book.is_in(number, &state);
            let column = till.neighbours().await;
            assert_eq!(column["forked"], Json::Array(Vec::new()), "{column}");
        }
    }

    /// Waits until all that run say that one of them coordinates, and it is who it should be.
    pub(super) async fn coordinator(&self, should: impl Fn(usize) -> bool) {
        let on: Vec<usize> = (0..self.tills.len())
            .filter(|it| self.tills[*it].is_on())
            .collect();
        let agreed = async {
            loop {
                let columns = on.iter().map(|till| self.tills[*till].neighbours());
                let columns = futures_util::future::join_all(columns).await;
                let said = columns.iter().map(|column| column["coordinator"].as_str());
                let mut said: BTreeSet<Option<&str>> = said.collect();
                let only = said.pop_first().flatten().filter(|_| said.is_empty());
                let mut who = on.iter().filter(|it| should(**it));
                if who.any(|it| only == Some(self.tills[*it].name.as_str())) {
                    return;
                }
                sleep(BETWEEN_LOOKS).await;
            }
        };
        timeout(LONGEST, agreed).await.unwrap();
    }
}

/// A folder in memory: what is killed has lost nothing of it either, and how long the disk of this
/// machine takes is none of the shop's business.
pub(super) fn folder() -> TempDir {
    tempfile::tempdir_in("/run").unwrap()
}

/// Waits until what the tills tell is like that, and says whether it came to be. All of them go on
/// telling meanwhile.
async fn hear(
    telling: &mut JoinSet<()>,
    known: &mut watch::Receiver<Vec<String>>,
    like: impl FnMut(&Vec<String>) -> bool,
) -> bool {
    tokio::select! {
        ended = telling.join_next() => panic!("a till tells no more: {ended:?}"),
        heard = timeout(LONGEST, known.wait_for(like)) => heard.is_ok_and(|heard| heard.is_ok()),
    }
}

/// Waits until a till's column of the neighbours is like that.
async fn until(till: &Till, like: impl Fn(&Json) -> bool) {
    let begin = Instant::now();
    loop {
        let column = till.neighbours().await;
        if like(&column) {
            return;
        }
        assert!(begin.elapsed() < LONGEST, "{}: {column}", till.name);
        sleep(BETWEEN_LOOKS).await;
    }
}
