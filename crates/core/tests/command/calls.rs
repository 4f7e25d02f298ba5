//! Calls.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::calls::{Answer, Call, MAX_PENDING_OF_DEVICE};
use outgate_core::id::CallId;
use outgate_core::identity::{Actor, Role, Scope};
use outgate_core::sessions::{Ending, Selector, Session, Signal};

use crate::hub::{Hub, actor, id, till};

const DEADLINE: Duration = Duration::from_secs(300);

#[tokio::test]
async fn a_call_is_answered() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let (answer, ()) = tokio::join!(hub.call(), async {
        let call = next_call(&session).await;
        assert_eq!(
            (call.method.as_str(), &*call.payload),
            ("count", &b"drawer"[..])
        );
        hub.core
            .calls
            .answer(&session, &call.id, said(201, "12"))
            .unwrap();
    });
    let answer = answer.unwrap();
    assert_eq!((answer.status, &*answer.payload), (201, &b"12"[..]));
    assert_eq!(hub.core.calls.pending(), 0);
    let (who, act, on) = hub.audited().await.swap_remove(0);
    assert_eq!(
        (who.as_str(), act.as_str(), on.as_str()),
        ("op-test", "device.call", "device/till-1")
    );
}

#[tokio::test]
async fn a_device_that_is_not_there_is_not_waited_for() {
    let hub = Hub::new().await;
    assert!(matches!(hub.call().await, Err(Refusal::Offline { .. })));
    assert_eq!(hub.core.calls.pending(), 0);
}

#[tokio::test]
async fn a_call_that_no_session_takes_is_refused_at_once_and_one_that_some_take_is_not() {
    let hub = Hub::new().await;
    let [one, two] = [hub.session("till-1").await, hub.session("till-1").await];
    let (answer, ()) = tokio::join!(hub.call(), async {
        for session in [&one, &two] {
            let call = next_call(session).await;
            hub.core.calls.decline(session, &call.id).unwrap();
        }
    });
    assert!(matches!(answer, Err(Refusal::TakesNoCalls { .. })));
    assert_eq!(hub.core.calls.pending(), 0);
    let (answer, ()) = tokio::join!(hub.call(), async {
        let call = next_call(&one).await;
        hub.core.calls.decline(&one, &call.id).unwrap();
        let call = next_call(&two).await;
        let calls = &hub.core.calls;
        calls.answer(&two, &call.id, said(200, "12")).unwrap();
        let late = calls.decline(&one, &call.id);
        assert!(matches!(late, Err(Refusal::NotFound { .. })));
    });
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn a_call_fails_at_once_when_the_device_goes_or_is_revoked() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let (answer, ()) = tokio::join!(hub.call(), async {
        next_call(&session).await;
        drop(session);
    });
    assert!(matches!(answer, Err(Refusal::Offline { .. })));
    // A revoked connection that does not close keeps nobody waiting either.
    let lingering = hub.session("till-1").await;
    let (answer, _) = tokio::join!(hub.call(), async {
        let call = next_call(&lingering).await;
        let device = Selector::Device(till().clone());
        let sessions = &hub.core.sessions;
        sessions.end(&device, Ending::Revoked, Duration::ZERO).await;
        let late = hub.core.calls.answer(&lingering, &call.id, said(200, ""));
        assert!(matches!(late, Err(Refusal::Revoked)));
    });
    assert!(matches!(answer, Err(Refusal::Offline { .. })));
    assert_eq!(hub.core.calls.pending(), 0);
}

#[tokio::test]
async fn a_call_goes_on_as_long_as_one_session_is_left() {
    let hub = Hub::new().await;
    let [leaving, staying] = [hub.session("till-1").await, hub.session("till-1").await];
    let (answer, ()) = tokio::join!(hub.call(), async {
        next_call(&leaving).await;
        drop(leaving);
        let call = next_call(&staying).await;
        hub.core
            .calls
            .answer(&staying, &call.id, said(200, ""))
            .unwrap();
        let again = hub.core.calls.answer(&staying, &call.id, said(200, ""));
        assert!(matches!(again, Err(Refusal::NotFound { .. })));
    });
    answer.unwrap();
}

#[tokio::test]
async fn the_deadline_ends_the_waiting_and_a_late_answer_is_refused() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    // With time held, the clock of the waiting only moves on once nothing else is to be done.
    let call = async {
        let call = next_call(&session).await;
        tokio::time::pause();
        tokio::time::advance(DEADLINE + Duration::from_secs(1)).await;
        call
    };
    let (answer, call) = tokio::join!(hub.call(), call);
    assert!(matches!(answer, Err(Refusal::DeadlineExceeded)));
    let late = hub.core.calls.answer(&session, &call.id, said(200, ""));
    assert!(matches!(late, Err(Refusal::NotFound { .. })));
    assert_eq!(hub.core.calls.pending(), 0);
}

#[tokio::test]
async fn another_device_cannot_answer_nor_tell_that_there_is_a_call() {
    let hub = Hub::new().await;
    let (session, other) = (hub.session("till-1").await, hub.session("clock-1").await);
    let (answer, ()) = tokio::join!(hub.call(), async {
        let call = next_call(&session).await;
        let wrong = hub.core.calls.answer(&other, &call.id, said(200, "forged"));
        let nothing: CallId = id("ca-nothing");
        let unknown = hub.core.calls.answer(&other, &nothing, said(200, "forged"));
        assert!(matches!(wrong, Err(Refusal::NotFound { .. })));
        assert!(matches!(unknown, Err(Refusal::NotFound { .. })));
        hub.core
            .calls
            .answer(&session, &call.id, said(200, "true"))
            .unwrap();
    });
    assert_eq!(&*answer.unwrap().payload, b"true");
}

#[tokio::test]
async fn a_device_has_a_bounded_number_of_calls_and_a_caller_who_leaves_frees_one() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let mut waiting = Vec::new();
    for _ in 0..MAX_PENDING_OF_DEVICE {
        let (core, operator) = (hub.core.clone(), hub.operator.clone());
        waiting.push(tokio::spawn(async move {
            let asked = core.calls.call(
                &operator,
                till(),
                "count".to_owned(),
                String::new(),
                "drawer".into(),
                DEADLINE,
            );
            asked.await
        }));
        next_call(&session).await;
    }
    assert!(matches!(hub.call().await, Err(Refusal::Limited { .. })));
    let leaves = waiting.pop().unwrap();
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());
    let (answer, ()) = tokio::join!(hub.call(), async {
        let call = next_call(&session).await;
        hub.core
            .calls
            .answer(&session, &call.id, said(200, ""))
            .unwrap();
    });
    answer.unwrap();
    drop(session);
    for call in waiting {
        assert!(matches!(call.await.unwrap(), Err(Refusal::Offline { .. })));
    }
    assert_eq!(hub.core.calls.pending(), 0);
}

#[tokio::test]
async fn only_operators_who_see_the_device_call_and_what_they_ask_is_checked() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let call = |actor: Actor, method: &'static str, deadline| {
        let core = &hub.core;
        async move {
            let method = method.to_owned();
            let asked = core
                .calls
                .call(&actor, till(), method, String::new(), "".into(), deadline);
            asked.await
        }
    };
    let viewer = call(actor(Role::Viewer, Scope::All), "count", DEADLINE).await;
    assert!(matches!(viewer, Err(Refusal::Forbidden { .. })));
    let stranger = actor(Role::Admin, Scope::Site(id("mill")));
    let stranger = call(stranger, "count", DEADLINE).await;
    assert!(matches!(stranger, Err(Refusal::NotFound { .. })));
    for (method, deadline) in [
        ("a/b", DEADLINE),
        ("", DEADLINE),
        ("count", Duration::from_millis(999)),
        ("count", Duration::from_secs(301)),
    ] {
        let wrong = call(hub.operator.clone(), method, deadline).await;
        assert!(matches!(wrong, Err(Refusal::Invalid { .. })), "{method}");
    }
    // A status is the device's own; that nobody has asked is what is wrong.
    for status in [-1, 99, 200, 600] {
        let answered = hub
            .core
            .calls
            .answer(&session, &id("ca-1"), said(status, ""));
        assert!(matches!(answered, Err(Refusal::NotFound { .. })));
    }
}

impl Hub {
    async fn call(&self) -> Result<Answer, Refusal> {
        let (method, payload) = ("count".to_owned(), "drawer".into());
        let calls = &self.core.calls;
        let asked = calls.call(
            &self.operator,
            till(),
            method,
            String::new(),
            payload,
            DEADLINE,
        );
        asked.await
    }
}

async fn next_call(session: &Session) -> Call {
    loop {
        match session.signal().await {
            Signal::Call(call) => return call,
            Signal::Commands
            | Signal::Desired
            | Signal::DesiredOf(_)
            | Signal::Roster
            | Signal::Spaces => {}
        }
    }
}

fn said(status: i32, payload: &'static str) -> Answer {
    Answer {
        status,
        content_type: String::new(),
        payload: payload.into(),
    }
}
