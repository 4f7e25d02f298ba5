//! Commands under random use, beside a model of what must be.

use std::collections::BTreeMap;

use outgate_core::Refusal;
use outgate_core::commands::{CommandState, Settlement};
use outgate_core::id::CommandId;
use outgate_core::sessions::Session;
use proptest::prelude::*;

use crate::hub::{Hub, command, page, till};

#[derive(Clone, Debug)]
enum Step {
    Send,
    Take {
        session: usize,
        limit: u32,
    },
    Settle {
        session: usize,
        which: usize,
        how: Settlement,
    },
    Reconnect {
        session: usize,
    },
    Cancel {
        which: usize,
    },
}

/// What is known of a command from outside.
#[derive(Debug)]
struct Known {
    holder: Option<usize>,
    deliveries: u32,
    state: CommandState,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn commands_are_in_order_and_none_is_lost_or_held_by_two(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let hub = Hub::new().await;
    let mut sessions = [hub.session("till-1").await, hub.session("till-1").await];
    let mut known: BTreeMap<u64, (CommandId, Known)> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Send => {
                let sent = hub
                    .core
                    .commands
                    .send(&hub.operator, till(), command("one"));
                let sent = sent.await.unwrap();
                let new = Known {
                    holder: None,
                    deliveries: 0,
                    state: CommandState::Queued,
                };
                known.insert(sent.seq, (sent.id, new));
            }
            Step::Take { session, limit } => {
                take(&hub, &sessions, session, limit, &mut known).await;
            }
            Step::Settle {
                session,
                which,
                how,
            } => {
                settle(&hub, &sessions, (session, which, how), &mut known).await;
            }
            Step::Reconnect { session } => {
                let fresh = hub.session("till-1").await;
                drop(std::mem::replace(&mut sessions[session], fresh));
                for (_, command) in known.values_mut() {
                    command.holder = command.holder.filter(|holder| *holder != session);
                }
            }
            Step::Cancel { which } => cancel(&hub, which, &mut known).await,
        }
    }
    let listed = hub
        .core
        .commands
        .list(&hub.operator, till(), &page(100))
        .await
        .unwrap();
    for command in listed.items {
        let (_, expected) = &known[&command.seq];
        let state = match (is_open(expected), expected.holder) {
            (true, Some(_)) => CommandState::Delivered,
            (true, None) => CommandState::Queued,
            (false, _) => expected.state,
        };
        assert_eq!(
            (command.state, command.deliveries),
            (state, expected.deliveries)
        );
    }
}

async fn take(
    hub: &Hub,
    sessions: &[Session; 2],
    session: usize,
    limit: u32,
    known: &mut BTreeMap<u64, (CommandId, Known)>,
) {
    let taken = hub
        .core
        .commands
        .take(&sessions[session], limit)
        .await
        .unwrap();
    let foreign = known
        .values()
        .any(|(_, command)| is_open(command) && command.holder.is_some_and(|its| its != session));
    let expected: Vec<u64> = known
        .iter()
        .filter(|(_, (_, command))| !foreign && is_open(command) && command.holder.is_none())
        .map(|(seq, _)| *seq)
        .take(limit as usize)
        .collect();
    let places: Vec<u64> = taken.iter().map(|command| command.seq).collect();
    assert_eq!(places, expected);
    for command in taken {
        let (_, kept) = known.get_mut(&command.seq).unwrap();
        kept.holder = Some(session);
        kept.deliveries += 1;
        assert_eq!(command.deliveries, kept.deliveries);
    }
}

async fn settle(
    hub: &Hub,
    sessions: &[Session; 2],
    (session, which, how): (usize, usize, Settlement),
    known: &mut BTreeMap<u64, (CommandId, Known)>,
) {
    let Some((id, command)) = nth(known, which) else {
        return;
    };
    let outcome = match how {
        Settlement::Completed => CommandState::Completed,
        Settlement::Rejected => CommandState::Rejected,
        Settlement::Abandoned => CommandState::Queued,
    };
    let done = hub.core.commands.settle(&sessions[session], id, how).await;
    let foreign = command.holder.is_some_and(|holder| holder != session);
    if is_open(command) && command.deliveries > 0 && !foreign {
        done.unwrap();
        command.state = outcome;
        command.holder = None;
    } else if command.state == outcome && !foreign {
        done.unwrap();
    } else {
        assert!(matches!(done, Err(Refusal::Conflict { .. })), "{done:?}");
    }
}

async fn cancel(hub: &Hub, which: usize, known: &mut BTreeMap<u64, (CommandId, Known)>) {
    let Some((id, command)) = nth(known, which) else {
        return;
    };
    let done = hub.core.commands.cancel(&hub.operator, till(), id).await;
    let cancelled = command.state == CommandState::Cancelled;
    assert_eq!(done.is_ok(), is_open(command) || cancelled);
    if is_open(command) {
        command.state = CommandState::Cancelled;
    }
}

fn nth(
    known: &mut BTreeMap<u64, (CommandId, Known)>,
    which: usize,
) -> Option<&mut (CommandId, Known)> {
    let count = known.len().max(1);
    known.values_mut().nth(which % count)
}

fn is_open(command: &Known) -> bool {
    command.state == CommandState::Queued
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        3 => Just(Settlement::Completed),
        1 => Just(Settlement::Rejected),
        2 => Just(Settlement::Abandoned),
    ];
    prop_oneof![
        4 => Just(Step::Send),
        4 => (0..2usize, 1..4u32).prop_map(|(session, limit)| Step::Take { session, limit }),
        5 => (0..2usize, any::<usize>(), how)
            .prop_map(|(session, which, how)| Step::Settle { session, which, how }),
        1 => (0..2usize).prop_map(|session| Step::Reconnect { session }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
    ]
}
