//! Scripts that mean ill, and what a script is told of the machine.
#![cfg(test)]

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use outgate_pac::{Hop, HopKind, QUESTIONS_MAX, SCRIPT_MAX, Script, ScriptError, World};

/// Knows `a.example`, and counts what it is asked.
#[derive(Default)]
struct Machine(AtomicUsize);

impl World for Machine {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if name == "a.example" {
            vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()]
        } else {
            Vec::new()
        }
    }

    fn own_addresses(&self) -> Vec<IpAddr> {
        vec!["192.0.2.99".parse().unwrap()]
    }
}

fn find(text: &str) -> Result<Vec<Hop>, ScriptError> {
    let script = Script::new(text).unwrap();
    script.find(
        "https://a.example/",
        "a.example",
        Arc::new(Machine::default()),
    )
}

/// The answer of a script whose function gives back this expression, as text.
fn value(expression: &str) -> String {
    let text = format!(
        "function FindProxyForURL(url, host) {{ return 'PROXY ' + String({expression}).replace(/[;\\s]/g, ','); }}"
    );
    find(&text).unwrap()[0].place.clone()
}

#[test]
fn the_functions_answer_from_the_machine() {
    for (expression, expected) in [
        ("dnsResolve(host)", "192.0.2.7"),
        ("dnsResolve('no.example')", "null"),
        ("dnsResolveEx(host)", "192.0.2.7,2001:db8::7"),
        ("isResolvable('no.example')", "false"),
        ("myIpAddress()", "192.0.2.99"),
        ("isInNet(host, '192.0.2.0', '255.255.255.0')", "true"),
        (
            "isInNet('192.0.3.1', '192.0.2.0', '255.255.255.0')",
            "false",
        ),
        ("isInNetEx(host, '2001:db8::/32')", "true"),
        ("isInNetEx(host, '2001:db9::/32')", "false"),
        ("isInNetEx(host, '192.0.2.0/29')", "true"),
        (
            "sortIpAddressList('10.2.3.9;2001:db8::1;::9;127.0.0.1')",
            "::9,2001:db8::1,10.2.3.9,127.0.0.1",
        ),
        (
            "typeof __resolve + typeof require + typeof process + typeof std",
            "undefinedundefinedundefinedundefined",
        ),
        ("shExpMatch(url, 'https://*.example/')", "true"),
        ("weekdayRange('SUN', 'SAT')", "true"),
        ("dateRange(1, 31)", "true"),
        ("dateRange('JAN', 'DEC', 'GMT')", "true"),
        ("dateRange(1990)", "false"),
        ("dateRange(1, 'JAN', 1990, 31, 'DEC', 9000)", "true"),
        ("timeRange(0, 0, 0, 23, 59, 59)", "true"),
        (
            "(Date.prototype.getUTCHours = () => 12, timeRange(0, 12, 'GMT'))",
            "true",
        ),
        (
            "(Date.prototype.getUTCHours = () => 13, timeRange(0, 12, 'GMT'))",
            "false",
        ),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn a_script_that_never_ends_is_stopped() {
    for body in [
        "for (;;) {}",
        "try { for (;;) {} } catch (e) {} return 'DIRECT'; ",
        "return /^(a+)+$/.test('a'.repeat(60) + 'b')",
    ] {
        let text = format!("function FindProxyForURL(url, host) {{ {body} }}");
        assert_eq!(find(&text), Err(ScriptError::TooSlow), "{body}");
    }
}

#[test]
fn memory_and_depth_have_an_end() {
    for body in [
        "const all = []; for (;;) all.push(new Array(10000).fill(url));",
        "let text = url; for (;;) text += text;",
        "const f = () => f() + 1; return f();",
        "const f = (n) => JSON.parse('['.repeat(1000000)); return f();",
    ] {
        let text = format!("function FindProxyForURL(url, host) {{ {body} }}");
        let broken = matches!(find(&text), Err(ScriptError::Broken { .. }));
        assert!(broken, "{body}: {:?}", find(&text));
    }
}

#[test]
fn questions_are_counted() {
    let machine = Arc::new(Machine::default());
    let text = "function FindProxyForURL() { for (let i = 0; i < 1000; i++) dnsResolve('n' + i); }";
    let script = Script::new(text).unwrap();
    let found = script.find("http://x/", "x", machine.clone());
    assert!(
        matches!(found, Err(ScriptError::Broken { .. })),
        "{found:?}"
    );
    assert_eq!(machine.0.load(Ordering::Relaxed), QUESTIONS_MAX);
}

#[test]
fn what_is_no_script_says_so() {
    for (text, part) in [
        ("function FindProxyForURL(", ""),
        ("var x = 1;", "there is no function FindProxyForURL"),
        (
            "function FindProxyForURL() { return nothing.at.all; }",
            "nothing",
        ),
        ("function FindProxyForURL() { throw 1; }", "no error"),
        ("function FindProxyForURL() { return 42; }", ""),
        ("<html>", ""),
    ] {
        let Err(ScriptError::Broken { what }) = find(text) else {
            panic!("{text}");
        };
        assert!(what.contains(part), "{text}: {what}");
    }
    assert_eq!(
        Script::new(&" ".repeat(SCRIPT_MAX + 1)),
        Err(ScriptError::TooLong)
    );
}

#[test]
fn one_run_leaves_nothing_to_the_next() {
    let text = "function FindProxyForURL() { globalThis.n = (globalThis.n || 0) + 1; return 'PROXY p:' + n; }";
    let script = Script::new(text).unwrap();
    for _ in 0..2 {
        let hops = script.find("http://x/", "x", Arc::new(Machine::default()));
        let (kind, place) = (HopKind::Http, "p:1".to_owned());
        assert_eq!(hops.unwrap(), [Hop { kind, place }]);
    }
}
