//! Up the ladder of transports: does what it says and tells it how that went.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};
use outgate_signalr::ladder::{Ladder, Step};
use outgate_signalr::negotiate::{Answer, Token};
use tokio::time::Instant;
use tracing::debug;

use crate::error::Cause;
use crate::http::{Ask, Line, Server, read_whole, status};
use crate::link::Link;
use crate::settings::Settings;
use crate::token::Source;
use crate::url::HubUrl;

const NEGOTIATION: &str = "the negotiation";

/// Climbs from the bottom until a transport works.
pub(crate) async fn climb(settings: &Settings, ladder: &mut Ladder) -> Result<Link, Cause> {
    ladder.begin(&settings.url);
    let mut place = Place {
        settings,
        current: None,
    };
    let mut tried = Vec::new();
    loop {
        match ladder.poll_step() {
            Step::Negotiate { url, access_token } => {
                let server = place.server(&url, access_token).await?;
                let start = Instant::now();
                let answer = negotiate(settings, &server).await?;
                let now = Instant::now();
                ladder.handle_answer(answer, now - start, now.into_std())?;
            }
            Step::Try(rung) => {
                let transport = rung.transport;
                let server = place.server(&rung.url, rung.access_token.clone()).await?;
                match Link::open(settings, &server, rung).await {
                    Ok(link) => {
                        debug!(transport = transport.as_str(), "connected");
                        ladder.handle_up(Instant::now().into_std());
                        return Ok(link);
                    }
                    // The hub was reached, and would say the same over another transport.
                    Err(cause @ Cause::Refused { .. }) => return Err(cause),
                    Err(cause) => {
                        debug!(transport = transport.as_str(), %cause, "the transport failed");
                        tried.push((transport, Arc::new(cause)));
                        ladder.handle_failed();
                    }
                }
            }
            Step::Rest => return Err(Cause::NoTransport { tried }),
        }
    }
}

/// The server that a climb has come to.
struct Place<'a> {
    settings: &'a Settings,
    current: Option<(String, Option<Token>, Arc<Server>)>,
}

impl Place<'_> {
    /// The server at a URL, which stays the same until the ladder leads elsewhere.
    async fn server(
        &mut self,
        url: &str,
        access_token: Option<Token>,
    ) -> Result<Arc<Server>, Cause> {
        if let Some((current, token, server)) = &self.current
            && current == url
            && *token == access_token
        {
            return Ok(server.clone());
        }
        let tokens = match &access_token {
            Some(token) => Source::Server(token.clone()),
            None => self.settings.tokens.clone(),
        };
        let read = HubUrl::parse(url).map_err(|_| Cause::Redirection)?;
        let server = Arc::new(Server::new(self.settings.way.clone(), read, tokens).await?);
        self.current = Some((url.to_owned(), access_token, server.clone()));
        Ok(server)
    }
}

async fn negotiate(settings: &Settings, server: &Arc<Server>) -> Result<Answer, Cause> {
    let limit = settings.way.request_limit;
    let ask = Ask {
        what: NEGOTIATION,
        method: Method::POST,
        target: &server.url.negotiate(settings.rules.stateful),
        accept: HeaderValue::from_static("*/*"),
        body: Some((
            HeaderValue::from_static("text/plain;charset=UTF-8"),
            bytes::Bytes::new(),
        )),
        limit,
    };
    let answer = Line::new(server.clone()).ask(&ask).await?;
    if answer.status() != StatusCode::OK {
        return Err(status(NEGOTIATION, &answer));
    }
    let body = read_whole(NEGOTIATION, answer.into_body(), limit).await?;
    Answer::read(&body).map_err(|_| Cause::Unexpected {
        what: NEGOTIATION,
        wanted: "an answer of SignalR",
    })
}
