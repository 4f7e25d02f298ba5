//! All openings in a few lines, for who sets up the firewall.

use outgate_manifest::document::flow::Inspection;
use outgate_manifest::document::product::Need;
use outgate_manifest::{Direction, Lane, Target};

use super::Context;
use crate::page::model::{Block, Phrase, fill};
use crate::page::rows::{Place, Row, distinct, grouped};

impl Context<'_> {
    /// The section.
    pub(super) fn summary(&self) -> Vec<Block> {
        let words = self.words;
        let parts = [
            (Direction::Outbound, words.outbound, words.no_outbound),
            (Direction::Inbound, words.inbound, words.no_inbound),
            (Direction::Lan, words.lan, words.no_lan),
        ];
        let mut blocks: Vec<Block> = [words.summary_lead, words.need_meaning]
            .map(|sentence| Block::Paragraph(Phrase::text(sentence)))
            .into();
        for (direction, heading, none) in parts {
            let rows = self.rows_of(direction);
            blocks.push(Block::Heading(Phrase::text(heading)));
            if rows.is_empty() {
                blocks.push(Block::Paragraph(Phrase::text(none)));
            } else {
                blocks.push(Block::List(self.openings(rows)));
            }
        }
        let tagged = |lane: &Lane| matches!(lane.to, Target::ServiceTag(_));
        if self.request.lanes.iter().any(tagged) {
            blocks.push(Block::Paragraph(Phrase::text(words.service_tag_meaning)));
        }
        blocks.extend(self.exempt());
        blocks
    }

    /// Rows with the same need, source and services become one line with all destinations.
    fn openings(&self, rows: &[Row<'_>]) -> Vec<Phrase> {
        let mut groups = grouped(
            rows.iter()
                .map(|row| ((row.lane.need, row.from.clone(), row.services.clone()), row)),
        );
        groups.sort_by_key(|((need, ..), _)| *need);
        groups
            .iter()
            .map(|((need, ..), rows)| self.opening(*need, rows))
            .collect()
    }

    /// Rows that differ in their destinations only.
    fn opening(&self, need: Need, rows: &[&Row<'_>]) -> Phrase {
        let Some(first) = rows.first() else {
            return Phrase::default();
        };
        let places: Vec<&Place<'_>> = distinct(rows.iter().flat_map(|row| &row.to));
        let line = |instead_of: Option<&str>| {
            let chosen = places.iter().filter(|place| place.instead_of == instead_of);
            Phrase::joined(chosen.map(|place| self.target(place.target)), ", ")
        };
        let mut to = vec![line(None)];
        for name in distinct(places.iter().filter_map(|place| place.instead_of)) {
            let gap = [("name", Phrase::code(name))];
            let lead = Phrase::filled(self.words.instead_of, &gap);
            to.push(lead.and_text(" ").and(line(Some(name))));
        }
        let gaps = [
            ("services", self.services_in_line(&first.services)),
            ("from", self.sources(first)),
            ("to", Phrase::joined(to, "; ")),
        ];
        let opening = Phrase::filled(self.words.opening, &gaps);
        self.need(need).and_text(" ").and(opening)
    }

    /// What must be exempt from TLS inspection.
    fn exempt(&self) -> Option<Block> {
        let exempt = |row: &&Row<'_>| {
            let tls = row.lane.tls.as_ref();
            tls.and_then(|tls| tls.inspection) == Some(Inspection::Exempt)
        };
        let rows = self.all_rows().filter(exempt);
        let targets = distinct(rows.flat_map(|row| &row.to).map(|to| to.target));
        if targets.is_empty() {
            return None;
        }
        let targets = Phrase::joined(targets.into_iter().map(|target| self.target(target)), ", ");
        let product = fill(
            self.words.exempt,
            &[("product", &self.manifest().product().name)],
        );
        Some(Block::Notice(Phrase::filled(
            &product,
            &[("destinations", targets)],
        )))
    }
}
