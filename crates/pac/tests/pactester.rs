//! Scripts read by us and by pactester (libpacparser): they agree.
#![cfg(test)]

use std::{net::IpAddr, process::Command, sync::Arc};

use outgate_pac::{HopKind, Script, World};

/// A machine that resolves only what every machine resolves.
struct Machine;

impl World for Machine {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        match name {
            "localhost" => vec!["127.0.0.1".parse().unwrap()],
            _ => Vec::new(),
        }
    }

    fn own_addresses(&self) -> Vec<IpAddr> {
        vec!["192.0.2.99".parse().unwrap()]
    }
}

/// Bodies of the function. Left out is what pacparser does in its own way: to it, no range of days
/// goes past Saturday, and a name without an address is in every network of `isInNetEx`; browsers
/// have it otherwise.
const BODIES: &[&str] = &[
    "return 'DIRECT';",
    "return 'PROXY proxy.example:3128; DIRECT';",
    "return 'SOCKS5 proxy.example:1080';",
    "if (isPlainHostName(host)) return 'DIRECT'; return 'PROXY p:1';",
    "if (dnsDomainIs(host, '.example.com')) return 'PROXY in:1'; return 'PROXY out:1';",
    "if (localHostOrDomainIs(host, 'www.example.com')) return 'PROXY in:1'; return 'DIRECT';",
    "return 'PROXY p:' + (dnsDomainLevels(host) + 1);",
    "if (isInNet(host, '10.0.0.0', '255.0.0.0')) return 'DIRECT'; return 'PROXY p:1';",
    "if (isInNet(host, '192.168.1.0', '255.255.255.128')) return 'DIRECT'; return 'PROXY p:1';",
    "if (isInNet(host, '127.0.0.0', '255.0.0.0')) return 'DIRECT'; return 'PROXY p:1';",
    "if (isResolvable(host)) return 'PROXY yes:1'; return 'PROXY no:1';",
    "return 'PROXY ' + (dnsResolve('localhost') || 'none') + ':1';",
    "return 'PROXY ' + myIpAddress() + ':1';",
    "if (shExpMatch(url, '*://*.example.com/*')) return 'PROXY in:1'; return 'DIRECT';",
    "if (shExpMatch(host, 'w?w.*')) return 'PROXY in:1'; return 'DIRECT';",
    "if (shExpMatch(host, '(*.com|localhost)')) return 'PROXY in:1'; return 'DIRECT';",
    "if (url.substring(0, 6) == 'https:') return 'PROXY s:1'; return 'PROXY h:1';",
    "if (weekdayRange('MON', 'FRI', 'GMT')) return 'PROXY work:1'; return 'PROXY rest:1';",
    "if (weekdayRange('SUN')) return 'PROXY sun:1'; return 'PROXY other:1';",
    "if (dateRange(1, 15, 'GMT')) return 'PROXY first:1'; return 'PROXY second:1';",
    "if (dateRange('JAN', 'JUN', 'GMT')) return 'PROXY first:1'; return 'PROXY second:1';",
    "if (dateRange(2020, 2100)) return 'PROXY now:1'; return 'PROXY never:1';",
    "if (dateRange(1, 'JUN', 1995, 15, 'AUG', 1995, 'GMT')) return 'PROXY then:1'; return 'PROXY now:1';",
    "if (timeRange(0, 12, 'GMT')) return 'PROXY am:1'; return 'PROXY pm:1';",
    "if (timeRange(0, 0, 23, 59)) return 'PROXY always:1'; return 'PROXY never:1';",
    "var m = {'www.example.com': 'PROXY m:1'}; return m[host] || 'DIRECT';",
    "var i, s = 0; for (i = 0; i < 1000; i++) s += i; return 'PROXY p:' + (s % 1000 + 1);",
    "return 'PROXY ' + (convert_addr('10.1.2.3') > 0 ? 'plus' : 'minus') + ':1';",
];

const HOSTS: &[&str] = &[
    "www",
    "localhost",
    "example.com",
    "www.example.com",
    "badexample.com",
    "a.b.www.example.com",
    "10.1.2.3",
    "192.168.1.5",
    "192.168.1.200",
    "127.0.0.1",
    "nowhere.invalid",
];

#[test]
fn every_script_means_the_same_to_pactester() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.pac");
    let list = folder.path().join("urls");
    let urls: Vec<String> = ["http", "https"]
        .iter()
        .flat_map(|scheme| HOSTS.iter().map(move |host| format!("{scheme}://{host}/")))
        .collect();
    std::fs::write(&list, urls.join("\n")).unwrap();
    let mut wrong = Vec::new();
    for body in BODIES {
        let text = format!("function FindProxyForURL(url, host) {{ {body} }}\n");
        std::fs::write(&file, &text).unwrap();
        let mut command = Command::new("pactester");
        command
            .args(["-c", "192.0.2.99"])
            .arg("-p")
            .arg(&file)
            .arg("-f")
            .arg(&list);
        let output = command.output().unwrap();
        let theirs = String::from_utf8(output.stdout).unwrap();
        let theirs: Vec<_> = theirs.lines().collect();
        assert_eq!(theirs.len(), urls.len(), "{body}: {theirs:?}");
        let script = Script::new(&text).unwrap();
        for (url, theirs) in urls.iter().zip(theirs) {
            let host = url.split('/').nth(2).unwrap();
            let theirs = theirs
                .rsplit_once(" : ")
                .map_or(theirs, |(_, answer)| answer);
            let ours = script.find(url, host, Arc::new(Machine));
            let ours = ours.map(|hops| hops.iter().map(shown).collect::<Vec<_>>().join("; "));
            if ours.as_deref() != Ok(theirs) {
                wrong.push(format!("{body} {url}: pactester {theirs}, here {ours:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn shown(hop: &outgate_pac::Hop) -> String {
    let word = match hop.kind {
        HopKind::Direct => return "DIRECT".to_owned(),
        HopKind::Http => "PROXY",
        HopKind::Https => "HTTPS",
        HopKind::Socks5 => "SOCKS5",
    };
    format!("{word} {}", hop.place)
}
