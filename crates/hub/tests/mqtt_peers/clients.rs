//! One round of a client that is a program: it goes in with a session that is kept and with a
//! will, gets a command that waits for it, publishes an event with each quality of service and a
//! retained message, which it then subscribes to; its connection breaks, and the session that it
//! comes back to has its will.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command as Started, Stdio};

use outgate_testbed::{Ends, run};
use tokio::process::Command;

use crate::Case;

/// A round of a client in Python, which takes its orders as arguments.
pub(crate) async fn python(script: &str, case: &Case) -> String {
    let interpreter = outgate_testbed::python().unwrap();
    // No bytecode is left beside the tests.
    orders(
        Command::new(interpreter).arg("-B").arg(beside(script)),
        case,
    )
    .await
}

/// A round of a client in JavaScript.
pub(crate) async fn node(script: &str, case: &Case) -> String {
    orders(Command::new("node").arg(beside(script)), case).await
}

async fn orders(command: &mut Command, case: &Case) -> String {
    let Case {
        address,
        authority,
        device,
        token,
        ..
    } = case;
    command
        .args([case.carrier.name(), if case.five { "5" } else { "3" }])
        .args([address.port.to_string(), address.proxy.to_string()])
        .arg(authority)
        .args([device, token]);
    said(command).await
}

/// Runs a client to its end and gives what it wrote.
async fn said(command: &mut Command) -> String {
    let (_, said) = run(command).await.unwrap();
    said
}

fn beside(script: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/mqtt_peers")
        .join(script)
}

/// A round of mosquitto_pub and mosquitto_sub, which end after what they do.
pub(crate) async fn mosquitto(case: &Case) -> String {
    let device = &case.device;
    let topic = |name: &str| format!("devices/{device}/{name}");
    let mut all = String::new();
    for qos in ["0", "1", "2"] {
        let event = topic(&format!("events/round/{qos}"));
        let publish = ["-q", qos, "-t", &event, "-m", "mosquitto"];
        all += &said(
            Command::new("mosquitto_pub")
                .args(common(case))
                .args(publish),
        )
        .await;
    }
    let state = topic("state");
    let publish = ["-q", "1", "-r", "-t", &state, "-m", "kept"];
    all += &said(
        Command::new("mosquitto_pub")
            .args(common(case))
            .args(publish),
    )
    .await;
    let subscribe = || {
        let mut arguments = common(case);
        let [will, commands, state] = ["will", "commands/#", "state"].map(topic);
        let mut add = |more: &[&str]| arguments.extend(more.iter().map(ToString::to_string));
        add(&["-i", device, "-c", "-q", "1", "-F", "%r %t %p"]);
        add(&["-t", &will, "-t", &commands, "-t", &state]);
        add(&[
            "--will-topic",
            &will,
            "--will-payload",
            "gone",
            "--will-qos",
            "1",
        ]);
        if case.five {
            add(&["-x", "300"]);
        }
        arguments
    };
    let arguments = subscribe();
    let reading = tokio::task::spawn_blocking(move || hear_and_die(&arguments, 2));
    all += &reading.await.unwrap();
    let again = subscribe();
    // The state, which is retained, and the will, in either order.
    let wait = ["-C", "2", "-W", "50"];
    all += &said(Command::new("mosquitto_sub").args(again).args(wait)).await;
    all.lines()
        .map(|line| as_told(line, &topic("")) + "\n")
        .collect()
}

/// Goes in with last words that are an event, and is killed once it has heard of itself.
pub(crate) async fn mosquitto_will(case: &Case) -> String {
    let topic = |name: &str| format!("devices/{}/{name}", case.device);
    let [online, offline, state] = ["events/online", "events/offline", "state"].map(topic);
    let mut publish = common(case);
    publish.extend(["-q", "1", "-t", &online, "-m", "x"].map(str::to_owned));
    let mut all = said(Command::new("mosquitto_pub").args(publish)).await;
    let mut kept = common(case);
    kept.extend(["-q", "1", "-r", "-t", &state, "-m", "kept"].map(str::to_owned));
    all += &said(Command::new("mosquitto_pub").args(kept)).await;
    let mut hear = common(case);
    hear.extend(["-q", "1", "-t", &state].map(str::to_owned));
    let will = ["--will-topic", &offline, "--will-payload", "gone"];
    hear.extend(will.map(str::to_owned));
    let hearing = tokio::task::spawn_blocking(move || hear_and_die(&hear, 1));
    all + &hearing.await.unwrap()
}

/// Hears so many messages, and is killed.
fn hear_and_die(arguments: &[String], count: usize) -> String {
    let child = Started::new("mosquitto_sub")
        .args(arguments)
        // So that it ends if they do not come.
        .args(["-W", "50"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("mosquitto_sub is missing; `cargo xtask test` installs it");
    let mut killed = Ends(child);
    let lines = BufReader::new(killed.0.stdout.take().unwrap()).lines();
    lines.take(count).map(|line| line.unwrap() + "\n").collect()
}

/// A message in the words of the other clients.
fn as_told(line: &str, own: &str) -> String {
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    let [retained, topic, payload] = words.as_slice() else {
        return line.to_owned();
    };
    let name = topic.strip_prefix(own).unwrap_or(topic);
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["commands", _, command] => format!("command {command} {payload}"),
        ["state"] if *retained == "1" => format!("state {payload} retained"),
        _ => format!("{name} {payload}"),
    }
}

/// What all runs of the two have on their command line.
fn common(case: &Case) -> Vec<String> {
    let port = case.address.port.to_string();
    let version = if case.five { "5" } else { "311" };
    let mut common = vec!["-h", "localhost", "-p", &port, "-V", version];
    common.extend(["-u", &case.device, "-P", &case.token]);
    if case.carrier != crate::ways::Carrier::Tcp {
        common.extend(["--cafile", case.authority.to_str().unwrap()]);
    }
    common.into_iter().map(str::to_owned).collect()
}
