//! A hub of Outgate's own server, which Microsoft's clients cannot tell from Microsoft's, behind
//! nginx.

use axum::Router;
use outgate_probe::{Ask, Outcome, SignalRTransportEvidence, Trouble};
use outgate_signalr_server::{Builder, Protocol, SignalR};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    asks::{ask, run},
    authority::Authority,
    middlebox::{UPGRADE, proxy},
};

/// A hub in the clear; stops when dropped.
struct Hub {
    url: String,
    task: JoinHandle<()>,
}

impl Hub {
    async fn start(builder: Builder<()>) -> Self {
        let (service, _) = builder.build();
        let app = Router::new().nest_service("/hub", service);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { url, task }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn hub() -> Ask {
    let mut ask = ask("signalr");
    ask.http.path = "/hub".to_owned();
    ask
}

/// What a probe finds: in all, and way by way.
type Found = (Outcome, Option<Trouble>, Vec<SignalRTransportEvidence>);

/// What it finds behind nginx with these directives, over IPv4 and IPv6.
async fn found(builder: Builder<()>, directives: &str) -> Vec<Found> {
    let authority = Authority::new("Vendor CA");
    let server = Hub::start(builder).await;
    let nginx = proxy(&authority, &server.url, directives);
    let mut found = Vec::new();
    for at in nginx.addresses() {
        let mut finding = run(&hub(), authority.config_to(at)).await;
        let attempt = finding.attempts.remove(0);
        let ways = attempt.signalr.unwrap().transports;
        found.push((finding.outcome, finding.trouble, ways));
    }
    found
}

/// Each way with how it ended.
fn outcomes(ways: &[SignalRTransportEvidence]) -> Vec<(&str, &str, Outcome)> {
    let each = ways.iter();
    each.map(|way| (way.transport, way.protocol, way.outcome))
        .collect()
}

#[tokio::test]
async fn a_hub_is_reached_over_every_transport_in_both_protocols() {
    let directives = format!("{UPGRADE} proxy_buffering off;");
    for (outcome, trouble, ways) in found(SignalR::builder(), &directives).await {
        assert_eq!((outcome, trouble), (Outcome::Pass, None));
        let expected = [
            ("WebSockets", "json", Outcome::Pass),
            ("ServerSentEvents", "json", Outcome::Pass),
            ("LongPolling", "json", Outcome::Pass),
            ("WebSockets", "messagepack", Outcome::Pass),
            ("LongPolling", "messagepack", Outcome::Pass),
        ];
        assert_eq!(outcomes(&ways), expected);
    }
}

#[tokio::test]
async fn a_hub_that_takes_messages_in_one_protocol_is_judged_by_that() {
    for (takes, refuses) in [
        (Protocol::Json, Protocol::MessagePack),
        (Protocol::MessagePack, Protocol::Json),
    ] {
        let builder = SignalR::builder().protocols([takes]);
        let (outcome, trouble, ways) = found(builder, UPGRADE).await.remove(0);
        assert_eq!((outcome, trouble), (Outcome::Pass, None), "{takes:?}");
        let error = format!("The protocol '{}' is not supported.", refuses.as_str());
        for way in ways {
            let expected = if way.protocol == takes.as_str() {
                (Outcome::Pass, None)
            } else {
                let error = error.clone();
                let refused = Trouble::SignalRRefused { error };
                (Outcome::NotApplicable, Some(refused))
            };
            assert_eq!((way.outcome, way.trouble), expected, "{takes:?}");
        }
        // What strips the upgrade is told in either.
        let builder = SignalR::builder().protocols([takes]);
        let (outcome, trouble, _) = found(builder, "").await.remove(0);
        assert_eq!(outcome, Outcome::Warn, "{takes:?}");
        let stripped = matches!(
            trouble,
            Some(Trouble::SignalRPartly {
                fails: "WebSockets",
                ..
            })
        );
        assert!(stripped, "{takes:?}");
    }
}
