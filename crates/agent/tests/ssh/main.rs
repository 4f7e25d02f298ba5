//! The SSH switch with OpenSSH's server and client.

#![cfg(test)]

mod certificates;
mod place;
#[expect(dead_code, reason = "other tests look at where its data lies")]
#[path = "../../../hub/tests/running/hub.rs"]
mod running;
#[path = "../../../hub/tests/running/site.rs"]
mod site;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use outgate_agent::local::ssh::SwitchError;
use outgate_agent::status::SshState;
use outgate_testbed::{Ends, OwnMachine, on_own_machine};
use serde_json::json;

use self::place::{Place, WHILE, on, run, running, shown};

/// Tells a process of a test that it is to be the agent that is killed.
const AGENT: &str = "OUTGATE_SSH_AGENT";

/// Runs a test on a machine of its own, where nobody else has processes or accounts.
fn alone<T: Future<Output = ()>>(test: impl FnOnce(Place) -> T) {
    on_own_machine(|machine: &OwnMachine| block_on(test(Place::new(machine)))).unwrap();
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work);
}

fn said(agent: &outgate_agent::agent::Agent) -> serde_json::Value {
    let halves = agent.device().twin().borrow().clone();
    halves.reported.document["outgate"]["ssh"].clone()
}

#[test]
fn nobody_comes_in_while_it_is_off_and_only_a_key_that_counts_while_it_is_on() {
    alone(|place| async move {
        let agent = place.agent().await;
        let status = shown(&agent, |ssh| ssh.state == SshState::Off).await;
        let ssh = status.ssh.unwrap();
        assert_eq!((ssh.listen.len(), ssh.until, ssh.host_key), (0, None, None));
        let own = place.file("own");
        let at = on(&agent).await;
        let (entered, answer) = place.answered(&own, at, &[]).await;
        assert!(entered, "{answer}");
        assert_eq!(answer, "I am technician");
        let stranger = place.key("stranger");
        for options in [
            &[][..],
            &[
                "-o",
                "PreferredAuthentications=password,keyboard-interactive",
            ],
            &["-l", "root", "-o", "IdentityFile=/run/place/own"],
        ] {
            let (entered, answer) = place.answered(&stranger, at, options).await;
            assert!(!entered, "{options:?} {answer}");
            assert!(answer.contains("Permission denied (publickey)"), "{answer}");
        }
        let known_by = agent.device().status().ssh.unwrap().host_key.unwrap();
        let shown = Command::new("ssh-keygen")
            .args(["-l", "-f", "/run/place/agent/ssh/host_key.pub"])
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert_eq!(shown.split(' ').nth(1), Some(known_by.as_str()));

        agent.ssh().unwrap().off("a test").await.unwrap();
        let (entered, answer) = place.answered(&own, at, &[]).await;
        assert!(!entered);
        assert!(answer.contains("Connection refused"), "{answer}");
        agent.stop().await;
    });
}

#[test]
fn a_session_is_cut_with_all_that_it_runs_when_the_time_is_over() {
    alone(|place| async move {
        let agent = place.agent().await;
        let at = on(&agent).await;
        let terminal = place.session(at, &["-tt"]).await;
        let none = place.session(at, &[]).await;
        shown(&agent, |ssh| ssh.connections == 2).await;
        run("sleep", 2).await;
        tokio::time::pause();
        tokio::time::advance(WHILE).await;
        tokio::time::resume();
        let status = shown(&agent, |ssh| ssh.state == SshState::Off).await;
        let ssh = status.ssh.unwrap();
        assert_eq!((ssh.until, ssh.by, ssh.connections), (None, None, 0));
        terminal.ends_cut().await;
        none.ends_cut().await;
        assert_eq!((running("sshd"), running("sleep")), (0, 0));
        assert_eq!(said(&agent), json!({ "on": false }));
        agent.stop().await;
    });
}

#[test]
fn it_is_told_when_it_is_switched_and_is_never_on_when_the_agent_starts() {
    alone(|place| async move {
        let agent = place.agent().await;
        let before = agent.device().status().queue.entries;
        on(&agent).await;
        let until = agent.device().status().ssh.unwrap().until.unwrap();
        assert!(until > time::OffsetDateTime::now_utc());
        assert_eq!(said(&agent)["on"], true);
        // As if it were killed: nothing is said any more.
        let data = place.file("agent");
        let kept = std::fs::read(data.join("twin.json")).unwrap();
        agent.stop().await;
        std::fs::write(data.join("twin.json"), kept).unwrap();

        let agent = place.agent().await;
        shown(&agent, |ssh| ssh.state == SshState::Off).await;
        let mut twin = agent.device().twin();
        let off = |halves: &outgate_agent::twin::Halves| {
            halves.reported.document["outgate"]["ssh"]["on"] == false
        };
        twin.wait_for(off).await.unwrap();
        let mut status = agent.device().watch();
        let told = |status: &outgate_agent::status::Status| status.queue.entries == before + 3;
        status.wait_for(told).await.unwrap();
        agent.stop().await;
    });
}

#[test]
fn what_it_needs_and_has_not_is_said() {
    alone(|place| async move {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let mut config = place.config("agent", place::NO_HUB, "token", "");
        let ssh = config.ssh.as_mut().unwrap();
        ssh.listen = vec![address];
        let agent = place::start(&config).await;
        let switch = agent.ssh().unwrap();
        let refused = switch.on(WHILE, "a test").await.unwrap_err();
        assert!(refused.to_string().contains("another program"), "{refused}");
        let long = switch.on(WHILE * 100, "a test").await.unwrap_err();
        assert!(
            matches!(long, SwitchError::Time { most_minutes: 60 }),
            "{long}"
        );
        agent.stop().await;
        config.ssh.as_mut().unwrap().program = "/run/no/sshd".into();
        let agent = place::start(&config).await;
        let refused = agent.ssh().unwrap().on(WHILE, "a test").await.unwrap_err();
        assert!(refused.to_string().contains("/run/no/sshd"), "{refused}");
        assert_eq!(agent.device().status().ssh.unwrap().state, SshState::Off);
        agent.stop().await;
    });
}

#[test]
fn an_agent_that_is_killed_leaves_nobody_who_listens_and_no_session() {
    if std::env::var_os(AGENT).is_some() {
        be_killed();
    }
    alone(|place| async move {
        let name = "an_agent_that_is_killed_leaves_nobody_who_listens_and_no_session";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(AGENT, place.file(""))
            .stdout(Stdio::piped())
            .spawn();
        let mut agent = Ends(child.unwrap());
        let said = BufReader::new(agent.0.stdout.take().unwrap());
        let at = said
            .lines()
            .find_map(|line| line.unwrap().strip_prefix("at ").map(str::to_owned));
        let at = at.unwrap().parse().unwrap();
        let terminal = place.session(at, &["-tt"]).await;
        let none = place.session(at, &[]).await;
        // Somebody who has not said who they are.
        let mut mute = std::net::TcpStream::connect(at).unwrap();
        mute.write_all(b"SSH-2.0-mute\r\n").unwrap();
        let mut greeting = String::new();
        BufReader::new(&mute).read_line(&mut greeting).unwrap();
        assert!(greeting.starts_with("SSH-2.0-OpenSSH"), "{greeting}");
        assert!(running("sshd") >= 3);
        agent.0.kill().unwrap();
        agent.0.wait().unwrap();
        assert!(std::net::TcpStream::connect(at).is_err());
        terminal.ends_cut().await;
        none.ends_cut().await;
        run("sshd", 0).await;
        drop(mute);
    });
}

/// An agent that has SSH switched on, until it is killed.
fn be_killed() -> ! {
    let place = Place::at(Path::new(&std::env::var_os(AGENT).unwrap()));
    block_on(async move {
        let agent = place.agent().await;
        println!("at {}", on(&agent).await);
        std::future::pending::<()>().await;
    });
    unreachable!("it is killed before");
}
