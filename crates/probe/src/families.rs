//! From a lane to its addresses, and from attempts to a finding: IPv4 and IPv6 apart, at once.

mod locate;
mod route;

use std::time::Duration;

use futures_util::future::{BoxFuture, join3};
use tokio::time::Instant;

use crate::{
    ask::Ask,
    both_ends,
    evidence::{Attempt, Family, FamilyAnswer, Finding, Outcome, PhaseName, Resolution, Trouble},
    path::{Path, Proxy},
    run::{Run, Stop},
};
pub(crate) use locate::{Located, Target};
use route::Route;

/// What is done with one address.
pub(crate) type Exercise = for<'r, 'a> fn(&'r mut Run<'a>) -> BoxFuture<'r, Result<(), Stop>>;

/// Finds the lane's addresses and exercises them, through a proxy where the path says so. Where
/// there is no direct way and a proxy is known that was not used, it is tried once, too.
pub(crate) async fn exercise(ask: &Ask, path: &Path, exercise: Exercise) -> Finding {
    let start = Instant::now();
    let hops = match path.hops(ask).await {
        Ok(hops) => hops,
        Err(trouble) => {
            return Finding {
                outcome: Outcome::Fail,
                took: start.elapsed(),
                ..Finding::not_run(trouble)
            };
        }
    };
    let mut finding = try_in_turn(ask, path, exercise, &hops).await;
    if let (Some(direct), Some(spare)) = (no_way(&finding), path.spare_proxy(ask)) {
        let through = go(ask, path, exercise, Some(spare)).await;
        if matches!(through.outcome, Outcome::Pass | Outcome::Warn) {
            finding.trouble = Some(Trouble::ProxyNeeded {
                proxy: spare.to_string(),
                direct: Box::new(direct.clone()),
            });
            finding.attempts.extend(through.attempts);
        }
    }
    finding.took = start.elapsed();
    finding
}

/// Goes the first way that leads anywhere. A later one that works is worth a warning: the first is
/// what was meant.
async fn try_in_turn(
    ask: &Ask,
    path: &Path,
    exercise: Exercise,
    hops: &[Option<Proxy>],
) -> Finding {
    let mut before: Option<Finding> = None;
    for hop in hops {
        let mut finding = go(ask, path, exercise, hop.as_ref()).await;
        let leads = finding.outcome != Outcome::Fail
            || !finding.trouble.as_ref().is_some_and(leads_nowhere);
        if let Some(mut before) = before.take() {
            before.attempts.append(&mut finding.attempts);
            finding.attempts = before.attempts;
            if finding.outcome == Outcome::Pass {
                finding.outcome = Outcome::Warn;
                finding.trouble = before.trouble;
            }
        }
        if leads {
            return finding;
        }
        before = Some(finding);
    }
    before.unwrap_or_else(|| Finding::not_run(Trouble::NoAddress))
}

/// Whether a browser would go the next way: the proxy, or without one the far end, is not there.
pub(crate) fn leads_nowhere(trouble: &Trouble) -> bool {
    is_on_the_way(trouble) || matches!(trouble, Trouble::ProxyUnreachable { .. })
}

/// Why nothing came of an ask, if it is that the far end cannot be found or reached.
fn no_way(finding: &Finding) -> Option<&Trouble> {
    let trouble = finding.trouble.as_ref()?;
    (finding.outcome == Outcome::Fail && is_on_the_way(trouble)).then_some(trouble)
}

/// Whether the far end cannot be found or reached.
fn is_on_the_way(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::NameNotFound
            | Trouble::NameHidden { .. }
            | Trouble::NameNowhere { .. }
            | Trouble::NoAddress
            | Trouble::NoNameServer
            | Trouble::ResolverSilent
            | Trouble::ResolverUnreachable
            | Trouble::ResolverRefused { .. }
            | Trouble::Refused
            | Trouble::NetworkUnreachable
            | Trouble::HostUnreachable { .. }
            | Trouble::AdminProhibited
            | Trouble::TimedOut {
                phase: PhaseName::Connect
            }
            | Trouble::Reset {
                phase: PhaseName::Connect | PhaseName::Tls
            }
            | Trouble::Closed {
                phase: PhaseName::Tls
            }
    )
}

/// Where the packets of an ask go by one way: to its own addresses, or to a proxy's.
pub(crate) async fn locate(ask: &Ask, path: &Path, hop: Option<&Proxy>) -> Result<Located, Stop> {
    match hop {
        None => locate::direct(ask, path).await,
        Some(proxy) => locate::behind(ask, path, proxy).await,
    }
}

/// Where the packets of an ask go that is no probe's own, by every way in turn: the first address of
/// each family to which there is a route.
pub(crate) async fn targets(ask: &Ask, path: &Path) -> Result<Vec<Target>, Trouble> {
    let mut found = Vec::new();
    let mut why_not = Trouble::NoAddress;
    for hop in path.hops(ask).await? {
        let located = match locate(ask, path, hop.as_ref()).await {
            Ok(located) => located,
            Err(stop) => {
                why_not = stop.trouble;
                continue;
            }
        };
        let before = found.len();
        for family in [Family::V4, Family::V6] {
            found.extend(located.reachable(family, path).into_iter().next());
        }
        if found.len() == before {
            why_not = located.why_unreachable();
        }
    }
    if found.is_empty() {
        Err(why_not)
    } else {
        Ok(found)
    }
}

async fn go(ask: &Ask, path: &Path, exercise: Exercise, proxy: Option<&Proxy>) -> Finding {
    let located = match locate(ask, path, proxy).await {
        Ok(located) => located,
        Err(Stop { outcome, trouble }) => {
            return Finding {
                outcome,
                ..Finding::not_run(trouble)
            };
        }
    };
    let (v4, v6, elsewhere) = join3(
        family(ask, path, exercise, located.of(Family::V4)),
        family(ask, path, exercise, located.of(Family::V6)),
        path.second_opinion(ask, located.resolution.as_ref()),
    )
    .await;
    let resolution = located.resolution.as_ref();
    let verdicts = [
        verdict(&v4, resolution.map(|resolution| &resolution.ipv4)),
        verdict(&v6, resolution.map(|resolution| &resolution.ipv6)),
    ];
    let attempts: Vec<_> = v4.into_iter().chain(v6).collect();
    let (outcome, trouble) = join_families(verdicts, &attempts, resolution);
    let mut finding = Finding {
        outcome,
        trouble,
        resolution: located.resolution.map(|resolution| Resolution {
            elsewhere: elsewhere.map(Box::new),
            ..resolution
        }),
        attempts,
        took: Duration::ZERO,
    };
    compare_with_elsewhere(&mut finding);
    if finding.outcome == Outcome::Fail && path.lacks_name_servers(ask) {
        finding.trouble = Some(Trouble::NoNameServer);
    }
    warn_of_silent_servers(&mut finding);
    finding
}

/// Why a name leads nowhere, as far as somebody outside can tell.
fn compare_with_elsewhere(finding: &mut Finding) {
    let resolution = finding.resolution.as_ref();
    let Some(resolution) = resolution.filter(|_| finding.attempts.is_empty()) else {
        return;
    };
    let Some(elsewhere) = &resolution.elsewhere else {
        return;
    };
    let name_server = elsewhere.resolver.clone();
    let here = finding.trouble.take();
    finding.trouble = match here {
        Some(here @ (Trouble::NameNotFound | Trouble::NoAddress))
            if elsewhere.addresses().any(|it| !it.is_unspecified()) =>
        {
            Some(Trouble::NameHidden {
                here: Box::new(here),
                elsewhere: name_server,
            })
        }
        Some(Trouble::NameNotFound) if elsewhere.denies() => Some(Trouble::NameNowhere {
            elsewhere: name_server,
        }),
        here => here,
    };
}

/// Who waits for a name server each time works, but not in the best way.
fn warn_of_silent_servers(finding: &mut Finding) {
    let resolution = finding.resolution.as_ref();
    let mut silent = resolution.into_iter().flat_map(Resolution::silent_servers);
    if finding.outcome == Outcome::Pass
        && let Some(silent) = silent.next()
    {
        let server = silent.server.clone();
        finding.outcome = Outcome::Warn;
        finding.trouble = Some(Trouble::NameServerSilent { server });
    }
}

async fn family(ask: &Ask, path: &Path, exercise: Exercise, targets: Vec<Target>) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for target in targets {
        let address = target.address;
        let attempt = Attempt::new(address, target.port);
        let mut run = Run::new(ask, path, attempt, target.through);
        let route = match target.everybody {
            true => Route::Known,
            false => route::to(address, path.source()),
        };
        let result = match route {
            Route::Known => {
                let result = exercise(&mut run).await;
                both_ends::compare(&mut run, result).await
            }
            Route::None => Err(Stop {
                outcome: Outcome::NotApplicable,
                trouble: Trouble::NetworkUnreachable,
            }),
            Route::Broadcast => Err(Stop::not_run(Trouble::BadAsk {
                what: format!("{address} is a broadcast address"),
            })),
        };
        let mut attempt = run.attempt;
        if let Err(stop) = result {
            attempt.outcome = stop.outcome;
            attempt.trouble = Some(stop.trouble);
        }
        let again = attempt.outcome == Outcome::Fail;
        attempts.push(attempt);
        if !again {
            break;
        }
    }
    attempts
}

type Verdict = (Outcome, Option<Trouble>);

/// What the attempts with one family come to; `None` if the family plays no part.
fn verdict(attempts: &[Attempt], answer: Option<&FamilyAnswer>) -> Option<Verdict> {
    let Some(last) = attempts.last() else {
        let trouble = answer?.trouble.clone()?;
        let no_such = matches!(trouble, Trouble::NoAddress | Trouble::NameNotFound);
        return (!no_such).then_some((Outcome::Fail, Some(trouble)));
    };
    match (
        last.outcome,
        attempts
            .iter()
            .find(|attempt| attempt.outcome == Outcome::Fail),
    ) {
        (Outcome::NotApplicable, _) => None,
        (Outcome::Pass, Some(failed)) => Some((Outcome::Warn, failed.trouble.clone())),
        (outcome, _) => Some((outcome, last.trouble.clone())),
    }
}

fn join_families(
    verdicts: [Option<Verdict>; 2],
    attempts: &[Attempt],
    resolution: Option<&Resolution>,
) -> Verdict {
    let verdicts: Vec<Verdict> = verdicts.into_iter().flatten().collect();
    if verdicts.is_empty() {
        let trouble = match (attempts.is_empty(), resolution) {
            (true, Some(resolution)) => no_address(resolution),
            (true, None) => Trouble::NoAddress,
            (false, _) => Trouble::NetworkUnreachable,
        };
        return (Outcome::Fail, Some(trouble));
    }
    let all = |wanted: Outcome| verdicts.iter().all(|(outcome, _)| *outcome == wanted);
    let outcome = if all(Outcome::Pass) {
        return (Outcome::Pass, None);
    } else if all(Outcome::NotRun) {
        Outcome::NotRun
    } else if verdicts
        .iter()
        .all(|(outcome, _)| matches!(outcome, Outcome::Fail | Outcome::NotRun))
    {
        Outcome::Fail
    } else {
        Outcome::Warn
    };
    // The worst news first: a failed family says more than one that only warns.
    let worst = [Outcome::Fail, Outcome::NotRun, Outcome::Warn]
        .into_iter()
        .find_map(|wanted| verdicts.iter().find(|(outcome, _)| *outcome == wanted));
    (outcome, worst.and_then(|(_, trouble)| trouble.clone()))
}

fn no_address(resolution: &Resolution) -> Trouble {
    let troubles = [&resolution.ipv4.trouble, &resolution.ipv6.trouble];
    if troubles.contains(&&Some(Trouble::NameNotFound)) {
        Trouble::NameNotFound
    } else {
        Trouble::NoAddress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(address: &str, outcome: Outcome, trouble: Option<Trouble>) -> Attempt {
        let mut attempt = Attempt::new(address.parse().unwrap(), Some(443));
        attempt.outcome = outcome;
        attempt.trouble = trouble;
        attempt
    }

    fn joined(v4: &[Attempt], v6: &[Attempt]) -> Verdict {
        let attempts = [v4, v6].concat();
        join_families([verdict(v4, None), verdict(v6, None)], &attempts, None)
    }

    const V4: &str = "192.0.2.1";
    const V6: &str = "2001:db8::1";

    #[test]
    fn a_machine_without_ipv6_is_judged_by_ipv4_alone() {
        let no_v6 = [attempt(
            V6,
            Outcome::NotApplicable,
            Some(Trouble::NetworkUnreachable),
        )];
        let pass = [attempt(V4, Outcome::Pass, None)];
        assert_eq!(joined(&pass, &no_v6), (Outcome::Pass, None));
        let fail = [attempt(V4, Outcome::Fail, Some(Trouble::Refused))];
        assert_eq!(
            joined(&fail, &no_v6),
            (Outcome::Fail, Some(Trouble::Refused))
        );
    }

    #[test]
    fn without_any_route_the_network_is_unreachable() {
        let none = |address| {
            [attempt(
                address,
                Outcome::NotApplicable,
                Some(Trouble::NetworkUnreachable),
            )]
        };
        let expected = (Outcome::Fail, Some(Trouble::NetworkUnreachable));
        assert_eq!(joined(&none(V4), &none(V6)), expected);
    }

    #[test]
    fn what_was_not_run_is_never_a_pass() {
        let what = Trouble::NotPermitted {
            what: "ICMP".to_owned(),
        };
        let not_run = [attempt(V6, Outcome::NotRun, Some(what.clone()))];
        let pass = [attempt(V4, Outcome::Pass, None)];
        assert_eq!(joined(&[], &not_run), (Outcome::NotRun, Some(what.clone())));
        assert_eq!(joined(&pass, &not_run), (Outcome::Warn, Some(what)));
        let fail = [attempt(V4, Outcome::Fail, Some(Trouble::Refused))];
        assert_eq!(
            joined(&fail, &not_run),
            (Outcome::Fail, Some(Trouble::Refused))
        );
    }

    #[test]
    fn a_failed_family_says_more_than_one_that_warns() {
        let warn = [attempt(V4, Outcome::Warn, Some(Trouble::EchoMissing))];
        let fail = [attempt(V6, Outcome::Fail, Some(Trouble::Refused))];
        assert_eq!(
            joined(&warn, &fail),
            (Outcome::Warn, Some(Trouble::Refused))
        );
        assert_eq!(
            joined(&warn, &[]),
            (Outcome::Warn, Some(Trouble::EchoMissing))
        );
    }
}
