//! npm `firebase` as browsers load it, in Chromium, against a hub over TLS.

use outgate_core::identity::Actor;
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::running::Running;
use crate::{rest_at, service};

const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
[[listen]]
address = '127.0.0.1:0'
tls = false
[firebase]
namespaces = ['pos']
[[firebase.rules]]
path = 'sites/{site}/tills/{device}'
read = ['device', 'service']
write = ['device', 'service']
";

/// The scripts that a page would load, in their order.
const SCRIPTS: [&str; 3] = [
    "firebase-app-compat.js",
    "firebase-app-check-compat.js",
    "firebase-database-compat.js",
];

/// A page that shows the device's token as App Check's.
const BEGIN: &str = "
firebase.initializeApp({ projectId: 'p', appId: '1:1:web:1', apiKey: 'k' });
const getToken = async () => ({ token: TOKEN, expireTimeMillis: Date.now() + 3600e3 });
firebase.appCheck().activate(new firebase.appCheck.CustomProvider({ getToken }), false);
globalThis.all = firebase.app().database(`${location.origin}?ns=pos`);
globalThis.till = all.ref('sites/s/tills/till');
globalThis.heard = [];
till.child('price').on('value', shot => heard.push(shot.val()));
all.ref('.info/connected').on('value', shot => { globalThis.connected = shot.val(); });
0";

/// What is done there, and what is found by it.
const DO: &str = "(async () => {
await till.set({ open: true, 'é😀': 'ü' });
await till.update({ open: false, count: 40 });
const { committed } = await till.child('count').transaction(count => (count || 0) + 2);
const other = all.ref('sites/s/tills/other');
const refused = await other.set(1).then(() => null, error => error.message);
return { committed, refused, got: (await till.get()).val() };
})()";

#[tokio::test]
async fn npm_firebase_works_in_a_browser_until_its_device_is_revoked() {
    let running = Running::on(tempfile::tempdir().unwrap(), CONFIG).await;
    running.furnish().await;
    let token = running.device("till").await;
    let (tls, plain) = match running.hub.listening() {
        [tls, plain] => (tls.address, plain.address),
        other => panic!("{other:?}"),
    };
    let mut page = Chromium::new().await;
    page.go(&format!("https://localhost:{}/healthz", tls.port()))
        .await;
    let packages = outgate_testbed::packages().unwrap();
    for script in SCRIPTS {
        let path = packages.join("node/node_modules/firebase").join(script);
        let text = std::fs::read_to_string(path).unwrap();
        page.run(&format!("{text}\n;0")).await;
    }
    page.run(&BEGIN.replace("TOKEN", &json!(token).to_string()))
        .await;
    let done = page.run(DO).await;
    assert_eq!(done["committed"], true, "{done}");
    assert_eq!(done["got"], json!({"open": false, "count": 42, "é😀": "ü"}));
    let refused = done["refused"].as_str().unwrap();
    assert!(refused.contains("PERMISSION_DENIED"), "{refused}");
    let back_end = service(&running).await;
    let path = "sites/s/tills/till/price.json";
    let set = rest_at(plain, "PUT", path, &back_end, "7").await;
    assert_eq!(set, (200, json!(7)));
    page.until("heard.includes(7)").await;
    assert_eq!(page.run("connected").await, true);
    let (actor, till) = (Actor::hub(), "till".parse().unwrap());
    let revoked = running.core().identity.revoke_device(&actor, &till);
    revoked.await.unwrap();
    page.until("connected === false").await;
    let set = rest_at(plain, "PUT", path, &back_end, "8").await;
    assert_eq!(set, (200, json!(8)));
    assert_eq!(page.run("heard.includes(8)").await, Value::Bool(false));
    let abroad = |url: &&String| !url.contains("//localhost:");
    let abroad: Vec<_> = page.requests.iter().filter(abroad).collect();
    assert!(abroad.is_empty(), "{abroad:?}");
}
