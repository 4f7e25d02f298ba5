//! An HTTP proxy as customers' networks have them: CONNECT (RFC 9110 §9.3.6), and requests with a
//! whole URI (RFC 9112 §3.2.2).

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time,
};

use crate::listen::{self, MAX_SILENCE};

/// Bytes of a request's head.
const MAX_HEAD: usize = 8 * 1024;

/// The longest that reading a head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that connecting to the far end may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The port of `http` URIs (RFC 9110 §4.2.1).
const HTTP_PORT: u16 = 80;

/// Where hosts are, for servers that stand in a lab and must ask nobody.
#[derive(Debug, Clone, Default)]
pub struct Directory(Arc<HashMap<String, IpAddr>>);

impl Directory {
    /// A directory of these names, which are compared without regard to case.
    pub fn new(entries: impl IntoIterator<Item = (String, IpAddr)>) -> Self {
        let entries = entries.into_iter();
        let lower = entries.map(|(name, address)| (name.to_ascii_lowercase(), address));
        Self(Arc::new(lower.collect()))
    }

    /// The address of a name; an address stands for itself.
    pub(crate) fn find(&self, host: &str) -> Option<IpAddr> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok().or_else(|| {
            self.0
                .get(&bare.trim_end_matches('.').to_ascii_lowercase())
                .copied()
        })
    }
}

/// What a proxy asks for and forbids.
#[derive(Clone, Default)]
pub struct ProxyRules {
    /// `Proxy-Authorization` that is wanted, word for word, such as `Basic dTpw`; none when
    /// anybody may use it.
    pub login: Option<String>,
    /// The kinds of login that it names as those it takes (RFC 9110 §11.7.1); `Basic` when empty.
    pub schemes: Vec<String>,
    /// Hosts that are refused with 403, in lower case.
    pub refused: BTreeSet<String>,
}

impl fmt::Debug for ProxyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyRules")
            .field("login", &self.login.is_some())
            .field("schemes", &self.schemes)
            .field("refused", &self.refused)
            .finish()
    }
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, directory: Directory, rules: ProxyRules) {
    let rules = Arc::new(rules);
    listen::serve_each(listener, move |stream| {
        connection(stream, directory.clone(), rules.clone())
    })
    .await;
}

async fn connection(mut stream: TcpStream, directory: Directory, rules: Arc<ProxyRules>) {
    let Ok(Some((head, rest))) = time::timeout(HEAD_TIMEOUT, read_head(&mut stream)).await else {
        return;
    };
    let refusal = match Asked::read(&head) {
        None => answer("400 Bad Request", ""),
        Some(asked) if !asked.may_pass(&rules) => answer(
            "407 Proxy Authentication Required",
            &challenges(&rules.schemes),
        ),
        Some(asked) if rules.refused.contains(&asked.host) => answer("403 Forbidden", ""),
        Some(asked) => match connect(&directory, &asked).await {
            None => answer("502 Bad Gateway", ""),
            Some(server) => return tunnel(stream, server, &asked, &rest).await,
        },
    };
    if stream.write_all(refusal.as_bytes()).await.is_ok() {
        listen::close(stream).await;
    }
}

async fn connect(directory: &Directory, asked: &Asked) -> Option<TcpStream> {
    let address = SocketAddr::new(directory.find(&asked.host)?, asked.port);
    let connecting = time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address));
    connecting.await.ok()?.ok()
}

async fn tunnel(mut client: TcpStream, mut server: TcpStream, asked: &Asked, rest: &[u8]) {
    let opened = match &asked.forward {
        Some(head) => server.write_all(head.as_bytes()).await,
        None => {
            client
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await
        }
    };
    if opened.is_ok() && server.write_all(rest).await.is_ok() {
        // However it ends, both connections are dropped.
        let _ended = time::timeout(
            MAX_SILENCE,
            io::copy_bidirectional(&mut client, &mut server),
        )
        .await;
    }
}

/// A head up to its empty line, and what came with it.
async fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut heard = Vec::new();
    let mut piece = [0; 1024];
    while heard.len() < MAX_HEAD {
        let length = stream.read(&mut piece).await.ok()?;
        if length == 0 {
            return None;
        }
        heard.extend_from_slice(&piece[..length]);
        if let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = heard.split_off(end + 4);
            return Some((String::from_utf8(heard).ok()?, rest));
        }
    }
    None
}

/// What a client wants of a proxy.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    host: String,
    port: u16,
    login: Option<String>,
    /// The head to hand on; none for CONNECT.
    forward: Option<String>,
}

impl Asked {
    fn read(head: &str) -> Option<Self> {
        let (first, fields) = head.split_once("\r\n")?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let mut login = None;
        let mut kept = String::new();
        for line in fields.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("proxy-authorization") {
                login = Some(value.trim().to_owned());
            } else if !name.eq_ignore_ascii_case("proxy-connection") {
                kept.push_str(line);
                kept.push_str("\r\n");
            }
        }
        let connect = method == "CONNECT";
        let (authority, path) = if connect {
            (target, "")
        } else {
            let rest = target.strip_prefix("http://")?;
            rest.split_at(rest.find('/').unwrap_or(rest.len()))
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            Some(_) | None if connect => return None,
            Some(_) | None => (authority, HTTP_PORT),
        };
        let path = if path.is_empty() { "/" } else { path };
        Some(Self {
            host: host.to_ascii_lowercase(),
            port,
            login,
            forward: (!connect).then(|| format!("{method} {path} HTTP/1.1\r\n{kept}\r\n")),
        })
    }

    fn may_pass(&self, rules: &ProxyRules) -> bool {
        rules.login.is_none() || rules.login == self.login
    }
}

/// A field for each kind of login.
fn challenges(schemes: &[String]) -> String {
    if schemes.is_empty() {
        return "Proxy-Authenticate: Basic realm=\"stand-in\"\r\n".to_owned();
    }
    let fields = schemes.iter();
    fields
        .map(|scheme| format!("Proxy-Authenticate: {scheme}\r\n"))
        .collect()
}

fn answer(status: &str, fields: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, HttpFault, Place, Stage, SystemClock};

    async fn ask(rules: ProxyRules, question: &str) -> String {
        let authority = Authority::new(std::time::SystemTime::now()).unwrap();
        let mut stage = Stage::new(authority, SystemClock);
        let server = stage.http(Place::v4(), HttpFault::None).await.unwrap();
        let directory = Directory::new([("A.example".to_owned(), server.ip())]);
        let proxy = stage.proxy(Place::v4(), directory, rules).await.unwrap();
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        let question = question.replace("PORT", &server.port().to_string());
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        stage.stop().await;
        heard
    }

    const THROUGH: &str = "CONNECT a.example:PORT HTTP/1.1\r\n\r\n\
        GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn what_follows_a_connect_reaches_the_server() {
        let heard = ask(ProxyRules::default(), THROUGH).await;
        assert!(heard.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK"));
        assert!(heard.contains("stand-in for a.example"), "{heard}");
    }

    #[tokio::test]
    async fn a_whole_uri_is_handed_on_without_the_fields_for_the_proxy() {
        let question = "GET http://a.example:PORT/x HTTP/1.1\r\nHost: a.example\r\n\
            Proxy-Connection: close\r\nConnection: close\r\n\r\n";
        let heard = ask(ProxyRules::default(), question).await;
        assert!(heard.contains("stand-in for a.example: /x"), "{heard}");
    }

    #[tokio::test]
    async fn without_the_login_that_is_wanted_nobody_passes() {
        let rules = || ProxyRules {
            login: Some("Basic dTpw".to_owned()),
            ..ProxyRules::default()
        };
        let heard = ask(rules(), THROUGH).await;
        assert!(heard.starts_with("HTTP/1.1 407 "), "{heard}");
        assert!(heard.contains("Proxy-Authenticate: Basic"), "{heard}");
        let others = ProxyRules {
            schemes: vec!["Negotiate".to_owned(), "NTLM".to_owned()],
            ..rules()
        };
        let heard = ask(others, THROUGH).await;
        let named = "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n";
        assert!(heard.contains(named) && !heard.contains("Basic"), "{heard}");
        let with = THROUGH.replacen("\r\n\r\n", "\r\nProxy-Authorization: Basic dTpw\r\n\r\n", 1);
        assert!(ask(rules(), &with).await.contains("stand-in for a.example"));
    }

    #[tokio::test]
    async fn refused_and_unknown_hosts_are_told_apart() {
        let rules = ProxyRules {
            refused: BTreeSet::from(["a.example".to_owned()]),
            ..ProxyRules::default()
        };
        assert!(ask(rules, THROUGH).await.starts_with("HTTP/1.1 403 "));
        let unknown = "CONNECT b.example:1 HTTP/1.1\r\n\r\n";
        let heard = ask(ProxyRules::default(), unknown).await;
        assert!(heard.starts_with("HTTP/1.1 502 "), "{heard}");
    }

    #[test]
    fn what_is_no_request_is_not_taken_for_one() {
        for bad in [
            "",
            "GET",
            "GET / HTTP/1.1\r\n\r\n",
            "CONNECT a HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(Asked::read(bad), None, "{bad}");
        }
    }
}
