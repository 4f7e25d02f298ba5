//! The frame of every page.

use maud::{DOCTYPE, Markup, html};
use outgate_core::identity::{Role, Scope};

use super::visits::Visit;

/// Which page of the navigation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The list of devices.
    Devices,
    /// One of them.
    Device,
    /// The last events.
    Events,
    /// What devices are updated to.
    Releases,
    /// Releases on their way to devices.
    Deployments,
    /// One of them.
    Deployment,
}

/// A page for somebody who is logged in.
pub(super) fn full(title: &str, place: Place, visit: &Visit, body: &Markup) -> Markup {
    let actor = visit.actor().ok();
    let current = |own: Place| (place == own).then_some("page");
    let header = html! {
        nav aria-label="Pages" {
            ul {
                li { a href="/" aria-current=[current(Place::Devices)] { "Devices" } }
                li { a href="/console/events" aria-current=[current(Place::Events)] { "Events" } }
                li { a href="/console/releases" aria-current=[current(Place::Releases)] { "Releases" } }
                li {
                    a href="/console/deployments" aria-current=[current(Place::Deployments)] {
                        "Deployments"
                    }
                }
            }
        }
        form.logout method="post" action="/console/logout" {
            @if let Some(actor) = &actor {
                span.who {
                    @if let Some(operator) = &actor.operator { (operator) ", " }
                    (role(actor.role)) ", " (scope(&actor.scope))
                }
            }
            button type="submit" { "Log out" }
        }
    };
    framed(title, &header, body)
}

/// Where the script says whether the page follows what happens, which it does at `stream`.
pub(super) fn live(stream: &str) -> Markup {
    html! {
        p #live .hint role="status" data-live=(stream) { "Reload the page to see what is new." }
    }
}

/// A page for anybody.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    framed(title, &html! {}, body)
}

fn framed(title: &str, header: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Outgate" }
                link rel="stylesheet" href="/console/console.css";
                // Browsers would ask for /favicon.ico otherwise.
                link rel="icon" href="/console/icon.svg" type="image/svg+xml";
                script src="/console/live.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { "Outgate" }
                    (header)
                }
                main #main { (body) }
            }
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::All => "every site".to_owned(),
        Scope::Site(site) => format!("site {site}"),
    }
}
