//! Whether users may, as devices ask it: a table of requests and their exact answers, and who is
//! told nothing.

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use outgate_core::id::{SiteId, SpaceId};
use outgate_core::identity::{Actor, Scope};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::running::Running;
use crate::site::token;

const ONE: &str = "/access/v1/evaluation";
const DESCRIPTION: &str = "/.well-known/authzen-configuration";
const SEVERAL: [&str; 2] = ["/access/v1/evaluations", "/authz/v1/evaluations"];

/// A whole hub, a client, and a device's token.
struct Asking {
    running: Running,
    client: Client,
    token: String,
}

/// A whole hub with the device `till` at the site `s`, where ann may read in the space `sales` and
/// bob read and reload; and the device's token.
async fn furnished() -> Asking {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n";
    let running = Running::on(tempfile::tempdir().unwrap(), text).await;
    running.furnish().await;
    let token = running.device("till").await;
    let (hub, spaces) = (Actor::hub(), &running.core().spaces);
    let roles = json!({"viewer": ["read"], "editor": ["read", "reload"]});
    let roles = serde_json::from_value(roles).unwrap();
    let put = spaces.put(&hub, sales(), "Sales".to_owned(), roles);
    put.await.unwrap();
    for (user, role) in [("ann", "viewer"), ("bob", "editor")] {
        let (user, role) = (user.parse().unwrap(), role.parse().unwrap());
        spaces.grant(&hub, sales(), user, role).await.unwrap();
    }
    Asking {
        running,
        client: Client::new(),
        token,
    }
}

fn sales() -> (SiteId, SpaceId) {
    ("s".parse().unwrap(), "sales".parse().unwrap())
}

impl Asking {
    fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.hub.listening()[0].address)
    }

    fn request(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(self.address(path));
        request
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
    }

    /// What the device `till` is answered.
    async fn asked(&self, path: &str, body: &Value) -> (u16, Value) {
        self.asked_by(&self.token, path, body).await
    }

    /// What who has that token is answered.
    async fn asked_by(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        let asked = self.request(path, body).bearer_auth(token);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn question(user: &str, action: &str, space: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": user},
        "action": {"name": action},
        "resource": {"type": "space", "id": space},
    })
}

fn yes() -> Value {
    json!({"decision": true})
}

fn no(reason: &str) -> Value {
    json!({"decision": false, "context": {"reason": reason}})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_question_is_answered_by_the_roles_that_the_user_has() {
    let asking = furnished().await;
    let with = |key: &str, value: Value| {
        let mut question = question("bob", "reload", "sales");
        question[key] = value;
        question
    };
    let long = "x".repeat(300);
    let described = json!({"type": "user", "id": "bob", "properties": {"department": ["till"]}});
    for (body, right) in [
        (question("bob", "reload", "sales"), yes()),
        (question("ann", "read", "sales"), yes()),
        (question("ann", "reload", "sales"), no("not-allowed")),
        (question("Bob", "reload", "sales"), no("not-allowed")),
        (question("bob", "reload", "stock"), no("no-space")),
        (question("bob", "reload", "../sales"), no("no-space")),
        (question(&long, "reload", "sales"), no("not-allowed")),
        (question("bob", &long, "sales"), no("not-allowed")),
        (question("bob", "reload", &long), no("no-space")),
        (with("subject", described), yes()),
        (with("context", json!({"time": "2026-11-23T12:00Z"})), yes()),
        (with("more", json!([{"a": null}])), yes()),
        (
            with("subject", json!({"type": "till", "id": "bob"})),
            no("not-a-user"),
        ),
        (
            with("resource", json!({"type": "app", "id": "sales"})),
            no("not-a-space"),
        ),
    ] {
        let told = asking.asked(ONE, &body).await;
        assert_eq!(told, (200, right), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_out_who_what_or_where_or_is_of_another_type_is_a_bad_request() {
    let asking = furnished().await;
    let mut wrong = vec![json!([]), json!("x"), json!({})];
    for key in ["subject", "action", "resource"] {
        for value in [Value::Null, json!("bob"), json!([]), json!({})] {
            let mut body = question("bob", "reload", "sales");
            body[key] = value;
            wrong.push(body);
        }
        let mut body = question("bob", "reload", "sales");
        body[key]["id"] = json!(7);
        body[key]["name"] = json!(7);
        wrong.push(body.clone());
        body.as_object_mut().unwrap().remove(key);
        wrong.push(body);
    }
    let mut body = question("bob", "reload", "sales");
    body["context"] = json!("now");
    wrong.push(body);
    for body in &wrong {
        for path in [ONE, SEVERAL[0], SEVERAL[1]] {
            let (status, told) = asking.asked(path, body).await;
            assert_eq!(status, 400, "{path} {body}: {told}");
        }
    }
    let mut some_are_not_whole = question("bob", "reload", "sales");
    some_are_not_whole["evaluations"] = json!([{}, {"subject": {"type": "user"}}]);
    let mut unknown = question("bob", "reload", "sales");
    unknown["evaluations"] = json!([{}]);
    unknown["options"] = json!({"evaluations_semantic": "deny_first"});
    let mut nobody = question("bob", "reload", "sales");
    nobody["evaluations"] = json!([{"subject": null}]);
    let in_order = json!([
        ["user", "bob", null],
        ["reload", null],
        ["space", "sales", null],
        null
    ]);
    let (status, told) = asking.asked(ONE, &in_order).await;
    assert_eq!(status, 400, "{told}");
    let mut one_in_order = question("bob", "reload", "sales");
    one_in_order["subject"] = json!(["user", "bob", null]);
    let (status, told) = asking.asked(ONE, &one_in_order).await;
    assert_eq!(status, 400, "{told}");
    let mut options_in_order = question("bob", "reload", "sales");
    options_in_order["options"] = json!(["deny_on_first_deny"]);
    let listed = json!({"evaluations": [in_order]});
    let many = json!({"evaluations": vec![question("bob", "reload", "sales"); 101]});
    for body in [
        some_are_not_whole,
        unknown,
        nobody,
        listed,
        options_in_order,
        many,
    ] {
        let (status, told) = asking.asked(SEVERAL[0], &body).await;
        assert_eq!(status, 400, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_questions_share_what_stands_beside_them_and_end_where_they_say() {
    let asking = furnished().await;
    let list = json!([
        {"subject": {"type": "user", "id": "bob"}},
        {},
        {"action": {"name": "read"}},
        {"resource": {"type": "space", "id": "stock"}},
        question("bob", "read", "sales"),
    ]);
    let answers = [yes(), no("not-allowed"), yes(), no("no-space"), yes()];
    for (semantic, first, count) in [
        (json!(null), 0, 5),
        (json!({"other": true}), 0, 5),
        (json!({"evaluations_semantic": "execute_all"}), 0, 5),
        (json!({"evaluations_semantic": "deny_on_first_deny"}), 0, 2),
        (
            json!({"evaluations_semantic": "permit_on_first_permit"}),
            0,
            1,
        ),
        (json!({"evaluations_semantic": "deny_on_first_deny"}), 3, 1),
        (
            json!({"evaluations_semantic": "permit_on_first_permit"}),
            1,
            2,
        ),
        (
            json!({"evaluations_semantic": "permit_on_first_permit"}),
            3,
            2,
        ),
    ] {
        let mut body = question("ann", "reload", "sales");
        body["evaluations"] = list.as_array().unwrap()[first..].into();
        body["options"] = semantic;
        let right = json!({"evaluations": answers[first..first + count]});
        for path in SEVERAL {
            let told = asking.asked(path, &body).await;
            assert_eq!(told, (200, right.clone()), "{path} {body}");
        }
    }
    // What one of a list does not say, and nothing beside it, is its own mistake.
    let whole = question("bob", "reload", "sales");
    let body = json!({"evaluations": [whole, {"subject": {"type": "user", "id": "bob"}}, whole]});
    let told = asking.asked(SEVERAL[0], &body).await;
    let right = json!({"evaluations": [yes(), no("incomplete"), yes()]});
    assert_eq!(told, (200, right));
    // Without a list what stands beside it is the only question.
    for list in [Value::Null, json!([])] {
        let mut body = question("bob", "reload", "sales");
        if list.is_array() {
            body["evaluations"] = list;
        }
        let told = asking.asked(SEVERAL[1], &body).await;
        assert_eq!(told, (200, yes()));
    }
    let many = json!({"evaluations": vec![question("bob", "reload", "sales"); 100]});
    let (_, told) = asking.asked(SEVERAL[0], &many).await;
    assert_eq!(told, json!({"evaluations": vec![yes(); 100]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_for_how_long_it_may_be_kept_by_which_version_it_is_and_to_what_request() {
    let asking = furnished().await;
    let body = question("bob", "reload", "sales");
    let tag = async |path: &str| {
        let asked = asking.request(path, &body).bearer_auth(&asking.token);
        let answer = asked.header("x-request-id", "7/a b").send().await.unwrap();
        let headers = answer.headers();
        assert_eq!(headers[CACHE_CONTROL], "private, max-age=60");
        assert_eq!(headers["x-request-id"], "7/a b");
        headers[ETAG].clone()
    };
    let first = tag(ONE).await;
    assert_eq!(tag(SEVERAL[0]).await, first);
    let (hub, bob) = (Actor::hub(), "bob".parse().unwrap());
    let revoked = asking
        .running
        .core()
        .spaces
        .revoke(&hub, sales(), bob, None);
    revoked.await.unwrap();
    assert_ne!(tag(ONE).await, first);
    let told = asking.asked(ONE, &body).await;
    assert_eq!(told, (200, no("not-allowed")));
    // What is refused has its name, too, and nobody keeps it.
    let refused = asking.request(ONE, &body).header("x-request-id", "8");
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["x-request-id"], "8");
    assert!(!refused.headers().contains_key(ETAG));
    let kept = refused.headers().get(CACHE_CONTROL);
    assert!(kept.is_none_or(|kept| kept == "no-store"), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_device_of_the_site_and_who_is_revoked_is_told_nothing() {
    let asking = furnished().await;
    let (hub, identity) = (Actor::hub(), &asking.running.core().identity);
    let body = question("bob", "reload", "sales");
    let other = identity.create_site(&hub, "t".parse().unwrap(), "T".to_owned());
    other.await.unwrap();
    let elsewhere = identity.create_device(
        &hub,
        "elsewhere".parse().unwrap(),
        "t".parse().unwrap(),
        None,
    );
    let elsewhere = elsewhere.await.unwrap().id;
    let issued = identity.add_token(&hub, &elsewhere, "t".to_owned(), None);
    let elsewhere = token(issued.await.unwrap());
    let told = asking.asked_by(&elsewhere, ONE, &body).await;
    assert_eq!(told, (200, no("no-space")));
    // What is granted in a space of the same name at another site is not granted here.
    let roles = serde_json::from_value(json!({"editor": ["reload"]})).unwrap();
    let same = ("t".parse().unwrap(), sales().1);
    let spaces = &asking.running.core().spaces;
    let put = spaces.put(&hub, same, "Sales".to_owned(), roles);
    put.await.unwrap();
    let told = asking.asked_by(&elsewhere, ONE, &body).await;
    assert_eq!(told, (200, no("not-allowed")));
    let service = identity.create_service(&hub, "erp".parse().unwrap(), Scope::All);
    let service = token(service.await.unwrap().1);
    let operator = std::fs::read_to_string(asking.running.hub.first_token().unwrap()).unwrap();
    for (token, right) in [
        ("og_de_wrong", 401),
        (&service, 403),
        (operator.trim(), 403),
    ] {
        for path in [ONE, SEVERAL[0], SEVERAL[1]] {
            let (status, told) = asking.asked_by(token, path, &body).await;
            assert_eq!(status, right, "{path}: {told}");
            assert_eq!(told["decision"], Value::Null);
        }
    }
    let device = "till".parse().unwrap();
    identity.revoke_device(&hub, &device).await.unwrap();
    let (status, told) = asking.asked(ONE, &body).await;
    assert_eq!(status, 401, "{told}");
    assert_eq!(told["decision"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_no_json_is_refused() {
    let asking = furnished().await;
    let mut large = question("bob", "reload", "sales");
    large["context"] = json!({"more": "x".repeat(256 * 1024)});
    let (status, _) = asking.asked(ONE, &large).await;
    assert_eq!(status, 413);
    let text = question("bob", "reload", "sales");
    let plain = asking.client.post(asking.address(ONE));
    let plain = plain
        .bearer_auth(&asking.token)
        .body(text.to_string())
        .send()
        .await;
    assert_eq!(plain.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_leads_to_where_evaluations_are_asked() {
    let asking = furnished().await;
    let (hub, place) = (asking.address(""), asking.address(DESCRIPTION));
    let described = asking.client.get(&place).send().await.unwrap();
    let described: Value = described.json().await.unwrap();
    let right = json!({
        "policy_decision_point": hub,
        "access_evaluation_endpoint": format!("{hub}{ONE}"),
        "access_evaluations_endpoint": format!("{hub}{}", SEVERAL[0]),
    });
    assert_eq!(described, right);
    let odd = asking.client.get(&place);
    let odd = odd.header("host", "a@b").send().await.unwrap();
    assert_eq!(odd.status(), StatusCode::UNPROCESSABLE_ENTITY);
}
