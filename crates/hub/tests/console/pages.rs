//! What is shown to whom, without a browser.

use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, RETRY_AFTER, SET_COOKIE};
use http_body_util::BodyExt as _;
use outgate_core::identity::{Actor, Scope};

use crate::hub::{Hub, stray_token, text};

const LIVE: [&str; 3] = [
    "/console/live?after=0",
    "/console/live?after=0&device=till",
    "/console/live/devices",
];

const PAGES: [&str; 7] = [
    "/",
    "/console/events",
    "/console/releases",
    "/console/deployments",
    "/console/deployment/dp-1",
    "/console/device/till",
    "/console/device/till/logs",
];

#[tokio::test]
async fn who_is_not_logged_in_is_sent_to_the_login() {
    let hub = Hub::new("A").await;
    for page in PAGES {
        for cookie in ["", "__Host-outgate=", "__Host-outgate=x", "other=y"] {
            let sent = hub.get(page, cookie).await;
            assert_eq!(sent.status(), 303, "{page}");
            assert_eq!(sent.headers()[LOCATION], "/console/login");
        }
    }
    for live in LIVE {
        assert_eq!(hub.get(live, "").await.status(), 401, "{live}");
    }
}

#[tokio::test]
async fn every_answer_keeps_scripts_frames_and_caches_out() {
    let hub = Hub::new("A").await;
    for page in ["/", "/console/login", "/console/device/nobody"] {
        let answer = hub.get(page, "").await;
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn the_cookie_is_for_this_host_over_tls_and_not_for_scripts() {
    let hub = Hub::new("A").await;
    let token = hub.operator("anna", Scope::All).await;
    let form = format!("token={token}");
    let entered = hub.post("/console/login", "", "http://hub", form).await;
    let set = entered.headers()[SET_COOKIE].to_str().unwrap();
    for part in [
        "__Host-outgate=",
        "Path=/",
        "Secure",
        "HttpOnly",
        "SameSite=Strict",
        "Max-Age=",
    ] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    assert!(!set.contains(&token), "{set}");
}

#[tokio::test]
async fn a_form_of_another_page_is_refused() {
    let hub = Hub::new("A").await;
    let token = hub.operator("anna", Scope::All).await;
    let cookie = hub.log_in(&token).await;
    for origin in ["https://evil.example", "null", "http://hub.evil.example"] {
        let form = format!("token={token}");
        let entered = hub.post("/console/login", "", origin, form).await;
        assert_eq!(entered.status(), 403, "{origin}");
        let left = hub
            .post("/console/logout", &cookie, origin, String::new())
            .await;
        assert_eq!(left.status(), 403, "{origin}");
    }
    assert_eq!(hub.get("/", &cookie).await.status(), 200);
}

#[tokio::test]
async fn tokens_cannot_be_tried_without_end() {
    let hub = Hub::new("A").await;
    let mut last = None;
    for _ in 0..20 {
        let form = format!("token={}", stray_token());
        let entered = hub.post("/console/login", "", "http://hub", form).await;
        last = Some(entered);
    }
    let last = last.unwrap();
    assert_eq!(last.status(), 429);
    assert!(last.headers().contains_key(RETRY_AFTER));
}

#[tokio::test]
async fn a_token_of_a_device_opens_nothing() {
    let hub = Hub::new("A").await;
    let form = format!("token={}", stray_token());
    let entered = hub.post("/console/login", "", "http://hub", form).await;
    assert_eq!(entered.status(), 401);
    assert!(!entered.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn who_logs_out_is_out() {
    let hub = Hub::new("A").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    let sessions = &hub.whole.state().core.sessions;
    assert_eq!(sessions.count(), 1);
    let left = hub
        .post("/console/logout", &cookie, "http://hub", String::new())
        .await;
    assert_eq!(left.status(), 303);
    assert_eq!(hub.get("/", &cookie).await.status(), 303);
}

#[tokio::test]
async fn a_revoked_operator_is_out_at_once_with_what_is_live() {
    let hub = Hub::new("A").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    let mut reading = Vec::new();
    for path in LIVE {
        let live = hub.get(path, &cookie).await;
        assert_eq!(live.status(), 200, "{path}");
        reading.push(tokio::spawn(live.into_body().collect()));
    }
    hub.revoke("anna").await;
    for stream in reading {
        stream.await.unwrap().unwrap();
    }
    for page in PAGES {
        assert_eq!(hub.get(page, &cookie).await.status(), 303, "{page}");
    }
}

#[tokio::test]
async fn an_operator_of_one_site_sees_nothing_of_another() {
    let hub = Hub::new("A").await;
    let scope = Scope::Site("b".parse().unwrap());
    let cookie = hub.log_in(&hub.operator("berit", scope).await).await;
    let device = hub.device().await;
    hub.say(&device, "door/opened", "text/plain", "secret")
        .await;
    let list = text(hub.get("/", &cookie).await).await;
    assert!(!list.contains("till"), "{list}");
    let events = text(hub.get("/console/events", &cookie).await).await;
    assert!(!events.contains("door/opened"), "{events}");
    hub.log(&device, 9, &["secret"], "here").await;
    for page in ["/console/device/till", "/console/device/till/logs"] {
        assert_eq!(hub.get(page, &cookie).await.status(), 404, "{page}");
    }
    let live = hub.get("/console/live?after=0&device=till", &cookie).await;
    assert_eq!(live.status(), 404);
    let mut live = hub
        .get("/console/live/devices", &cookie)
        .await
        .into_body()
        .into_data_stream();
    let first = live.next().await.unwrap().unwrap();
    assert_eq!(
        first,
        "event: devices\ndata: {\"rows\":[],\"next\":null}\n\n"
    );
    // What happens elsewhere is no news; what happens here is.
    drop(device);
    hub.make("pump").await;
    let identity = &hub.whole.state().core.identity;
    let (own, site) = ("door".parse().unwrap(), "b".parse().unwrap());
    identity
        .create_device(&Actor::hub(), own, site, None)
        .await
        .unwrap();
    let second = live.next().await.unwrap().unwrap();
    let second = String::from_utf8(second.to_vec()).unwrap();
    assert!(
        second.contains("door") && !second.contains("pump"),
        "{second}"
    );
}

#[tokio::test]
async fn releases_and_deployments_are_shown_to_who_sees_their_devices() {
    let hub = Hub::new("A").await;
    let anna = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    let none = text(hub.get("/console/deployments", &anna).await).await;
    assert!(none.contains("None."), "{none}");
    let id = hub.deploy("fort-1").await;
    let page = format!("/console/deployment/{id}");
    let releases = text(hub.get("/console/releases", &anna).await).await;
    assert_eq!(column(&releases, "release"), ["fort-1"]);
    let listed = text(hub.get("/console/deployments", &anna).await).await;
    assert_eq!(
        column(&listed, "state"),
        ["<span class=\"good\">running</span>"]
    );
    assert!(listed.contains(&format!("href=\"{page}\"")), "{listed}");
    let shown = text(hub.get(&page, &anna).await).await;
    assert!(shown.contains("1 of 2 (50%, 100%)"), "{shown}");
    assert_eq!(column(&shown, "progress"), ["pending"]);
    let deployments = &hub.whole.state().core.deployments;
    deployments
        .pause(&Actor::hub(), &id.parse().unwrap())
        .await
        .unwrap();
    let shown = text(hub.get(&page, &anna).await).await;
    assert!(shown.contains("paused") && shown.contains("by "), "{shown}");
    let elsewhere = Scope::Site("b".parse().unwrap());
    let berit = hub.log_in(&hub.operator("berit", elsewhere).await).await;
    let listed = text(hub.get("/console/deployments", &berit).await).await;
    assert!(!listed.contains(&id), "{listed}");
    assert_eq!(hub.get(&page, &berit).await.status(), 404);
}

#[tokio::test]
async fn the_page_of_a_device_is_told_when_it_comes() {
    let hub = Hub::new("A").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    let mut live = hub
        .get("/console/live?after=0&device=till", &cookie)
        .await
        .into_body()
        .into_data_stream();
    let first = live.next().await.unwrap().unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    assert!(first.contains("not connected"), "{first}");
    let device = hub.device().await;
    // That it was seen may be told before that it is there.
    let mut told = String::new();
    while !told.contains("\"connected\"") {
        let next = live.next().await.unwrap().unwrap();
        told.push_str(std::str::from_utf8(&next).unwrap());
    }
    drop(device);
}

#[tokio::test]
async fn what_others_have_written_stays_text() {
    let hub = Hub::new("<script>alert(1)</script>").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    let device = hub.device().await;
    let nasty = "</td><img src=x onerror=alert(2)>";
    hub.say(&device, "a<b>", "text/html", nasty).await;
    hub.log(&device, 9, &[nasty], nasty).await;
    for page in [
        "/console/device/till",
        "/console/device/till/logs",
        "/console/device/till/logs?since=%3Cimg+src=x%3E",
        "/console/device/till/logs?grep=(%3Cimg",
        "/console/events",
    ] {
        let page = text(hub.get(page, &cookie).await).await;
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(!page.contains("<img"), "{page}");
        assert!(page.contains("&lt;img"), "{page}");
    }
}

/// What the cells of a column hold, from top to bottom.
fn column(page: &str, name: &str) -> Vec<String> {
    let cell = format!("<td data-cell=\"{name}\"");
    page.split(&cell)
        .skip(1)
        .map(|cell| {
            let (_, inner) = cell.split_once('>').unwrap();
            inner.split("</td>").next().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn logs_are_shown_newest_first_and_found_in_the_words_of_the_command_line() {
    let hub = Hub::new("A").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    let page = async |query: &str| {
        let address = format!("/console/device/till/logs{query}");
        let answer = hub.get(&address, &cookie).await;
        (answer.status().as_u16(), text(answer).await)
    };
    let said = async |query: &str| column(&page(query).await.1, "payload");
    let of_device = text(hub.get("/console/device/till", &cookie).await).await;
    assert!(of_device.contains("None is kept."), "{of_device}");
    let device = hub.device().await;
    hub.log(&device, 9, &["open", "no paper"], "counter").await;
    hub.log(&device, 17, &["no answer"], "cellar").await;
    let of_device = text(hub.get("/console/device/till", &cookie).await).await;
    let newest_first = ["no answer", "no paper", "open"];
    assert_eq!(column(&of_device, "payload"), newest_first);
    assert!(of_device.contains("3 kept, 1 KiB"), "{of_device}");
    assert!(of_device.contains("href=\"/console/device/till/logs\""));
    let (_, all) = page("").await;
    assert_eq!(column(&all, "payload"), newest_first);
    assert_eq!(column(&all, "severity"), ["ERROR", "INFO", "INFO"]);
    assert_eq!(column(&all, "attributes")[0], "place=cellar");
    assert!(!all.contains("Older"), "{all}");
    assert_eq!(said("?severity=WARN").await, ["no answer"]);
    assert_eq!(said("?grep=%5Eno+p").await, ["no paper"]);
    assert_eq!(said("?grep=place%3Dcellar&since=2h").await, ["no answer"]);
    assert_eq!(said("?until=2h").await, [""; 0]);
    assert_eq!(said("?since=2100-01-01").await, [""; 0]);
    for (query, wrong) in [
        ("?since=yesterday", "Since: 2h, 2026-11-22"),
        ("?grep=(", "grep: "),
        ("?before=x", "before: a place"),
    ] {
        let (status, shown) = page(query).await;
        assert_eq!(status, 400, "{query}");
        assert!(shown.contains(wrong), "{query}: {shown}");
    }
}

#[tokio::test]
async fn older_logs_are_a_button_away_to_the_last_without_a_script() {
    let hub = Hub::new("A").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    let device = hub.device().await;
    let texts: Vec<String> = (0..230).map(|number| format!("b{number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    hub.log(&device, 9, &texts, "till").await;
    hub.log(&device, 9, &["other"], "till").await;
    let (mut shown, mut pages, mut before) = (Vec::new(), 0, String::new());
    loop {
        let address = format!("/console/device/till/logs?grep=%5Eb&before={before}");
        let page = text(hub.get(&address, &cookie).await).await;
        shown.extend(column(&page, "payload"));
        pages += 1;
        let Some((_, next)) = page.split_once("name=\"before\" value=\"") else {
            break;
        };
        // The search goes along.
        assert!(page.contains("name=\"grep\" value=\"^b\""), "{page}");
        before = next.split('"').next().unwrap().to_owned();
    }
    let newest_first: Vec<&str> = texts.into_iter().rev().collect();
    assert_eq!(
        (shown, pages),
        (newest_first.iter().map(|it| (*it).to_owned()).collect(), 3)
    );
}

#[tokio::test]
async fn an_address_that_means_nothing_is_not_found() {
    let hub = Hub::new("A").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    assert_eq!(
        hub.get("/console/device/nobody", &cookie).await.status(),
        404
    );
    let odd = hub.get("/console/device/%3Cscript%3E", &cookie).await;
    assert_eq!(odd.status(), 400);
    assert!(!text(odd).await.contains("<script>"));
}
