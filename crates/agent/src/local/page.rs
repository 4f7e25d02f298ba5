//! The pages on site: how the agent is, for whoever stands beside the device.
//!
//! They are rendered here, work without JavaScript, load nothing from elsewhere, and are shown to
//! nobody who is not near. `doors` says where they are, `lan` who is near, `host` by which
//! names they are asked for.

mod attempts;
mod check;
pub mod code;
pub(crate) mod doors;
mod examination;
mod frame;
mod guard;
mod host;
pub mod kept;
pub(crate) mod lan;
mod login;
pub mod password;
mod remote;
mod sections;
#[cfg(test)]
mod tests;
mod tongue;
mod visits;
mod words;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use axum::{Extension, Router, middleware};
use http::{HeaderMap, StatusCode, header};
use maud::html;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::attempts::Attempts;
pub use self::check::Way;
use self::check::{Checks, Examiner};
use self::doors::Door;
use self::frame::View;
use self::visits::Visits;
use super::seats::Seats;
use super::serving::{self, Bounds};
use crate::chain::chain;
use crate::config::{self, Config};
use crate::device::Device;
use crate::local::ssh::Switch;
use crate::product::Product;
use crate::queue::MachineClock;
use crate::status::{self, PageKind, PagePlace};

/// Colours keep a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), in light and dark.
const STYLE: &str = include_str!("page/page.css");
/// The most bytes of a form.
const MAX_FORM: usize = 4 * 1024;
/// How long may be taken; what a page shows is at hand.
const BOUNDS: Bounds = Bounds {
    request: Duration::from_secs(20),
    connection: Some(Duration::from_secs(300)),
};
/// The part of the agent that this is, on the board.
const PART: &str = "page";

/// The pages, and everything that they need.
#[derive(Debug)]
struct Site {
    device: Device,
    config: config::Page,
    /// The machine's own name.
    machine: Option<String>,
    /// What people call the product.
    product: Option<String>,
    /// The agent's folder.
    folder: PathBuf,
    clock: Arc<MachineClock>,
    /// The check, where the product is known.
    checks: Option<Checks>,
    attempts: Mutex<Attempts>,
    visits: Mutex<Visits>,
    /// Who may compare a password.
    verifying: Arc<Semaphore>,
    /// The SSH switch, if the device has one.
    ssh: Option<Switch>,
}

/// The places where the pages are.
#[derive(Debug)]
pub struct Pages {
    open: Vec<(PageKind, TcpListener)>,
    examiner: Option<Examiner>,
    site: Site,
}

impl Pages {
    /// Opens the pages where the configuration or the product's manifest says; a check goes by `way`.
    /// What cannot be opened stands on the board, and the agent goes on without.
    #[must_use]
    pub fn open(
        config: &Config,
        product: Option<Product>,
        way: Way,
        device: &Device,
        clock: &Arc<MachineClock>,
    ) -> Self {
        let doors = doors::doors(&config.page, product.as_ref()).unwrap_or_else(|error| {
            note(device, chain(&error));
            Vec::new()
        });
        let mut open = Vec::new();
        let mut places = Vec::new();
        for Door { kind, address } in doors {
            let bound = doors::listen(address).and_then(|listener| {
                let address = listener.local_addr()?;
                Ok((listener, address))
            });
            let (address, trouble) = match bound {
                Ok((listener, address)) => {
                    open.push((kind, listener));
                    (address, None)
                }
                Err(error) => {
                    let text = doors::trouble(address, &error);
                    note(device, text.clone());
                    (address, Some(text))
                }
            };
            places.push(PagePlace {
                page: kind,
                address: address.to_string(),
                trouble,
            });
        }
        if !places.is_empty() {
            let page = status::Page {
                places,
                ..status::Page::default()
            };
            device.board.write(|status| status.page = Some(page));
        }
        let named = product.as_ref().and_then(|product| product.name().ok());
        let check = product.map(|product| check::of(product, way));
        let (checks, examiner) = check.unzip();
        let site = Site {
            device: device.clone(),
            config: config.page.clone(),
            machine: host::machine(),
            product: named,
            folder: config.data.clone(),
            clock: Arc::clone(clock),
            checks,
            attempts: Mutex::default(),
            visits: Mutex::default(),
            verifying: Arc::new(Semaphore::new(1)),
            ssh: None,
        };
        Self {
            open,
            examiner,
            site,
        }
    }

    /// Where they are.
    #[must_use]
    pub fn addresses(&self) -> Vec<(PageKind, SocketAddr)> {
        let open = self.open.iter();
        open.filter_map(|(kind, listener)| Some((*kind, listener.local_addr().ok()?)))
            .collect()
    }

    /// Serves them, with the SSH switch if the device has one. It ends when it is dropped.
    pub async fn serve(self, ssh: Option<Switch>) {
        let site = Arc::new(Site { ssh, ..self.site });
        let mut serving = JoinSet::new();
        if let Some(examiner) = self.examiner {
            serving.spawn(examiner.serve());
        }
        for (kind, listener) in self.open {
            let router = router(kind, Arc::clone(&site));
            let near = Near {
                listener,
                site: Arc::clone(&site),
            };
            serving.spawn(async move {
                serving::serve(Seats::new(near), router, BOUNDS, |from| Some(*from)).await;
            });
        }
        while serving.join_next().await.is_some() {}
        std::future::pending().await
    }
}

fn note(device: &Device, text: String) {
    tracing::error!("{text}");
    device.board.note(PART, text);
}

/// A listener to which only those come who are near. The others are turned away before anything is
/// read, and take no seat.
#[derive(Debug)]
struct Near {
    listener: TcpListener,
    site: Arc<Site>,
}

impl Listener for Near {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let (stream, from) = Listener::accept(&mut self.listener).await;
            if lan::is_near(from.ip(), &lan::own(), &self.site.config.networks) {
                return (stream, from);
            }
            tracing::debug!(%from, "turned away: not on the local network (page.networks)");
            self.site.device.board.write(|status| {
                let page = status.page.get_or_insert_default();
                page.turned_away += 1;
                page.last_turned_away = Some(from.ip().to_canonical().to_string());
            });
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn router(kind: PageKind, site: Arc<Site>) -> Router {
    let everything = match kind {
        PageKind::Diagnostics => Router::new()
            .route("/check", get(examination::show).post(examination::order))
            .route("/check/report", get(examination::report))
            .route("/login", get(login::form).post(login::enter))
            .route("/logout", post(login::leave))
            .route("/ssh", post(remote::switch)),
        PageKind::Connector => Router::new(),
    };
    everything
        .route("/", get(show))
        .route("/page.css", get(style))
        .fallback(missing)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(Extension(kind))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&site),
            guard::guard,
        ))
        .with_state(site)
}

/// `GET /`.
async fn show(
    State(site): State<Arc<Site>>,
    Extension(kind): Extension<PageKind>,
    view: View,
) -> Response {
    let words = view.words();
    let status = site.device.status();
    let title = match kind {
        PageKind::Diagnostics => words.diagnostics,
        PageKind::Connector => words.connector,
    };
    let now = sections::now();
    let body = html! {
        p.hint {
            (words::filled(words.as_of, "when", &sections::shown(&now))) ". "
            a href="/" { (words.reload) }
        }
        (sections::link(&status.link, words))
        @match kind {
            PageKind::Diagnostics => {
                (sections::clock(&status.clock, words))
                (sections::queue(&status.queue, words))
                (sections::network(&status.network, words))
                @if let Some(neighbours) = &status.neighbours {
                    (sections::neighbours(neighbours, words))
                }
                @if let Some(checks) = &site.checks {
                    (examination::summary(&view, &checks.state()))
                }
                @if let Some(ssh) = &status.ssh {
                    (remote::summary(&view, ssh))
                }
                (sections::troubles(status.troubles.iter(), words))
            }
            PageKind::Connector => {
                @let link = status.troubles.iter().filter(|trouble| trouble.part == "link");
                (sections::troubles(link, words))
            }
        }
        (sections::versions(&status, status.page.as_ref(), words))
    };
    view.page(StatusCode::OK, title, &body)
}

/// `GET /page.css`.
async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, STYLE).into_response()
}

async fn missing(view: View) -> Response {
    guard::missing(&view)
}

/// A cookie of a request.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}
