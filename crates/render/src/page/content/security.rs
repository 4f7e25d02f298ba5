//! TLS, its inspection, and proxies.

use outgate_manifest::document::flow::{Inspection, Tls, TrustKind};
use outgate_manifest::{Direction, Protocol, Transport};

use super::Context;
use crate::page::model::{Block, Phrase, fill};
use crate::page::rows::{Place, Row, Service, distinct, grouped};

impl Context<'_> {
    /// What TLS must be like; rows that demand the same stand together.
    pub(super) fn tls(&self) -> Vec<Block> {
        let words = self.words;
        let secured = self
            .all_rows()
            .filter(|row| row.lane.tls.is_some() || row.lane.protocol.is_tls());
        let groups = grouped(secured.map(|row| (row.lane.tls.clone(), row)));
        if groups.is_empty() {
            return Vec::new();
        }
        let row = |(tls, rows): &(Option<Tls>, Vec<&Row<'_>>)| {
            let tls = tls.as_ref();
            vec![
                Phrase::lines(self.ends(rows)),
                Phrase::text(
                    tls.and_then(|tls| tls.min)
                        .map_or(words.not_stated.to_owned(), |min| {
                            format!("TLS {}", min.as_str())
                        }),
                ),
                self.trust(tls),
                Phrase::text(match tls.and_then(|tls| tls.inspection) {
                    Some(Inspection::Exempt) => words.inspection_exempt,
                    Some(Inspection::Tolerated) => words.inspection_tolerated,
                    None => words.not_stated,
                }),
            ]
        };
        let columns = vec![
            words.destinations,
            words.oldest_tls,
            words.trust,
            words.inspection,
        ];
        let inspected = |tls: &Option<Tls>| tls.as_ref().and_then(|tls| tls.inspection);
        let exempt = groups
            .iter()
            .any(|(tls, _)| inspected(tls) == Some(Inspection::Exempt));
        let lead = if exempt {
            words.tls_lead
        } else {
            words.tls_none_exempt
        };
        let mut blocks = vec![Block::Paragraph(Phrase::text(lead))];
        blocks.extend(self.table(words.tls_caption, columns, groups.iter().map(row).collect()));
        blocks
    }

    fn trust(&self, tls: Option<&Tls>) -> Phrase {
        let words = self.words;
        let mut lines = vec![Phrase::text(match tls.and_then(|tls| tls.trust) {
            Some(TrustKind::Public) => words.trust_public,
            Some(TrustKind::Vendor) => words.trust_vendor,
            Some(TrustKind::Pinned) => words.trust_pinned,
            None => words.not_stated,
        })];
        let Some(tls) = tls else {
            return Phrase::lines(lines);
        };
        if tls.mutual {
            lines.push(Phrase::text(words.mutual));
        }
        for pin in &tls.pins {
            let hex: String = pin.0.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push(Phrase::text("SHA-256 ").and(Phrase::code(hex)));
        }
        Phrase::lines(lines)
    }

    /// Services, each with all its destinations.
    fn ends(&self, rows: &[&Row<'_>]) -> Vec<Phrase> {
        let groups = grouped(rows.iter().map(|row| (row.services.clone(), &row.to)));
        let line = |(services, places): &(Vec<Service>, Vec<&Vec<Place<'_>>>)| {
            let targets = distinct(places.iter().flat_map(|all| all.iter()).map(|to| to.target));
            let targets = Phrase::joined(targets.into_iter().map(|one| self.target(one)), ", ");
            self.services_in_line(services).and_text(": ").and(targets)
        };
        groups.iter().map(line).collect()
    }

    /// What a proxy between the product and the internet has to let through.
    pub(super) fn proxies(&self) -> Vec<Block> {
        let words = self.words;
        let rows = self.rows_of(Direction::Outbound);
        let ends = |wanted: &dyn Fn(Protocol) -> bool| {
            let chosen = rows.iter().filter(|row| wanted(row.lane.protocol));
            self.ends(&chosen.collect::<Vec<_>>())
        };
        let product = self.manifest().product().name.as_str();
        let parts = [
            (words.proxy_web, ends(&is_web)),
            (words.proxy_websocket, ends(&is_websocket)),
            (words.proxy_direct, ends(&|protocol| !is_web(protocol))),
        ];
        let mut blocks = Vec::new();
        for (lead, ends) in parts.into_iter().filter(|(_, ends)| !ends.is_empty()) {
            blocks.push(Block::Paragraph(Phrase::text(fill(
                lead,
                &[("product", product)],
            ))));
            blocks.push(Block::List(ends));
        }
        if blocks.is_empty() {
            return Vec::new();
        }
        blocks.push(Block::Paragraph(Phrase::text(fill(
            words.proxy_open,
            &[("product", product)],
        ))));
        blocks
    }
}

fn is_websocket(protocol: Protocol) -> bool {
    matches!(protocol.as_str(), "ws" | "wss" | "mqtt-wss" | "signalr")
}

/// Whether a web proxy carries it: HTTP itself, and TLS by CONNECT (RFC 9110, section 9.3.6).
fn is_web(protocol: Protocol) -> bool {
    let http = matches!(
        protocol.as_str(),
        "http" | "https" | "long-polling" | "server-sent-events" | "tls"
    );
    (http || is_websocket(protocol)) && protocol.transports().contains(&Transport::Tcp)
}
