//! The set-ups, as data.

use outgate_probe::Counted;

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Works,
    /// The far end's port is closed.
    Refused,
    NoSuchName,
    Untrusted,
    ProxyLogin,
    ProxyForbids,
    ProxyCannotReach,
    ProxyUnreachable,
}

/// Where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Https,
    Http,
    /// A closed port, with TLS in mind.
    Closed,
    /// A name that does not exist.
    Nowhere,
}

/// A way to go. In `proxy` and `environment`, a word in braces stands for a port, and `@L` for the
/// login.
pub(super) struct SetUp {
    pub(super) name: &'static str,
    pub(super) to: To,
    pub(super) proxy: Option<&'static str>,
    pub(super) environment: &'static [(&'static str, &'static str)],
    pub(super) trusted: bool,
    /// The company's CA stands in the machine's own store, and these sets count.
    pub(super) store: Option<Counted>,
    /// The body of a proxy script's function.
    pub(super) script: Option<&'static str>,
    pub(super) end: End,
}

const fn set_up(name: &'static str, to: To, proxy: Option<&'static str>, end: End) -> SetUp {
    SetUp {
        name,
        to,
        proxy,
        environment: &[],
        trusted: true,
        store: None,
        script: None,
        end,
    }
}

pub(super) const SET_UPS: &[SetUp] = &[
    set_up("direct", To::Https, None, End::Works),
    set_up("direct in the clear", To::Http, None, End::Works),
    set_up("direct to a closed port", To::Closed, None, End::Refused),
    set_up(
        "a name that is not there",
        To::Nowhere,
        None,
        End::NoSuchName,
    ),
    SetUp {
        trusted: false,
        ..set_up(
            "the company's CA is not trusted",
            To::Https,
            None,
            End::Untrusted,
        )
    },
    SetUp {
        store: Some(Counted::System),
        ..set_up(
            "the company's CA in the system's store",
            To::Https,
            None,
            End::Works,
        )
    },
    SetUp {
        store: Some(Counted::Mozilla),
        trusted: false,
        ..set_up("that store does not count", To::Https, None, End::Untrusted)
    },
    SetUp {
        script: Some("return 'PROXY 127.0.0.1:{squid}; DIRECT';"),
        ..set_up("a script names squid", To::Https, None, End::Works)
    },
    SetUp {
        script: Some(
            "return dnsDomainIs(host, 'localhost') ? 'PROXY 127.0.0.1:{strict}' : 'DIRECT';",
        ),
        ..set_up(
            "a script names a squid that forbids",
            To::Https,
            None,
            End::ProxyForbids,
        )
    },
    SetUp {
        script: Some(
            "return url.substring(0, 5) == 'http:' ? 'DIRECT' : 'PROXY 127.0.0.1:{closed}';",
        ),
        ..set_up(
            "a script says direct in the clear",
            To::Http,
            None,
            End::Works,
        )
    },
    SetUp {
        script: Some("return 'SOCKS5 127.0.0.1:{socks}';"),
        ..set_up("a script names SOCKS", To::Https, None, End::Works)
    },
    set_up(
        "squid",
        To::Https,
        Some("http://127.0.0.1:{squid}"),
        End::Works,
    ),
    set_up(
        "squid in the clear",
        To::Http,
        Some("http://127.0.0.1:{squid}"),
        End::Works,
    ),
    SetUp {
        trusted: false,
        ..set_up(
            "squid, CA not trusted",
            To::Https,
            Some("http://127.0.0.1:{squid}"),
            End::Untrusted,
        )
    },
    set_up(
        "squid and a closed port",
        To::Closed,
        Some("http://127.0.0.1:{squid}"),
        End::ProxyCannotReach,
    ),
    set_up(
        "squid and a missing name",
        To::Nowhere,
        Some("http://127.0.0.1:{squid}"),
        End::ProxyCannotReach,
    ),
    set_up(
        "squid inside TLS",
        To::Https,
        Some("https://127.0.0.1:{secure}"),
        End::Works,
    ),
    set_up(
        "squid forbids",
        To::Https,
        Some("http://127.0.0.1:{strict}"),
        End::ProxyForbids,
    ),
    set_up(
        "squid wants a login",
        To::Https,
        Some("http://127.0.0.1:{asking}"),
        End::ProxyLogin,
    ),
    set_up(
        "squid wants a login in the clear",
        To::Http,
        Some("http://127.0.0.1:{asking}"),
        End::ProxyLogin,
    ),
    set_up(
        "squid gets a login",
        To::Https,
        Some("http://@L@127.0.0.1:{asking}"),
        End::Works,
    ),
    set_up(
        "squid gets a login in the clear",
        To::Http,
        Some("http://@L@127.0.0.1:{asking}"),
        End::Works,
    ),
    set_up(
        "squid gets a wrong login",
        To::Https,
        Some("http://alice:wrong@127.0.0.1:{asking}"),
        End::ProxyLogin,
    ),
    set_up(
        "tinyproxy",
        To::Https,
        Some("http://127.0.0.1:{tiny}"),
        End::Works,
    ),
    set_up(
        "tinyproxy wants a login",
        To::Https,
        Some("http://127.0.0.1:{tinyasking}"),
        End::ProxyLogin,
    ),
    set_up(
        "tinyproxy gets a login",
        To::Https,
        Some("http://alice:open-sesame@127.0.0.1:{tinyasking}"),
        End::Works,
    ),
    set_up(
        "SOCKS, names resolved there",
        To::Https,
        Some("socks5h://127.0.0.1:{socks}"),
        End::Works,
    ),
    set_up(
        "SOCKS, names resolved here",
        To::Https,
        Some("socks5://127.0.0.1:{socks}"),
        End::Works,
    ),
    set_up(
        "SOCKS in the clear",
        To::Http,
        Some("socks5h://127.0.0.1:{socks}"),
        End::Works,
    ),
    set_up(
        "SOCKS and a closed port",
        To::Closed,
        Some("socks5h://127.0.0.1:{socks}"),
        End::ProxyCannotReach,
    ),
    set_up(
        "SOCKS wants a login",
        To::Https,
        Some("socks5h://127.0.0.1:{socksasking}"),
        End::ProxyLogin,
    ),
    set_up(
        "SOCKS gets a login",
        To::Https,
        Some("socks5h://@L@127.0.0.1:{socksasking}"),
        End::Works,
    ),
    set_up(
        "SOCKS gets a wrong login",
        To::Https,
        Some("socks5h://alice:wrong@127.0.0.1:{socksasking}"),
        End::ProxyLogin,
    ),
    set_up(
        "no proxy is there",
        To::Https,
        Some("http://127.0.0.1:{closed}"),
        End::ProxyUnreachable,
    ),
    set_up(
        "the proxy's name is not there",
        To::Https,
        Some("http://proxy.invalid:3128"),
        End::ProxyUnreachable,
    ),
    SetUp {
        environment: &[("https_proxy", "http://127.0.0.1:{strict}")],
        ..set_up("https_proxy counts", To::Https, None, End::ProxyForbids)
    },
    SetUp {
        environment: &[("https_proxy", "http://127.0.0.1:{strict}")],
        ..set_up(
            "https_proxy does not count in the clear",
            To::Http,
            None,
            End::Works,
        )
    },
    SetUp {
        environment: &[("HTTP_PROXY", "http://127.0.0.1:{closed}")],
        ..set_up(
            "HTTP_PROXY in capitals does not count",
            To::Http,
            None,
            End::Works,
        )
    },
    SetUp {
        environment: &[("ALL_PROXY", "http://127.0.0.1:{strict}")],
        ..set_up("ALL_PROXY counts", To::Https, None, End::ProxyForbids)
    },
    SetUp {
        environment: &[
            ("ALL_PROXY", "http://127.0.0.1:{strict}"),
            ("no_proxy", "x, .localhost."),
        ],
        ..set_up("no_proxy counts", To::Https, None, End::Works)
    },
    SetUp {
        environment: &[("NO_PROXY", "*")],
        ..set_up(
            "NO_PROXY counts for a given proxy, too",
            To::Https,
            Some("http://127.0.0.1:{strict}"),
            End::Works,
        )
    },
];
