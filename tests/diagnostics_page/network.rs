//! Where the pages are, and who sees them: in network namespaces of the test's own.

use outgate_testbed::{OwnMachine, on_own_machine};

use super::*;

/// The device (here), somebody on its network, and somebody behind them.
const NETWORK: &str = "
    ip netns add near; ip netns add far
    ip link add e0 type veth peer name e0 netns near
    ip link set e0 up; ip addr add 192.168.7.5/24 dev e0
    ip route add 10.9.0.0/24 via 192.168.7.9
    ip -n near link set e0 up; ip -n near addr add 192.168.7.9/24 dev e0
    ip -n near link add f0 type veth peer name e0 netns far
    ip -n near link set f0 up; ip -n near addr add 10.9.0.1/24 dev f0
    ip -n far link set e0 up; ip -n far addr add 10.9.0.2/24 dev e0
    ip -n far route add default via 10.9.0.1
    ip netns exec near sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
";

/// Whether somebody there gets a page at that port, and what it is.
fn asks(from: &str, port: u16, more: &[&str]) -> Option<String> {
    let url = format!("http://192.168.7.5:{port}/");
    let answer = Command::new("ip")
        .args(["netns", "exec", from, "curl", "--silent", "--fail"])
        .args(["--max-time", "30", "--noproxy", "*"])
        .args(more)
        .arg(url)
        .output()
        .unwrap();
    answer.status.success().then(|| stdout(&answer))
}

fn cube(version: &str, more: &str) -> String {
    format!("[product]\nprofile = 'homag-cube'\nversion = '{version}'\n{more}")
}

fn on_site(test: impl FnOnce(&OwnMachine)) {
    on_own_machine(|machine| {
        machine.shell(NETWORK).unwrap();
        test(machine);
    })
    .unwrap();
}

#[test]
fn the_pages_of_homag_cube_are_on_the_ports_of_its_version_for_its_network_alone() {
    on_site(|_| {
        for (version, diagnostics, nobody) in [
            ("0.129.7", &[45001, 80][..], &[5556][..]),
            ("0.130.0", &[80], &[45001]),
        ] {
            let agent = Agent::start(&cube(version, ""), &[]);
            for port in diagnostics {
                for (language, title) in [
                    ("sv", "Diagnostik"),
                    ("nb", "Diagnose"),
                    ("de", "Diagnose"),
                    ("en", "Diagnostics"),
                ] {
                    let header = format!("accept-language: {language}");
                    let page = asks("near", *port, &["--header", &header]).unwrap();
                    assert!(
                        page.contains(&format!("<html lang=\"{language}\">")),
                        "{page}"
                    );
                    assert!(page.contains(&format!("<h1>{title}</h1>")), "{page}");
                    assert!(page.contains(&format!("homag-cube {version}")), "{page}");
                }
            }
            let connector = asks("near", 5555, &[]).unwrap();
            assert!(
                connector.contains("<h1>Connection to the hub</h1>"),
                "{connector}"
            );
            for port in nobody {
                assert_eq!(asks("near", *port, &[]), None, "{version} {port}");
            }
            for port in diagnostics.iter().chain(&[5555]) {
                assert_eq!(asks("far", *port, &[]), None, "{version} {port}");
            }
            let page = &agent.status()["page"];
            let turned_away = diagnostics.len() + 1;
            assert_eq!(page["turned_away"], turned_away, "{page}");
            assert_eq!(page["last_turned_away"], "10.9.0.2");
        }
    });
}

#[test]
fn a_further_network_of_the_site_is_let_in_by_the_configuration() {
    on_site(|_| {
        let more = cube("0.130.0", "[page]\nnetworks = ['10.9.0.0/24']\n");
        let _agent = Agent::start(&more, &[]);
        assert!(asks("far", 80, &[]).is_some() && asks("near", 80, &[]).is_some());
    });
}

#[test]
fn a_page_of_another_name_that_leads_here_is_told_nothing() {
    on_site(|_| {
        let _agent = Agent::start(&cube("0.130.0", ""), &[]);
        let rebound = ["--resolve", "evil.example:80:192.168.7.5"];
        let answer = Command::new("ip")
            .args([
                "netns",
                "exec",
                "near",
                "curl",
                "--silent",
                "--noproxy",
                "*",
            ])
            .args(["--write-out", "%{http_code}"])
            .args(rebound)
            .arg("http://evil.example/")
            .output()
            .unwrap();
        let said = stdout(&answer);
        assert!(said.ends_with("421") && !said.contains("homag"), "{said}");
    });
}

/// Has OpenSSH's server where an agent looks for it, and a key that counts.
const SERVER: &str = "
    mkdir -p -m 755 /run/sshd /run/place
    grep -q '^sshd:' /etc/passwd || echo 'sshd:x:990:65534::/run/sshd:/bin/false' >> /etc/passwd
    ssh-keygen -q -t ed25519 -N '' -f /run/place/own
    printf '#!/bin/sh\\nLD_LIBRARY_PATH=%s exec %s \"$@\"\\n' \
        \"$LD_LIBRARY_PATH\" \"$(command -v sshd)\" > /run/place/sshd
    chmod 755 /run/place/sshd
";

#[test]
fn who_is_logged_in_switches_ssh_on_and_off_and_nobody_else_does() {
    on_site(|machine| {
        machine.shell(SERVER).unwrap();
        let agent = Agent::start(
            "[page]\nlisten = ['127.0.0.1:0']\n[ssh]\nusers = ['root']\n\
             keys = '/run/place/own.pub'\nhub-certificates = false\nmax-minutes = 60\n\
             listen = ['127.0.0.1:0']\nprogram = '/run/place/sshd'\n",
            &[],
        );
        let at = agent.url("diagnostics").to_owned();
        let on = "switch=on&minutes=5";
        let (status, said) = post(&["--data", on], &at, "/ssh");
        assert!(status == 303 && said.contains("/login"), "{said}");
        assert_eq!(agent.status()["ssh"]["state"], "off");
        let jar = agent.folder.path().join("jar").display().to_string();
        let kept = ["--cookie", &jar, "--cookie-jar", &jar, "--data"];
        let send = |form: &str, path: &str| post(&[&kept[..], &[form]].concat(), &at, path);
        assert_eq!(send(&format!("secret={}", agent.code()), "/login").0, 303);
        let (status, said) = send("switch=on&minutes=61", "/ssh");
        assert!(status == 409 && said.contains("1 to 60 minutes"), "{said}");
        assert_eq!(agent.status()["ssh"]["state"], "off");
        let (status, said) = send(on, "/ssh");
        assert!(status == 303 && said.contains("/#ssh"), "{said}");
        let ssh = &agent.status()["ssh"];
        assert_eq!(ssh["state"], "on");
        assert_eq!(ssh["by"], "the diagnostics page, from 127.0.0.1");
        let page = curl(&["--cookie", &jar], &at).1;
        assert!(
            page.contains("switched on") && page.contains("Switch SSH off"),
            "{page}"
        );
        assert_eq!(send("switch=off", "/ssh").0, 303);
        assert_eq!(agent.status()["ssh"]["state"], "off");
    });
}

#[test]
fn an_agent_that_may_not_have_port_80_goes_on_and_says_what_to_do() {
    on_site(|_| {
        let before = [
            "setpriv",
            "--inh-caps=-net_bind_service",
            "--bounding-set=-net_bind_service",
        ];
        let agent = Agent::start(&cube("0.130.0", ""), &before);
        assert_eq!(asks("near", 80, &[]), None);
        let connector = asks("near", 5555, &[]).unwrap();
        assert!(
            connector.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"),
            "{connector}"
        );
        let status = stdout(&agent.says(&["status"]));
        assert!(
            status.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"),
            "{status}"
        );
    });
}
