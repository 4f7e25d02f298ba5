//! The tables of connections, one a direction.

use outgate_manifest::Direction;

use super::Context;
use crate::page::model::{Block, Phrase, Piece, Tone, fill};
use crate::page::rows::Row;

impl Context<'_> {
    /// The table of one direction, or that there is nothing to open.
    pub(super) fn table_of(&self, direction: Direction) -> Vec<Block> {
        let words = self.words;
        let (caption, none) = match direction {
            Direction::Outbound => (words.outbound_caption, words.no_outbound),
            Direction::Inbound => (words.inbound_caption, words.no_inbound),
            Direction::Lan => (words.lan_caption, words.no_lan),
        };
        let rows = self.rows_of(direction);
        if rows.is_empty() {
            return vec![Block::Paragraph(Phrase::text(none))];
        }
        let columns = vec![
            words.purpose,
            words.from,
            words.to,
            words.ports,
            words.protocol,
            words.need,
        ];
        self.table(
            caption,
            columns,
            rows.iter().map(|row| self.row(row)).collect(),
        )
    }

    fn row(&self, row: &Row<'_>) -> Vec<Phrase> {
        vec![
            self.why(row.lane).and(self.conditions(row)),
            self.sources(row),
            self.places(&row.to),
            self.services(&row.services),
            Phrase::text(self.protocol(row.lane.protocol)),
            self.need(row.lane.need),
        ]
    }

    /// When the row holds, and how it is used: feature, versions, rung, rate, switch.
    fn conditions(&self, row: &Row<'_>) -> Phrase {
        let (words, lane) = (self.words, row.lane);
        let mut marks = Vec::new();
        let quiet = |text: String| Phrase::mark(Tone::Quiet, text);
        if let Some(feature) = &lane.feature {
            marks.push(Phrase::text(format!("{}: ", words.feature)).and(self.feature(feature)));
        }
        if let Some(versions) = &lane.versions {
            marks.push(quiet(self.versions(versions)));
        }
        if let Some(rung) = &lane.ladder {
            let step = rung.step.to_string();
            marks.push(quiet(fill(words.attempt, &[("step", &step)])));
        }
        if let Some(rate) = &lane.rate {
            marks.push(quiet(self.rate(rate)));
        }
        if lane.switch.is_some() {
            marks.push(quiet(words.switched.to_owned()));
        }
        if marks.is_empty() {
            return Phrase::default();
        }
        Phrase(vec![Piece::Break]).and(Phrase::joined(marks, " "))
    }
}
