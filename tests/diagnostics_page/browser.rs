//! The pages as Chromium shows them, with scripts and without.

use super::*;
use crate::chromium::Chromium;

/// What a reader with a screen reader, a keyboard or poor sight would stumble over.
const STUMBLES: &str = r#"(() => {
    const found = [];
    const say = (what, one) => found.push(what + ': ' + one.outerHTML.slice(0, 120));
    const all = selector => [...document.querySelectorAll(selector)];
    if (!/^(sv|nb|de|en)$/.test(document.documentElement.lang)) say('no language', document.body);
    if (!document.title) say('no title', document.head);
    if (all('h1').length !== 1) say('not one h1', document.body);
    if (all('main').length !== 1) say('not one main', document.body);
    let level = 1;
    for (const one of all('h1,h2,h3,h4')) {
        const own = Number(one.tagName[1]);
        if (own > level + 1) say('a heading is left out', one);
        level = own;
    }
    for (const one of all('input:not([hidden]),select,textarea'))
        if (!one.labels.length || !one.labels[0].innerText.trim()) say('no label', one);
    for (const one of all('a,button')) if (!one.innerText.trim()) say('no name', one);
    for (const one of all('nav')) if (!one.getAttribute('aria-label')) say('no name', one);
    for (const one of all('table')) {
        if (!one.caption || !one.caption.innerText.trim()) say('no caption', one);
        for (const row of one.rows) if (!row.querySelector('th[scope]')) say('no header', row);
        if (one.getAttribute('role') !== 'table') say('no role', one);
    }
    const ids = all('[id]').map(one => one.id);
    if (new Set(ids).size !== ids.length) say('an id twice', document.body);
    for (const one of all('[aria-labelledby],[aria-describedby]'))
        for (const name of ['aria-labelledby', 'aria-describedby'])
            for (const id of (one.getAttribute(name) || '').split(' ').filter(Boolean))
                if (!document.getElementById(id)) say('nothing is ' + id, one);
    const canvas = document.createElement('canvas').getContext('2d');
    const numbers = colour => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = one => {
        for (let at = one; at; at = at.parentElement) {
            const colour = numbers(getComputedStyle(at).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255, 255];
    };
    for (const one of all('body *')) {
        const own = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (!own || !one.checkVisibility()) continue;
        const [a, b] = [light(numbers(getComputedStyle(one).color)), light(ground(one))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) say('contrast ' + contrast.toFixed(2), one);
    }
    for (const one of all('nav a,button')) {
        const box = one.getBoundingClientRect();
        if (box.height < 24) say('too small for a finger', one);
    }
    return found.join('\n');
})()"#;

/// What is too wide for the window.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth";

/// As Chromium may go there: it knows no other host in these tests.
fn local(url: &str) -> String {
    url.replace("127.0.0.1", "localhost")
}

async fn log_in(browser: &mut Chromium, at: &str, secret: &str) {
    browser.go(&format!("{at}/login")).await;
    let entry = format!(
        "document.getElementById('secret').value = '{secret}'; \
         document.querySelector('main form').requestSubmit()"
    );
    browser.follow(&entry).await;
}

/// Logs in, runs the check and reads what it found, in a language that is chosen by its link.
async fn day_of_a_technician(browser: &mut Chromium, agent: &Agent) {
    let at = &local(agent.url("diagnostics"));
    browser.go(at).await;
    browser
        .follow("document.querySelector('nav a[hreflang=de]').click()")
        .await;
    assert_eq!(browser.run("document.documentElement.lang").await, "de");
    browser
        .follow("document.querySelector('a[href=\"/login\"]').click()")
        .await;
    assert_eq!(
        browser.run("document.querySelector('h1').innerText").await,
        "Anmelden"
    );
    log_in(browser, at, "wrong horse").await;
    let alert = browser
        .run("document.querySelector('[role=alert]').innerText")
        .await;
    assert_eq!(alert, "Das Passwort oder der Code stimmt nicht.");
    log_in(browser, at, &agent.code()).await;
    assert_eq!(browser.run("location.pathname").await, "/");
    run_the_check(browser).await;
    browser.go(at).await;
    browser
        .follow("document.querySelector('form.logout').requestSubmit()")
        .await;
    assert_eq!(
        browser.run("document.querySelector('form.logout')").await,
        Json::Null
    );
}

/// Has the check run by who is logged in, and reads what it found.
async fn run_the_check(browser: &mut Chromium) {
    browser
        .follow("document.querySelector('#check form').requestSubmit()")
        .await;
    assert_eq!(browser.run("location.pathname").await, "/check");
    // The page loads itself anew until there is a result.
    loop {
        let before = browser.loads();
        let none = "document.querySelector('a[href=\"/check/report\"]') === null";
        if browser.run(none).await == false {
            break;
        }
        browser.thrown_out(before).await;
    }
    let said = browser
        .run("document.querySelector('main').innerText")
        .await
        .to_string();
    assert!(
        said.contains("Etwas Erforderliches funktioniert nicht"),
        "{said}"
    );
    assert!(
        said.contains("Was zu tun ist") && said.contains("TCP 1 zu 127.0.0.1"),
        "{said}"
    );
    browser
        .follow("document.querySelector('a[href=\"/check/report\"]').click()")
        .await;
    let title = browser.run("document.querySelector('h1').innerText").await;
    assert_eq!(title, "Prüfung von Box of Boxes");
    let styled = browser
        .run("getComputedStyle(document.body).margin !== '8px'")
        .await;
    assert_eq!(styled, true, "the report has its style");
}

#[test]
fn a_technician_logs_in_and_runs_the_check_with_scripts_and_without() {
    let agent = box_agent();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut browser = Chromium::new().await;
        day_of_a_technician(&mut browser, &agent).await;
        assert_eq!(
            browser
                .complaints
                .join("\n")
                .matches("Content Security Policy")
                .count(),
            0
        );
        let mut without = Chromium::new().await;
        let off = serde_json::json!({ "value": true });
        without
            .ask("Emulation.setScriptExecutionDisabled", off)
            .await;
        day_of_a_technician(&mut without, &agent).await;
    });
}

#[test]
fn every_page_can_be_read_by_everybody_in_every_language() {
    let agent = box_agent();
    let at = local(agent.url("diagnostics"));
    let connector = local(agent.url("connector"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut browser = Chromium::new().await;
        log_in(&mut browser, &at, &agent.code()).await;
        browser
            .follow("document.querySelector('#check form').requestSubmit()")
            .await;
        for language in ["sv", "nb", "de", "en"] {
            for scheme in ["light", "dark"] {
                browser.prefer(scheme).await;
                for (width, height) in [(360, 740), (1200, 900)] {
                    browser.size(width, height).await;
                    for page in [
                        format!("{at}/"),
                        format!("{at}/check"),
                        format!("{at}/login"),
                        format!("{at}/nothing"),
                        format!("{connector}/"),
                    ] {
                        browser.go(&format!("{page}?lang={language}")).await;
                        let place = format!("{page} {language} {scheme} {width}");
                        assert_eq!(browser.run(STUMBLES).await, "", "{place}");
                        assert_eq!(browser.run(FITS).await, true, "{place}");
                    }
                }
            }
        }
        let foreign = browser.requests.iter().filter(|url| {
            !url.contains(&at) && !url.contains(&connector) && !url.contains("data:,")
        });
        assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&String>::new());
    });
}
