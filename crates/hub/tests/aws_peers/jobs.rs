//! Jobs, as AWS's SDK has them: both versions of its clients.

use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::{CommandState, NewCommand};
use outgate_core::id::CommandId;
use outgate_core::identity::Actor;
use serde_json::{Value, json};

use crate::running::Running;
use crate::told::Client;
use crate::{connected, with_hub};

/// Reason codes of MQTT 5.
const DONE: u16 = 0;
const NOT_AUTHORIZED: u16 = 135;

impl Running {
    async fn state_of(&self, device: &str, command: &CommandId) -> CommandState {
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let commands = &self.core().commands;
        commands.get(&actor, &id, command).await.unwrap().state
    }

    /// Sends a command whose payload is this JSON.
    async fn orders(&self, device: &str, name: &str, payload: Value) -> CommandId {
        let command = NewCommand {
            name: name.to_owned(),
            content_type: "application/json".to_owned(),
            properties: [].into(),
            payload: Bytes::from(payload.to_string()),
            lasts: Duration::from_secs(3_600),
        };
        let (actor, id) = (Actor::hub(), device.parse().unwrap());
        let sent = self.core().commands.send(&actor, &id, command).await;
        sent.unwrap().id
    }
}

/// Asks, by the second version of the SDK's client.
async fn does(client: &mut Client, call: &str, members: Value) -> Value {
    let mut request = members;
    request["thing_name"] = json!("fort-1");
    let order = json!({"of": "iotjobs", "call": call, "request": request});
    client.does(json!(["serve", order])).await
}

/// Listens, by the second version of the SDK's client.
async fn hears(client: &mut Client, call: &str, request_of: &str) {
    let request = json!({"thing_name": "fort-1"});
    let order = json!({
        "of": "iotjobs", "call": call, "request_of": request_of, "request": request,
    });
    // The subscription is established.
    assert_eq!(client.does(json!(["stream", order])).await, 0);
}

async fn thing(hub: &Running, version: u8) -> Client {
    hub.of_policy("fort-1", "thing").await;
    let mut order = hub.signed("fort-1").await;
    order["version"] = json!(version);
    connected(&order).await
}

/// The names of jobs, as they are listed.
fn ids(listed: &Value) -> Vec<&str> {
    let listed = listed.as_array().into_iter().flatten();
    listed.map(|one| one["job_id"].as_str().unwrap()).collect()
}

/// A fort is told of a job that it has, and finds it.
async fn one_found(hub: &Running, client: &mut Client) -> CommandId {
    let nothing = does(client, "start_next_pending_job_execution", json!({})).await;
    assert_eq!(nothing.get("execution"), None, "{nothing}");
    hears(
        client,
        "next_job_execution_changed",
        "NextJobExecutionChangedSubscriptionRequest",
    )
    .await;
    hears(
        client,
        "job_executions_changed",
        "JobExecutionsChangedSubscriptionRequest",
    )
    .await;
    let job = hub
        .orders("fort-1", "reload", json!({"app": "sales"}))
        .await;
    let told = client.says("next_job_execution_changed").await;
    assert_eq!(told["execution"]["job_id"], job.as_str());
    let document = json!({"app": "sales", "operation": "reload"});
    assert_eq!(told["execution"]["job_document"], document);
    let told = client.says("job_executions_changed").await;
    assert_eq!(ids(&told["jobs"]["QUEUED"]), [job.as_str()]);
    let listed = does(client, "get_pending_job_executions", json!({})).await;
    assert_eq!(ids(&listed["queued_jobs"]), [job.as_str()]);
    job
}

/// A job is found, begun, reported on and done.
async fn one_job(hub: &Running, client: &mut Client) {
    let job = one_found(hub, client).await;
    let document = json!({"app": "sales", "operation": "reload"});
    let begun = does(client, "start_next_pending_job_execution", json!({})).await;
    let begun = &begun["execution"];
    assert_eq!(
        (&begun["job_id"], &begun["job_document"]),
        (&json!(job.as_str()), &document)
    );
    assert_eq!(
        (&begun["status"], &begun["version_number"]),
        (&json!("IN_PROGRESS"), &json!(2))
    );
    assert_eq!(hub.state_of("fort-1", &job).await, CommandState::Delivered);
    let update = |status: &str, expected: u64| {
        json!({
            "job_id": job.as_str(), "status": status, "expected_version": expected,
            "status_details": {"step": status}, "include_job_execution_state": true,
        })
    };
    let stale = does(client, "update_job_execution", update("IN_PROGRESS", 1)).await;
    assert_eq!(stale["rejected"]["code"], "VersionMismatch", "{stale}");
    assert_eq!(stale["rejected"]["execution_state"]["version_number"], 2);
    let going = does(client, "update_job_execution", update("IN_PROGRESS", 2)).await;
    assert_eq!(
        going["execution_state"]["status_details"],
        json!({"step": "IN_PROGRESS"})
    );
    let found = json!({"job_id": job.as_str()});
    let found = does(client, "describe_job_execution", found).await;
    assert_eq!(found["execution"]["version_number"], 3);
    let done = does(client, "update_job_execution", update("SUCCEEDED", 3)).await;
    assert_eq!(done["execution_state"]["status"], "SUCCEEDED", "{done}");
    assert_eq!(hub.state_of("fort-1", &job).await, CommandState::Completed);
    let told = client.says("next_job_execution_changed").await;
    assert_eq!(told.get("execution"), None);
    let again = does(client, "update_job_execution", update("SUCCEEDED", 4)).await;
    assert_eq!(again["rejected"]["code"], "InvalidStateTransition");
    let found = json!({"job_id": job.as_str()});
    let found = does(client, "describe_job_execution", found).await;
    assert_eq!(found["rejected"]["code"], "TerminalStateReached");
}

/// Jobs that a fort does not do.
async fn undone(hub: &Running, client: &mut Client) {
    for status in ["FAILED", "REJECTED"] {
        let job = hub.orders("fort-1", "reload", json!("sales")).await;
        let next = does(client, "describe_job_execution", json!({"job_id": "$next"})).await;
        let document = json!({"payload": "\"sales\"", "operation": "reload"});
        assert_eq!(next["execution"]["job_document"], document);
        assert_eq!(next["execution"]["status"], "QUEUED");
        let update = json!({"job_id": job.as_str(), "status": status});
        let done = does(client, "update_job_execution", update).await;
        assert_eq!(done.get("rejected"), None, "{done}");
        assert_eq!(hub.state_of("fort-1", &job).await, CommandState::Rejected);
    }
    let strange = json!({"job_id": "co-nothing", "status": "SUCCEEDED"});
    let strange = does(client, "update_job_execution", strange).await;
    assert_eq!(strange["rejected"]["code"], "ResourceNotFound");
    let wrong = json!({"job_id": "co-nothing", "status": "QUEUED"});
    let wrong = does(client, "update_job_execution", wrong).await;
    assert_eq!(wrong["rejected"]["code"], "InvalidRequest");
}

#[test]
fn the_newer_client_over_mqtt_5_does_its_jobs() {
    with_hub(|hub| async move {
        let mut client = thing(&hub, 5).await;
        one_job(&hub, &mut client).await;
        undone(&hub, &mut client).await;
    });
}

#[test]
fn the_newer_client_over_mqtt_3_1_1_does_its_jobs() {
    with_hub(|hub| async move {
        let mut client = thing(&hub, 3).await;
        one_job(&hub, &mut client).await;
        undone(&hub, &mut client).await;
    });
}

#[test]
fn the_older_client_is_told_of_its_jobs_and_begins_them() {
    with_hub(|hub| async move {
        let mut client = thing(&hub, 3).await;
        for (call, request_of) in [
            (
                "start_next_pending_job_execution_accepted",
                "StartNextPendingJobExecutionSubscriptionRequest",
            ),
            (
                "next_job_execution_changed_events",
                "NextJobExecutionChangedSubscriptionRequest",
            ),
        ] {
            let order = json!({
                "of": "iotjobs", "call": call, "request_of": request_of,
                "request": {"thing_name": "fort-1"},
            });
            assert_eq!(client.does(json!(["listen", order])).await, 1);
        }
        let job = hub.reload("fort-1").await;
        let told = client.says("next_job_execution_changed_events").await;
        assert_eq!(told["execution"]["job_id"], job.as_str());
        let request = json!({"thing_name": "fort-1", "status_details": {"who": "me"}});
        let order = json!({
            "of": "iotjobs", "call": "start_next_pending_job_execution", "request": request,
        });
        assert_eq!(client.does(json!(["request", order])).await, "published");
        let told = client
            .says("start_next_pending_job_execution_accepted")
            .await;
        assert_eq!(told["execution"]["job_id"], job.as_str());
        assert_eq!(told["execution"]["status_details"], json!({"who": "me"}));
    });
}

#[test]
fn a_fort_that_comes_back_is_told_what_it_has_begun_and_goes_on() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "thing").await;
        let mut order = hub.signed("fort-1").await;
        order["version"] = json!(3);
        order["clean"] = json!(false);
        let mut client = connected(&order).await;
        let filter = json!(["subscribe", ["$aws/things/fort-1/jobs/notify-next", 1]]);
        assert_eq!(client.does(filter).await, 1);
        let job = hub.reload("fort-1").await;
        client.says("message").await;
        let begun = does(&mut client, "start_next_pending_job_execution", json!({})).await;
        assert_eq!(begun["execution"]["job_id"], job.as_str());
        assert_eq!(client.does(json!(["close", null])).await, Value::Null);
        let mut client = connected(&order).await;
        let said = client.says("message").await;
        assert_eq!(said[0], "$aws/things/fort-1/jobs/notify-next");
        let said: Value = serde_json::from_str(said[1].as_str().unwrap()).unwrap();
        assert_eq!(said["execution"]["jobId"], job.as_str());
        assert_eq!(said["execution"]["status"], "IN_PROGRESS");
        let update = json!({"job_id": job.as_str(), "status": "SUCCEEDED"});
        does(&mut client, "update_job_execution", update).await;
        assert_eq!(hub.state_of("fort-1", &job).await, CommandState::Completed);
    });
}

#[test]
fn nobody_asks_of_another_s_jobs_and_what_is_no_request_is_rejected() {
    with_hub(|hub| async move {
        hub.of_policy("fort-1", "wide").await;
        hub.of_policy("fort-2", "wide").await;
        let job = hub.reload("fort-2").await;
        let mut client = connected(&hub.signed("fort-1").await).await;
        for topic in [
            "$aws/things/fort-2/jobs/get".to_owned(),
            "$aws/things/fort-2/jobs/start-next".to_owned(),
            format!("$aws/things/fort-2/jobs/{job}/update"),
            "$aws/things/fort-1/jobs/notify".to_owned(),
        ] {
            let told = json!(["publish", [topic, r#"{"status": "SUCCEEDED"}"#, 1, false]]);
            assert_eq!(client.does(told).await, NOT_AUTHORIZED, "{topic}");
        }
        let others = json!(["subscribe", ["$aws/things/fort-2/jobs/#", 1]]);
        assert_eq!(client.does(others).await, NOT_AUTHORIZED);
        let own = json!([
            "subscribe",
            ["$aws/things/fort-1/jobs/+/update/rejected", 1]
        ]);
        assert_eq!(client.does(own).await, 1);
        let update = format!("$aws/things/fort-1/jobs/{job}/update");
        for (payload, code) in [
            ("{", "InvalidJson"),
            ("{}", "InvalidRequest"),
            (r#"{"status": "SUCCEEDED"}"#, "ResourceNotFound"),
        ] {
            let told = json!(["publish", [update, payload, 1, false]]);
            assert_eq!(client.does(told).await, DONE);
            let said = client.says("message").await;
            let said: Value = serde_json::from_str(said[1].as_str().unwrap()).unwrap();
            assert_eq!(said["code"], code, "{said}");
        }
        assert_eq!(hub.state_of("fort-2", &job).await, CommandState::Queued);
    });
}
