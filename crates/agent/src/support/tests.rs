//! Who may decide what, and when.

use serde_json::json;

use super::*;

fn desk(allow: &str) -> (Desk, mpsc::Receiver<Job>) {
    let text = format!(
        "hub = 'https://hub.example'\ntoken-file = '/t'\n[support]\nallow = '{allow}'\n\
         [support.services]\npos = '127.0.0.1:80'\n"
    );
    let config = config::Config::parse(&text).unwrap();
    Desk::new(config.support.unwrap())
}

fn call(session: &str, what: &str, reason: &str) -> Call {
    let asked = json!({
        "session": session, "key": "a2V5", "operator": "anna", "reason": reason, "what": what,
        "seconds": 60,
    });
    Call {
        id: "ca-1".to_owned(),
        method: "outgate.support".to_owned(),
        content_type: "application/json".to_owned(),
        payload: Blob(serde_json::to_vec(&asked).unwrap()),
    }
}

#[tokio::test]
async fn a_session_waits_until_somebody_allows_it_at_the_device() {
    let (desk, mut jobs) = desk("ask");
    assert_eq!(
        desk.on_call(&call("su-1", "service pos", "why")).status,
        202
    );
    assert!(jobs.try_recv().is_err());
    assert!(matches!(desk.end("su-1", "x"), Err(SupportError::Asked)));
    assert!(matches!(
        desk.allow("su-2", "x"),
        Err(SupportError::Unknown)
    ));
    desk.allow("su-1", "cashier").unwrap();
    assert!(matches!(jobs.try_recv(), Ok(Job::Open(_))));
    assert!(matches!(desk.allow("su-1", "x"), Err(SupportError::Open)));
    assert!(matches!(desk.refuse("su-1", "x"), Err(SupportError::Open)));
    desk.end("su-1", "cashier").unwrap();
    assert!(matches!(desk.end("su-1", "x"), Err(SupportError::Unknown)));
    assert_eq!(desk.sessions()[0].state, "over");
}

#[tokio::test]
async fn what_is_refused_is_told_and_not_opened() {
    let (desk, mut jobs) = desk("ask");
    desk.on_call(&call("su-1", "service pos", "why"));
    desk.refuse("su-1", "cashier").unwrap();
    assert!(matches!(jobs.try_recv(), Ok(Job::Refuse(_))));
    assert!(matches!(
        desk.allow("su-1", "x"),
        Err(SupportError::Unknown)
    ));
}

#[tokio::test]
async fn the_policy_allows_what_it_names_and_nothing_else() {
    let (desk, mut jobs) = desk("always");
    for (what, reason) in [
        ("service other", "why"),
        ("service 127.0.0.1:80", "why"),
        ("shell 80x24", "why"),
        ("everything now", "why"),
        ("service pos", "two\nlines"),
    ] {
        let answer = desk.on_call(&call("su-1", what, reason));
        assert!(answer.status >= 400, "{what}: {}", answer.status);
    }
    assert!(jobs.try_recv().is_err());
    assert!(desk.sessions().is_empty());
    desk.on_call(&call("su-1", "service pos", "why"));
    assert!(matches!(jobs.try_recv(), Ok(Job::Open(_))));
}

#[tokio::test]
async fn a_session_is_one_however_often_it_is_asked_for_and_there_are_few() {
    let (desk, _jobs) = desk("ask");
    for session in ["su-1", "su-1", "su-2", "su-3", "su-4"] {
        let answer = desk.on_call(&call(session, "service pos", "why"));
        assert_eq!(answer.status, 202, "{session}");
    }
    assert_eq!(desk.sessions().len(), 4);
    assert_eq!(
        desk.on_call(&call("su-5", "service pos", "why")).status,
        429
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_can_allow_a_session_whose_time_is_over() {
    let (desk, mut jobs) = desk("ask");
    desk.on_call(&call("su-1", "service pos", "why"));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(matches!(
        desk.allow("su-1", "x"),
        Err(SupportError::Unknown)
    ));
    assert!(jobs.try_recv().is_err());
}
