//! Whatever is done in whatever order, each device's events are there, in its order, once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use proptest::prelude::*;

use super::*;

/// Something that is done.
#[derive(Clone, Debug)]
enum Act {
    /// So many events of a device are handed in, and not waited for.
    Say(usize, usize),
    /// So many of those handed in first are waited for.
    Wait(usize),
    /// Nobody waits any more for so many of those handed in first.
    LoseInterest(usize),
    /// The next events are taken.
    Take(u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..DEVICES.len(), 1..30_usize).prop_map(|(device, count)| Act::Say(device, count)),
        (1..40_usize).prop_map(Act::Wait),
        (1..4_usize).prop_map(Act::LoseInterest),
        (1..50_u32).prop_map(Act::Take),
    ]
}

const DEVICES: [&str; 3] = ["a", "b", "c"];

type Answer<'a> = Pin<Box<dyn Future<Output = Result<u64, Refusal>> + 'a>>;

async fn run(acts: Vec<Act>) {
    let bench = Bench::new(Limits::default());
    let events = &bench.core.events;
    let sessions = DEVICES.map(|device| bench.session(device));
    let mut said_by = [0_usize; DEVICES.len()];
    let mut answers: VecDeque<(usize, usize, Answer<'_>)> = VecDeque::new();
    let (mut acknowledged, mut taken, mut next) = (Vec::new(), Vec::new(), 0);
    for act in acts {
        match act {
            Act::Say(device, count) => {
                for _ in 0..count {
                    let number = said_by[device];
                    said_by[device] += 1;
                    let event = said(&number.to_string(), b"x");
                    let mut append: Answer<'_> = Box::pin(events.append(&sessions[device], event));
                    if let Poll::Ready(answer) = poll_once(&mut append).await {
                        append = Box::pin(std::future::ready(answer));
                    }
                    answers.push_back((device, number, append));
                }
            }
            Act::Wait(count) => {
                for (device, number, answer) in answers.drain(..count.min(answers.len())) {
                    acknowledged.push((answer.await.unwrap(), device, number));
                }
            }
            Act::LoseInterest(count) => {
                answers.drain(..count.min(answers.len()));
            }
            Act::Take(limit) => {
                let more = events.after(&all(), next, limit).await.unwrap();
                next = more.next;
                taken.extend(more.events);
            }
        }
    }
    bench.core.store.barrier().await.unwrap();
    let rest = async |after| events.after(&all(), after, MAX_TAKEN).await.unwrap();
    let mut more = rest(next).await;
    while more.next > next {
        next = more.next;
        taken.extend(more.events);
        more = rest(next).await;
    }
    verify(&taken, said_by, &acknowledged);
}

fn verify(taken: &[Event], said_by: [usize; DEVICES.len()], acknowledged: &[(u64, usize, usize)]) {
    for (place, event) in taken.iter().enumerate() {
        assert_eq!(event.seq, place as u64 + 1);
    }
    for (index, device) in DEVICES.iter().enumerate() {
        let numbers = taken
            .iter()
            .filter(|event| event.device.as_str() == *device);
        let numbers: Vec<usize> = numbers.map(|event| event.name.parse().unwrap()).collect();
        assert_eq!(numbers, (0..said_by[index]).collect::<Vec<_>>());
    }
    for (seq, device, number) in acknowledged {
        let event = &taken[usize::try_from(*seq).unwrap() - 1];
        assert_eq!(event.device.as_str(), DEVICES[*device]);
        assert_eq!(event.name, number.to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_event_is_lost_repeated_or_out_of_order(acts in prop::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(acts));
    }
}
