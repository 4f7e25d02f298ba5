//! The console as Chromium shows it.

use std::sync::Arc;

use base64::Engine as _;
use outgate_core::identity::Scope;
use serde_json::Value::Null;

use crate::chromium::Chromium;
use crate::hub::Hub;

/// What would run if any of it became an element.
const NASTY: &str =
    "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">";

/// That the page follows what happens.
const LIVE: &str = "document.getElementById('live').textContent.startsWith('Live')";

/// A hub that serves, a browser, and where the hub is.
async fn stage(title: &str) -> (Arc<Hub>, Chromium, String) {
    let hub = Arc::new(Hub::new(title).await);
    let port = hub.whole.listening()[0].address.port();
    let serving = Arc::clone(&hub);
    tokio::spawn(async move { serving.whole.serve().await });
    (
        hub,
        Chromium::new().await,
        format!("https://localhost:{port}"),
    )
}

async fn log_in(browser: &mut Chromium, at: &str, token: &str) {
    browser.go(at).await;
    assert_eq!(browser.run("location.pathname").await, "/console/login");
    let entry = format!(
        "document.getElementById('token').value = '{token}'; \
         document.querySelector('main form').requestSubmit()"
    );
    browser.follow(&entry).await;
    assert_eq!(browser.run("location.pathname").await, "/");
}

/// Keeps a picture where `OUTGATE_PICTURES` says, to be looked at.
async fn picture(browser: &mut Chromium, name: &str) {
    let picture = browser.picture().await;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(picture)
        .unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    if let Some(folder) = std::env::var_os("OUTGATE_PICTURES") {
        let file = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_appear_live_and_nothing_in_them_runs() {
    let (hub, mut browser, at) = stage(NASTY).await;
    let token = hub.operator("anna", Scope::All).await;
    let device = hub.device().await;
    hub.say(
        &device,
        "door/opened",
        "application/json",
        r#"{"by":"key"}"#,
    )
    .await;
    log_in(&mut browser, &at, &token).await;
    browser
        .follow("document.querySelector('tbody a').click()")
        .await;
    assert_eq!(
        browser.run("location.pathname").await,
        "/console/device/till"
    );
    browser.until(LIVE).await;
    assert_eq!(
        browser.run("document.querySelector('dd').innerText").await,
        format!("{NASTY} (a)")
    );
    let events = "document.querySelector('table[data-part=events]').tBodies[0].rows";
    assert_eq!(browser.run(&format!("{events}.length")).await, 1);

    hub.say(&device, NASTY, "text/html", NASTY).await;
    browser.until(&format!("{events}.length === 2")).await;
    let payload = format!("{events}[0].lastElementChild.textContent");
    assert_eq!(browser.run(&payload).await, NASTY);
    hub.say(&device, "later", "", "third").await;
    browser.until(&format!("{events}.length === 3")).await;
    assert_eq!(browser.run(&payload).await, "third");
    assert_eq!(browser.run("document.title").await, "till · Outgate");
    assert_eq!(
        browser
            .run("document.querySelectorAll('main img, main script').length")
            .await,
        0
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_searched_from_the_page_of_their_device_and_nothing_in_them_runs() {
    let (hub, mut browser, at) = stage("Shop").await;
    let token = hub.operator("anna", Scope::All).await;
    let device = hub.device().await;
    let texts: Vec<String> = (0..150).map(|number| format!("line {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    hub.log(&device, 9, &texts, "till").await;
    hub.log(&device, 17, &[NASTY], NASTY).await;
    log_in(&mut browser, &at, &token).await;
    browser.go(&format!("{at}/console/device/till")).await;
    let said = "[...document.querySelectorAll('table[data-part=logs] td[data-cell=payload]')] \
        .map(cell => cell.textContent)";
    assert_eq!(browser.run(&format!("{said}[0]")).await, NASTY);
    assert_eq!(browser.run(&format!("{said}[1]")).await, "line 149");
    browser
        .follow("document.querySelector('a[href$=\"/logs\"]').click()")
        .await;
    assert_eq!(browser.run(&format!("{said}.length")).await, 100);
    browser
        .follow(
            "document.getElementById('grep').value = '^line .?[0-9]$'; \
             document.querySelector('main form').requestSubmit()",
        )
        .await;
    assert_eq!(browser.run(&format!("{said}[0]")).await, "line 99");
    assert_eq!(browser.run("document.getElementById('more')").await, Null);
    browser
        .follow(
            "document.getElementById('grep').value = ''; \
             document.querySelector('main form').requestSubmit()",
        )
        .await;
    browser
        .follow("document.getElementById('more').requestSubmit()")
        .await;
    assert_eq!(
        browser
            .run(&format!("{said}.length + ' ' + {said}[50]"))
            .await,
        "51 line 0"
    );
    assert_eq!(
        browser.run("document.title").await,
        "Logs of till · Outgate"
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_telephone_and_a_desk_by_day_and_by_night() {
    let (hub, mut browser, at) = stage(NASTY).await;
    let token = hub.operator("anna", Scope::All).await;
    let device = hub.device().await;
    hub.make(&"pump-in-the-cellar.".repeat(6)).await;
    hub.make("door").await;
    hub.revoke_device("door").await;
    hub.say(
        &device,
        "door/opened",
        "application/json",
        r#"{"by":"key"}"#,
    )
    .await;
    hub.say(&device, NASTY, "text/html", NASTY).await;
    hub.say(&device, "x", "", &"0123456789".repeat(60)).await;
    let long = "0123456789".repeat(60);
    let deployment = hub
        .deploy(&format!("fort-{}", "0123456789".repeat(12)))
        .await;
    let deployment = format!("/console/deployment/{deployment}");
    hub.log(&device, 21, &[NASTY, &long], &long).await;
    log_in(&mut browser, &at, &token).await;
    for (size, width, height) in [("desk", 1200, 900), ("telephone", 360, 740)] {
        browser.size(width, height).await;
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            for (name, page) in [
                ("login", "/console/login"),
                ("devices", "/"),
                ("device", "/console/device/till"),
                ("logs", "/console/device/till/logs"),
                ("no-logs", "/console/device/till/logs?grep=("),
                ("events", "/console/events"),
                ("releases", "/console/releases"),
                ("deployments", "/console/deployments"),
                ("deployment", deployment.as_str()),
                ("missing", "/console/device/nobody"),
            ] {
                browser.go(&format!("{at}{page}")).await;
                picture(&mut browser, &format!("{name}-{size}-{scheme}")).await;
                let fits = "[document.documentElement, ...document.querySelectorAll('.scroll')] \
                    .every(one => one.scrollWidth <= one.clientWidth)";
                assert_eq!(browser.run(fits).await, true, "{name} on a {size}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_come_and_go_and_change_on_a_page_that_is_open() {
    let (hub, mut browser, at) = stage("Shop").await;
    let token = hub.operator("anna", Scope::All).await;
    hub.make("pump").await;
    log_in(&mut browser, &at, &token).await;
    browser.until(LIVE).await;
    let loads = browser.loads();
    let cell = |device: &str, cell: &str| {
        format!("rowOf('{device}').querySelector('[data-cell={cell}]').textContent")
    };
    browser
        .run(
            "globalThis.rowOf = device => [...document.querySelectorAll('tbody tr')] \
                .find(row => row.cells[0].textContent === device); \
             rowOf('pump').querySelector('a').focus()",
        )
        .await;
    let session = hub.device().await;
    let connected = cell("till", "connection") + " === 'connected'";
    browser.until(&connected).await;
    assert_ne!(browser.run(&cell("till", "seen")).await, "never");
    hub.make("door").await;
    let names = "[...document.querySelectorAll('td[data-cell=device]')] \
        .map(cell => cell.textContent).join()";
    browser
        .until(&format!("{names} === 'door,pump,till'"))
        .await;
    hub.revoke_device("pump").await;
    browser
        .until(&(cell("pump", "state") + " === 'revoked'"))
        .await;
    // Whoever reads on with the keyboard is not lost.
    assert_eq!(
        browser.run("document.activeElement.textContent").await,
        "pump"
    );
    drop(session);
    let gone = cell("till", "connection") + " === 'not connected'";
    browser.until(&gone).await;
    assert_eq!(browser.loads(), loads);
    assert_eq!(browser.complaints, Vec::<String>::new());

    browser.go(&format!("{at}/?state=active&prefix=p%27")).await;
    browser.until(LIVE).await;
    let empty = "document.querySelector('p.empty').hidden";
    assert_eq!(browser.run(empty).await, false);
    browser.go(&format!("{at}/?state=active&prefix=d")).await;
    browser.until(LIVE).await;
    assert_eq!(browser.run(names).await, "door");
    hub.revoke_device("door").await;
    browser.until(&format!("!{empty}")).await;
    assert_eq!(browser.run(names).await, "");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_comes_and_goes_on_its_own_page() {
    let (hub, mut browser, at) = stage("Shop").await;
    let token = hub.operator("anna", Scope::All).await;
    log_in(&mut browser, &at, &token).await;
    browser.go(&format!("{at}/console/device/till")).await;
    browser.until(LIVE).await;
    let loads = browser.loads();
    let cell = |cell: &str| format!("document.querySelector('dd[data-cell={cell}]').textContent");
    let sessions = "document.querySelector('table[data-part=sessions]').tBodies[0].rows.length";
    assert_eq!(browser.run(sessions).await, 0);
    let session = hub.device().await;
    let connection = cell("connection");
    browser
        .until(&format!("{sessions} === 1 && {connection} === 'connected'"))
        .await;
    assert_eq!(browser.run(&cell("policy")).await, "own-subtree");
    drop(session);
    browser
        .until(&format!(
            "{sessions} === 0 && {connection} === 'not connected'"
        ))
        .await;
    hub.revoke_device("till").await;
    browser.until(&(cell("state") + " === 'revoked'")).await;
    assert_eq!(browser.loads(), loads);
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twin_and_the_commands_of_a_device_change_on_its_page() {
    let (hub, mut browser, at) = stage("Shop").await;
    let token = hub.operator("anna", Scope::All).await;
    let session = hub.device().await;
    log_in(&mut browser, &at, &token).await;
    browser.go(&format!("{at}/console/device/till")).await;
    browser.until(LIVE).await;
    let loads = browser.loads();
    let half =
        |part: &str| format!("document.querySelector('section[data-part={part}]').innerText");
    hub.desire(&serde_json::json!({ "sign": NASTY }).to_string())
        .await;
    let desired = half("desired");
    browser
        .until(&format!("{desired}.startsWith('Desired, version 1')"))
        .await;
    let shown = browser.run(&desired).await.to_string();
    assert!(shown.contains("<script>"), "{shown}");
    hub.report(&session, r#"{"on":true}"#).await;
    browser
        .until(&(half("reported") + r#".includes('"on": true')"#))
        .await;

    let commands = "document.querySelector('table[data-part=commands]')";
    let row = format!("{commands}.tBodies[0].rows[0].innerText");
    assert_eq!(
        browser
            .run(&format!("{commands}.parentElement.hidden"))
            .await,
        true
    );
    hub.command("reboot").await;
    browser
        .until(&format!(
            "!{commands}.parentElement.hidden && {row}.includes('queued')"
        ))
        .await;
    let shown = browser.run(&row).await.to_string();
    assert!(shown.contains("reboot") && shown.contains("now"), "{shown}");
    let core = &hub.whole.state().core;
    core.commands.take(&session, 1).await.unwrap();
    browser.until(&format!("{row}.includes('delivered')")).await;
    assert_eq!(
        browser
            .run("document.querySelectorAll('main img, main script').length")
            .await,
        0
    );
    assert_eq!(browser.loads(), loads);
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_operator_is_thrown_out_of_a_page_that_is_open() {
    let (hub, mut browser, at) = stage("A").await;
    let token = hub.operator("anna", Scope::All).await;
    log_in(&mut browser, &at, &token).await;
    browser.go(&format!("{at}/console/events")).await;
    browser.until(LIVE).await;
    let before = browser.loads();
    hub.revoke("anna").await;
    browser.thrown_out(before).await;
    assert_eq!(browser.run("location.pathname").await, "/console/login");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_stops_a_script_that_would_have_got_in() {
    let (hub, mut browser, at) = stage("A").await;
    let token = hub.operator("anna", Scope::All).await;
    log_in(&mut browser, &at, &token).await;
    // As if something had become an element after all.
    browser
        .run(
            "const script = document.createElement('script'); \
             script.textContent = \"document.title = 'broken'\"; \
             document.body.append(script)",
        )
        .await;
    assert_eq!(browser.run("document.title").await, "Devices · Outgate");
    // The complaint shows that the other tests would have seen one.
    let complaints = browser.complaints.join("\n");
    assert!(
        complaints.contains("Content Security Policy"),
        "{complaints}"
    );
}
