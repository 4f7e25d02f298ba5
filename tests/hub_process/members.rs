//! Sixteen agents as processes, each on a machine of its own at the switch of one shop. The switch is
//! cut into parts at random, agents are killed in the middle of what they do, and all the while the
//! tills' software sells. Nothing that was acknowledged is lost, no number is given twice, all know the
//! same once they can hear each other, and somebody else coordinates when who did is gone. How long
//! that took is held to its bounds and printed (`--nocapture`); which seed was played is printed first, and
//! `MEMBERS_SEED` plays one again.

mod book;
mod chance;
mod figures;
mod shop;
mod till;

use std::time::{Duration, Instant};

use outgate_lab::Inside;
use outgate_testbed::on_own_machine;

use self::figures::Figures;
use self::shop::Shop;

/// As the issue of this has it; the rosters of real shops are shorter.
const TILLS: usize = 16;
/// How soon all know the same after the shop is made whole again.
const SAME_MAX: Duration = Duration::from_secs(2);
/// How soon another agent coordinates.
const OTHER_MAX: Duration = Duration::from_secs(3);
/// How long cuts and kills go on each time.
const TROUBLE: Duration = Duration::from_secs(4);
/// How long the shop is cut for at least before it is made whole: by then each part is on its own.
const APART: Duration = Duration::from_secs(3);
/// Who coordinates while it is there: the lowest by its name.
const LOWEST: usize = 0;

/// Runs this on a machine of its own, with sixteen tills that know each other and have no line to
/// the hub any more.
fn in_a_shop(test: impl AsyncFnOnce(&mut Shop)) {
    on_own_machine(|_| {
        let inside = Inside::here().unwrap();
        let mut shop = Shop::open(inside, TILLS);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            shop.meet().await;
            shop.close_the_line();
            test(&mut shop).await;
        });
    })
    .unwrap();
}

#[test]
fn sixteen_agents_that_are_cut_and_killed_lose_nothing_and_give_no_number_twice() {
    in_a_shop(async |shop| {
        let mut figures = Figures::within(SAME_MAX);
        while figures.want_more() {
            trouble(shop).await;
            shop.restart_all().await;
            shop.cut(4);
            let apart = Instant::now();
            // Each part has something that the others are to hear of.
            shop.all_sell().await;
            tokio::time::sleep_until((apart + APART).into()).await;
            figures.measure(shop.heal()).await;
        }
        shop.know_all_that_was_sold().await;
        println!(
            "{TILLS} agents, each time {TROUBLE:?} of cuts and kills: {}; \
             all knew the same {figures} after healing",
            shop.book()
        );
        figures.judge();
    });
}

#[test]
fn another_agent_coordinates_soon_after_the_one_that_did_was_killed() {
    in_a_shop(async |shop| {
        let mut figures = Figures::within(OTHER_MAX);
        while figures.want_more() {
            shop.coordinator(|it| it == LOWEST).await;
            let fail_over = async {
                let killed = Instant::now();
                shop.kill(LOWEST).await;
                shop.coordinator(|it| it != LOWEST).await;
                killed.elapsed()
            };
            figures.measure(fail_over).await;
            shop.restart_all().await;
            shop.meet().await;
        }
        println!("{TILLS} agents: another coordinated {figures} after the last one's end");
        figures.judge();
    });
}

/// Sales, cuts, kills: for a while.
async fn trouble(shop: &mut Shop) {
    let end = Instant::now() + TROUBLE;
    while Instant::now() < end {
        let pace = Duration::from_millis(shop.chance.below(100));
        tokio::time::sleep(pace).await;
        let till = shop.chance.index(TILLS);
        match shop.chance.below(100) {
            0..70 => shop.sell(till),
            70..76 => {
                let parts = 1 + shop.chance.index(5);
                shop.cut(parts);
            }
            76..82 => {
                // In the middle of it.
                shop.sell(till);
                shop.kill(till).await;
            }
            _ => shop.restart(till),
        }
    }
}
