//! `GET /whoami`: what the hub saw of whoever asks, so that they can tell what stands between.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, Version, header};
use outgate_core::Clock;
use outgate_core::limits::{Rate, Rates, source};
use outgate_door::{Facts, Whoami, WhoamiTls};
use outgate_wire::whoami::{Http, PATH, Tls, VERSION, Whoami as Answer};

use crate::api::ApiProblem;

/// How often one source may ask.
const RATE: Rate = Rate {
    burst: 20,
    every: Duration::from_secs(1),
};

/// The route, with its own memory of who has asked how often.
pub(super) fn router(clock: Clock) -> axum::Router {
    axum::Router::new()
        .route(PATH, axum::routing::get(whoami))
        .with_state(Arc::new(Rates::<IpAddr>::new(RATE, clock)))
}

async fn whoami(
    State(sources): State<Arc<Rates<IpAddr>>>,
    Extension(facts): Extension<Facts>,
    version: Version,
    headers: HeaderMap,
) -> Response {
    if let Err(wait) = sources.take(&source(facts.peer.ip())) {
        return ApiProblem::limited("questions to /whoami", wait).into_response();
    }
    let seen = Whoami::from(&facts);
    let answer = Answer {
        version: VERSION,
        address: seen.address.to_canonical().to_string(),
        port: seen.port,
        tls: seen.tls.map(tls),
        http: Http {
            version: name(version).to_owned(),
            headers: shown(&headers),
        },
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn tls(seen: WhoamiTls) -> Tls {
    Tls {
        version: seen.version.to_owned(),
        cipher: seen.cipher,
        alpn: seen.alpn,
        server_name: seen.server_name,
        resumed: seen.resumed,
        client_certificate_sha256: seen.client_certificate_sha256,
        channel_binding: seen.channel_binding,
    }
}

fn name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let secret = [
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
    ];
    let shown = headers.iter().map(|(name, value)| {
        let value = if secret.contains(name) {
            "…".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        (name.to_string(), value)
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use outgate_core::Timestamp;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn who_asks_too_often_is_told_when_to_come_again_and_others_are_answered() {
        let clock = Clock::held(Timestamp::from_millis(1_790_000_000_000));
        let router = router(clock.clone());
        let ask = async |peer: &str| {
            let mut request = Request::get("/whoami").body(Body::empty()).unwrap();
            request.extensions_mut().insert(Facts {
                peer: peer.parse().unwrap(),
                local: "192.0.2.1:443".parse().unwrap(),
                tls: None,
            });
            router.clone().oneshot(request).await.unwrap()
        };
        for _ in 0..RATE.burst {
            assert_eq!(ask("192.0.2.7:1").await.status(), StatusCode::OK);
        }
        let refused = ask("192.0.2.7:2").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait: u64 = refused.headers()[header::RETRY_AFTER]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(ask("192.0.2.8:1").await.status(), StatusCode::OK);
        clock.advance(Duration::from_secs(wait));
        assert_eq!(ask("192.0.2.7:3").await.status(), StatusCode::OK);
    }
}
