//! What stands on the page, in its order.

mod flows;
mod lanes;
mod security;
mod shown;
mod site;
mod summary;

use outgate_manifest::{Direction, Id, Lane, Manifest};

use super::PageRequest;
use super::model::{Block, Page, Phrase, Section, fill};
use super::rows::{Row, distinct, rows};
use super::words::Words;

/// Everything that the sections are made from.
struct Context<'a> {
    request: &'a PageRequest<'a>,
    words: &'static Words,
    outbound: Vec<Row<'a>>,
    inbound: Vec<Row<'a>>,
    lan: Vec<Row<'a>>,
}

/// Makes the page with these words.
pub(super) fn page(request: &PageRequest<'_>, words: &'static Words) -> Page {
    let context = Context {
        request,
        words,
        outbound: rows(request.lanes, Direction::Outbound),
        inbound: rows(request.lanes, Direction::Inbound),
        lan: rows(request.lanes, Direction::Lan),
    };
    let product = request.manifest.product();
    let names = [("product", product.name.as_str())];
    let mut lead = vec![Block::Paragraph(Phrase::text(fill(words.lead, &names)))];
    lead.extend(context.site());
    let section = |id, heading: &str, blocks: Vec<Block>| Section {
        id,
        heading: heading.to_owned(),
        blocks,
    };
    let sections = [
        section("summary", words.summary, context.summary()),
        section(
            "outbound",
            words.outbound,
            context.table_of(Direction::Outbound),
        ),
        section(
            "inbound",
            words.inbound,
            context.table_of(Direction::Inbound),
        ),
        section("lan", words.lan, context.table_of(Direction::Lan)),
        section("tls", words.tls, context.tls()),
        section("proxies", words.proxies, context.proxies()),
        section("blocked", words.blocked, context.blocked()),
        section("fallbacks", words.fallbacks, context.fallbacks()),
        section("details", words.details, context.details()),
        section("parties", words.parties, context.parties()),
        section("choices", words.choices, context.choices()),
        section("left-out", words.left_out, context.left_out()),
        section("source", words.source, context.source()),
    ];
    Page {
        language: words.language,
        title: fill(words.title, &names),
        lead,
        contents: words.contents,
        sections: sections
            .into_iter()
            .filter(|section| !section.blocks.is_empty())
            .collect(),
        footer: Phrase::text(words.footer),
    }
}

impl<'a> Context<'a> {
    fn manifest(&self) -> &'a Manifest {
        self.request.manifest
    }

    fn rows_of(&self, direction: Direction) -> &[Row<'a>] {
        match direction {
            Direction::Outbound => &self.outbound,
            Direction::Inbound => &self.inbound,
            Direction::Lan => &self.lan,
        }
    }

    fn all_rows(&self) -> impl Iterator<Item = &Row<'a>> {
        self.outbound.iter().chain(&self.inbound).chain(&self.lan)
    }

    /// The flows on the page, each with its first lane.
    fn flows(&self) -> Vec<&'a Lane> {
        let ids = distinct(self.request.lanes.iter().map(|lane| &lane.flow));
        let first = |id: &Id| self.request.lanes.iter().find(|lane| lane.flow == *id);
        ids.into_iter().filter_map(first).collect()
    }
}
