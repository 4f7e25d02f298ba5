//! The console as Chromium shows it.

use std::sync::Arc;

use base64::Engine as _;
use outgate_core::identity::Scope;

use crate::chromium::Chromium;
use crate::hub::Hub;

/// What would run if any of it became an element.
const NASTY: &str =
    "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">";

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
    picture(&mut browser, "devices").await;
    browser
        .follow("document.querySelector('tbody a').click()")
        .await;
    assert_eq!(
        browser.run("location.pathname").await,
        "/console/device/till"
    );
    browser
        .until("document.getElementById('live').textContent.startsWith('Live')")
        .await;
    assert_eq!(
        browser.run("document.querySelector('dd').innerText").await,
        format!("{NASTY} (a)")
    );
    let events = "document.querySelector('table[data-live]').tBodies[0].rows";
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
    picture(&mut browser, "device").await;
    browser.prefer("dark").await;
    picture(&mut browser, "device-dark").await;
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_operator_is_thrown_out_of_a_page_that_is_open() {
    let (hub, mut browser, at) = stage("A").await;
    let token = hub.operator("anna", Scope::All).await;
    log_in(&mut browser, &at, &token).await;
    browser.go(&format!("{at}/console/events")).await;
    browser
        .until("document.getElementById('live').textContent.startsWith('Live')")
        .await;
    let before = browser.loads();
    hub.revoke("anna").await;
    browser.thrown_out(before).await;
    assert_eq!(browser.run("location.pathname").await, "/console/login");
    picture(&mut browser, "login").await;
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
