//! What the machine says of the network that it stands in: its name servers and its proxy.

use std::time::Duration;

use crate::status::Board;

/// Where a Unix system tells its name servers (resolv.conf(5)).
const RESOLVERS: &str = "/etc/resolv.conf";
/// How often it is read.
const EVERY: Duration = Duration::from_secs(30);
/// The most name servers that are shown; a system asks three at the most.
const MAX_SHOWN: usize = 8;

/// Writes both onto the board, over and over, until it is dropped. `proxy` is the configuration's.
pub async fn watch(proxy: Option<String>, board: Board) {
    let proxy = proxy.as_deref().and_then(shown);
    loop {
        let text = std::fs::read_to_string(RESOLVERS).unwrap_or_default();
        let servers = name_servers(&text);
        board.write(|status| {
            status.network.name_servers = servers;
            status.network.proxy.clone_from(&proxy);
        });
        tokio::time::sleep(EVERY).await;
    }
}

fn name_servers(text: &str) -> Vec<String> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())?
    });
    named.map(str::to_owned).take(MAX_SHOWN).collect()
}

/// A proxy without its login; `None` where there is none.
fn shown(proxy: &str) -> Option<String> {
    if ["", "none", "env"].contains(&proxy) {
        return None;
    }
    let (scheme, rest) = proxy.split_once("://").unwrap_or(("http", proxy));
    // A password may hold an `@`, a host does not.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_servers_are_those_of_the_file() {
        let text = "# nameserver 192.0.2.9\nsearch a.example\nnameserver 192.0.2.1\n\
            nameserver\t2001:db8::1 # of the site\nnameserver\n";
        assert_eq!(name_servers(text), ["192.0.2.1", "2001:db8::1"]);
        assert!(name_servers("").is_empty());
    }

    #[test]
    fn a_proxy_is_shown_without_its_login() {
        for (proxy, seen) in [
            ("http://proxy:3128", Some("http://proxy:3128")),
            ("http://me:se@cret@proxy:3128", Some("http://proxy:3128")),
            ("proxy:3128", Some("http://proxy:3128")),
            ("none", None),
            ("env", None),
        ] {
            assert_eq!(shown(proxy).as_deref(), seen, "{proxy}");
        }
    }
}
