//! What a client shows to be let in.

use std::error::Error;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderValue;
use outgate_signalr::negotiate::Token;

use crate::error::Cause;

/// Makes a token when one is needed.
pub(crate) type Factory =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Token, Box<dyn Error + Send + Sync>>> + Send + Sync>;

/// Where tokens come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// Nowhere: none is shown.
    Nowhere,
    /// From the application, which makes a new one each time.
    Factory(Factory),
    /// From the server that redirected here. There is no other.
    Server(Token),
}

impl Source {
    /// A token, as `Authorization` carries it.
    pub(crate) async fn next(&self) -> Result<Option<HeaderValue>, Cause> {
        let token = match self {
            Self::Nowhere => return Ok(None),
            Self::Factory(factory) => {
                let token = factory().await;
                token.map_err(|error| Cause::Token {
                    why: error.to_string(),
                })?
            }
            Self::Server(token) => token.clone(),
        };
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|_| Cause::Token {
            why: "it holds what cannot stand in a header".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Whether asking again may give another one.
    pub(crate) fn is_renewable(&self) -> bool {
        matches!(self, Self::Factory(_))
    }
}
