//! The parts of the pages, each a view of a column of the board.

use maud::{Markup, html};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::words::{Words, filled};
use crate::queue::{Level, Priority};
use crate::status::{
    Claim, Clock, Limit, Link, LinkState, Neighbours, Network, Page, PageKind, Ping, Queue, Rung,
    RungState, Status, Trouble,
};

/// The connection, and how each transport did here.
pub(super) fn link(link: &Link, words: &Words) -> Markup {
    let (class, state) = match link.state {
        LinkState::Idle => ("waits", words.link_idle),
        LinkState::Connecting => ("waits", words.link_connecting),
        LinkState::Connected => ("good", words.link_connected),
        LinkState::Waiting => ("bad", words.link_waiting),
        LinkState::Refused => ("bad", words.link_refused),
    };
    let rows = link.ladder.iter().map(|rung| rung_row(rung, words));
    let heartbeat = link.heartbeat_seconds;
    section(
        "link",
        words.link,
        &html! {
            dl {
                (pair(words.state, &html! { span class=(class) { (state) } }))
                (pair(words.hub, &html! { (link.hub) }))
                (pair(words.since, &moment(link.since, words)))
                @if let Some(seconds) = heartbeat {
                    (pair(words.heartbeat, &html! {
                        (filled(words.seconds, "n", &seconds.to_string()))
                    }))
                }
            }
            (table(words.ladder, [words.transport, words.state, words.reason], rows))
        },
    )
}

fn rung_row(rung: &Rung, words: &Words) -> [Markup; 3] {
    let (class, state) = match rung.state {
        RungState::Untried => ("quiet", words.rung_untried),
        RungState::InUse => ("good", words.rung_in_use),
        RungState::Worked => ("good", words.rung_worked),
        RungState::Failed => ("bad", words.rung_failed),
    };
    [
        html! { (rung.transport) },
        html! { span class=(class) { (state) } },
        html! { span lang="en" { (rung.reason.as_deref().unwrap_or_default()) } },
    ]
}

/// What time it is here, and who says so.
pub(super) fn clock(clock: &Clock, words: &Words) -> Markup {
    let trusted = if clock.trusted { words.yes } else { words.no };
    let now = OffsetDateTime::now_utc();
    let asked = clock.asked.iter().map(|one| {
        [
            html! { (one.source) },
            html! { (one.answered.join(", ")) },
            html! { span lang="en" { (one.refused.join("; ")) } },
        ]
    });
    let columns = [words.clock_source, words.clock_answered, words.reason];
    section(
        "clock",
        words.clock,
        &html! {
            dl {
                (pair(words.clock_now, &moment(Some(now), words)))
                (pair(words.clock_trusted, &html! {
                    span class=(if clock.trusted { "good" } else { "waits" }) { (trusted) }
                }))
                (pair(words.clock_source, &told(clock.source.as_deref(), words)))
                @if let Some(offset) = clock.offset_millis {
                    (pair(words.clock_offset, &html! { (wrong_by(offset, words)) }))
                }
            }
            @if !clock.asked.is_empty() { (table(words.clock_asked, columns, asked)) }
            @if !clock.trusted { p.hint { (words.clock_doubt) } }
        },
    )
}

fn wrong_by(millis: i64, words: &Words) -> String {
    let text = if millis < 0 {
        words.clock_ahead
    } else {
        words.clock_behind
    };
    let size = millis.unsigned_abs();
    let time = format!("{}.{:03}", size / 1_000, size % 1_000);
    filled(text, "time", &filled(words.seconds, "n", &time))
}

/// What waits on disk.
pub(super) fn queue(queue: &Queue, words: &Words) -> Markup {
    let room = filled(words.room_used, "used", &kibibytes(queue.bytes));
    let room = filled(&room, "limit", &kibibytes(queue.limit_bytes));
    let rows = queue.levels.iter().map(|level| level_row(level, words));
    let columns = [
        words.priority,
        words.entries,
        words.room,
        words.delivered,
        words.dropped,
    ];
    section(
        "queue",
        words.queue,
        &html! {
            dl {
                (pair(words.entries, &html! { (queue.entries) }))
                (pair(words.room, &html! { (room) }))
                (pair(words.dropped, &html! { (queue.dropped) }))
            }
            (table(words.levels, columns, rows))
        },
    )
}

fn level_row(level: &Level, words: &Words) -> [Markup; 5] {
    let priority = match level.priority {
        Priority::Background => words.priority_background,
        Priority::Ordinary => words.priority_ordinary,
        Priority::Important => words.priority_important,
    };
    [
        html! { (priority) },
        html! { (level.entries) },
        html! { (kibibytes(level.bytes)) },
        html! { (level.settled) },
        html! { (level.dropped.all()) },
    ]
}

/// The network that the device stands in.
pub(super) fn network(network: &Network, words: &Words) -> Markup {
    section(
        "network",
        words.network,
        &html! {
            dl {
                (pair(words.name_servers, &list(&network.name_servers, words)))
                (pair(words.proxy, &html! { (network.proxy.as_deref().unwrap_or(words.none)) }))
                (pair(words.names, &names(network, words)))
                (pair(words.pings, &pings(&network.ping, words)))
            }
        },
    )
}

/// The device's names, and the one that it was to have where that is somebody else's.
fn names(network: &Network, words: &Words) -> Markup {
    let naming = &network.naming;
    let is_lost = [naming.mdns, naming.llmnr]
        .iter()
        .any(|claim| matches!(claim, Claim::Renamed | Claim::Taken));
    let lost = naming.wanted.as_deref().filter(|_| is_lost);
    html! {
        (list(&network.names, words))
        @if let Some(name) = lost {
            p { span.bad { (filled(words.name_taken, "name", name)) } }
        }
    }
}

/// The bound on pings, in units that need no words.
fn pings(ping: &Ping, words: &Words) -> Markup {
    let rate = ping.rate.as_deref().unwrap_or_default();
    let units = [("second", "s"), ("minute", "min"), ("hour", "h")];
    let rate = units.iter().fold(rate.to_owned(), |rate, (unit, short)| {
        rate.replace(unit, short)
    });
    let (class, text) = match ping.limit {
        Limit::Off => ("", words.pings_unbounded),
        Limit::On => ("good", words.pings_bounded),
        Limit::Failed => ("bad", words.pings_failed),
    };
    html! { span class=(class) { (filled(text, "rate", &rate)) } }
}

/// The other devices of the site.
pub(super) fn neighbours(neighbours: &Neighbours, words: &Words) -> Markup {
    let refused = neighbours.refused.iter();
    let refused: Vec<String> = refused
        .map(|(why, count)| format!("{why}: {count}"))
        .collect();
    section(
        "neighbours",
        words.neighbours,
        &html! {
            dl {
                (pair(words.there, &list(&neighbours.there, words)))
                (pair(words.coordinator, &told(neighbours.coordinator.as_deref(), words)))
                (pair(words.roster, &html! { (neighbours.roster) }))
                (pair(words.refused, &list(&refused, words)))
                (pair(words.forked, &list(&neighbours.forked, words)))
            }
        },
    )
}

/// What went wrong lately.
pub(super) fn troubles<'a>(troubles: impl Iterator<Item = &'a Trouble>, words: &Words) -> Markup {
    let rows: Vec<[Markup; 4]> = troubles.map(|one| trouble_row(one, words)).collect();
    let columns = [words.when, words.part, words.what, words.cause];
    section(
        "troubles",
        words.troubles,
        &html! {
            @if rows.is_empty() {
                p { (words.no_troubles) }
            } @else {
                p.hint { (words.troubles_english) }
                (table(words.troubles, columns, rows))
            }
        },
    )
}

fn trouble_row(trouble: &Trouble, words: &Words) -> [Markup; 4] {
    [
        moment(Some(trouble.at), words),
        html! { (trouble.part) },
        html! { span lang="en" { (trouble.text) } },
        html! { span lang="en" { (trouble.cause.as_deref().unwrap_or_default()) } },
    ]
}

/// What runs here, and where these pages are.
pub(super) fn versions(status: &Status, page: Option<&Page>, words: &Words) -> Markup {
    let places = page.map(|page| {
        page.places.iter().map(|place| {
            let kind = match place.page {
                PageKind::Diagnostics => words.diagnostics,
                PageKind::Connector => words.connector,
            };
            let trouble = place.trouble.as_deref().unwrap_or_default();
            [
                html! { (kind) },
                html! { (place.address) },
                html! { span.bad lang="en" { (trouble) } },
            ]
        })
    });
    section(
        "versions",
        words.versions,
        &html! {
            dl {
                (pair(words.product, &told(status.product.as_deref(), words)))
                (pair(words.agent, &html! { (status.version) }))
                @if let Some(page) = page {
                    (pair(words.turned_away, &html! {
                        (page.turned_away)
                        @if let Some(last) = &page.last_turned_away {
                            ", " (filled(words.last_from, "address", last))
                        }
                    }))
                }
            }
            @if let Some(places) = places {
                (table(words.places, [words.page, words.address, words.reason], places))
            }
        },
    )
}

/// A part with its heading, by which it is found.
pub(super) fn section(id: &str, heading: &str, body: &Markup) -> Markup {
    let by = format!("{id}-heading");
    html! {
        section id=(id) aria-labelledby=(by) {
            h2 id=(by) { (heading) }
            (body)
        }
    }
}

/// A term and what is said of it.
pub(super) fn pair(term: &str, description: &Markup) -> Markup {
    html! { div { dt { (term) } dd { (description) } } }
}

/// A table; on a narrow screen each cell shows its own heading.
pub(super) fn table<const N: usize>(
    caption: &str,
    columns: [&str; N],
    rows: impl IntoIterator<Item = [Markup; N]>,
) -> Markup {
    html! {
        // The roles are those that the elements have, until a narrow screen shows them as blocks.
        table role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in columns { th role="columnheader" scope="col" { (column) } }
                }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (at, (column, cell)) in columns.iter().zip(&row).enumerate() {
                            @if at == 0 {
                                th role="rowheader" scope="row" data-label=(column) { (cell) }
                            } @else {
                                td role="cell" data-label=(column) { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn list(entries: &[String], words: &Words) -> Markup {
    html! {
        @if entries.is_empty() {
            (words.none)
        } @else {
            ul { @for entry in entries { li { (entry) } } }
        }
    }
}

fn told(text: Option<&str>, words: &Words) -> Markup {
    html! { (text.unwrap_or(words.unknown)) }
}

/// A moment, to the second.
pub(super) fn moment(at: Option<OffsetDateTime>, words: &Words) -> Markup {
    let written = at.and_then(written);
    html! {
        @match written {
            Some(written) => { time datetime=(written) { (shown(&written)) } }
            None => { (words.unknown) }
        }
    }
}

/// This moment, as [`moment`] writes it.
pub(super) fn now() -> String {
    written(OffsetDateTime::now_utc()).unwrap_or_default()
}

fn written(at: OffsetDateTime) -> Option<String> {
    at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}

/// As people read it, in every language.
pub(super) fn shown(written: &str) -> String {
    written.replace('T', " ").replace('Z', " UTC")
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1_024))
}
