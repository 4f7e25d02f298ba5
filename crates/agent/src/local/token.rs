//! The token that software on loopback shows: made by the agent, and readable by its user alone.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::problem::Problem;

/// The file of the token, in the agent's folder.
pub const TOKEN_FILE: &str = "local-token";

/// Random bytes of a token.
const LENGTH: usize = 32;

/// The most bytes that are read of its file.
const MAX_FILE: u64 = 256;

/// The least characters of a token that somebody else has made.
const LEAST: usize = 20;

/// Only its owner may read the file.
const MODE: u32 = 0o600;

/// The token.
#[derive(Clone)]
pub(super) struct Token(Zeroizing<String>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// The token in that file, which is made if there is none.
    pub(super) fn read_or_make(path: &Path) -> io::Result<Self> {
        match fs::File::open(path) {
            Ok(file) => {
                let mut text = Zeroizing::new(String::new());
                file.take(MAX_FILE).read_to_string(&mut text)?;
                let token = Zeroizing::new(text.trim().to_owned());
                if token.len() < LEAST {
                    let why = format!("a token has at least {LEAST} characters: delete the file");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
                Ok(Self(token))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(error) => Err(error),
        }
    }

    fn make(path: &Path) -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        getrandom::fill(&mut *bytes).map_err(io::Error::other)?;
        let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(MODE).open(path)?;
        file.write_all(token.as_bytes())?;
        file.sync_all()?;
        Ok(Self(token))
    }

    /// Whether a request shows it.
    fn is_shown_by(&self, request: &Request) -> bool {
        let shown = request.headers().get(AUTHORIZATION);
        let shown = shown.and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|text| text.split_once(' '));
        shown.is_some_and(|(scheme, shown)| {
            scheme.eq_ignore_ascii_case("bearer")
                && bool::from(shown.trim().as_bytes().ct_eq(self.0.as_bytes()))
        })
    }
}

/// Serves nobody who does not show the token.
pub(super) fn asked_for(router: Router, token: Token) -> Router {
    router.layer(middleware::from_fn_with_state(token, ask))
}

async fn ask(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.is_shown_by(&request) {
        return next.run(request).await;
    }
    let detail = format!("show the token that lies in {TOKEN_FILE} in the agent's folder");
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    let bearer = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    response
}
