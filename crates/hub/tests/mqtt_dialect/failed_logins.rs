//! Logins that fail over MQTT and over the API: one budget for both.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use http::{Request, StatusCode};
use outgate_core::limits::{Attempt, FAILED_LOGINS_OF_SOURCE};
use outgate_door::Facts;
use outgate_hub::config::{Config, Overrides};
use outgate_hub::metrics::Metrics;
use outgate_hub::push::Push;
use outgate_hub::{State, api};
use outgate_mqtt::packet::{ReasonCode, Version};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::client::connect;
use crate::site::Site;

/// Where everybody in these tests comes from.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_login_that_fails_over_the_api_counts_over_mqtt() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    leave_one(&site);
    assert_eq!(by_mqtt(&site, site.token("one")).await, ReasonCode::Success);
    assert_eq!(by_api(&site, "og_op_wrong").await, StatusCode::UNAUTHORIZED);
    let refused = by_mqtt(&site, site.token("one")).await;
    assert_eq!(refused, ReasonCode::ServerBusy);
}

#[tokio::test]
async fn a_login_that_fails_over_mqtt_counts_over_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    site.core.identity.first_operator().await.unwrap().unwrap();
    let token = std::fs::read_to_string(folder.path().join("operator.token")).unwrap();
    leave_one(&site);
    assert_eq!(by_api(&site, token.trim()).await, StatusCode::OK);
    let wrong = by_mqtt(&site, site.token("two")).await;
    assert_eq!(wrong, ReasonCode::BadUserNameOrPassword);
    let refused = by_api(&site, token.trim()).await;
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
}

/// Lets so many logins from here have failed, each in another name, that one more may.
fn leave_one(site: &Site) {
    for number in 1..FAILED_LOGINS_OF_SOURCE.burst {
        let attempt = Attempt::new(HERE, Some(&format!("n{number}")));
        site.core.failed_logins.count(&attempt).unwrap();
    }
}

/// What the device `one` is told that connects with `token`.
async fn by_mqtt(site: &Site, token: &str) -> ReasonCode {
    let mut client = site.dial(Version::V5);
    client
        .connect(connect(Version::V5, "one", token))
        .await
        .reason
}

/// What who shows `token` is answered by the API.
async fn by_api(site: &Site, token: &str) -> StatusCode {
    let (_drain, draining) = watch::channel(false);
    let config = Config::new("", Overrides::default()).unwrap();
    let router = api::router(State {
        core: site.core.clone(),
        metrics: Metrics::default(),
        push: Push::default(),
        config: Arc::new(ArcSwap::from_pointee(config)),
        entrance: Arc::default(),
        draining,
    });
    let request = Request::get("/api/me")
        .header("authorization", format!("Bearer {token}"))
        .extension(Facts {
            peer: (HERE, 1).into(),
            local: (HERE, 443).into(),
            tls: None,
        })
        .body(Body::empty())
        .unwrap();
    router.oneshot(request).await.unwrap().status()
}
