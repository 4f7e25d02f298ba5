//! What there is to say about single flows: what is lost, what is tried instead, what is odd.

use outgate_manifest::document::flow::{
    Assurance, Credential, CredentialKind, CredentialScope, Flow, Period, Rate, SwitchState,
};
use outgate_manifest::document::product::Need;
use outgate_manifest::{Id, Lane};

use super::Context;
use super::shown::bounds;
use crate::page::model::{Block, Phrase, fill};
use crate::page::rows::{Row, distinct, grouped};

impl Context<'_> {
    /// What no longer works when something is blocked, and what must work before it.
    pub(super) fn blocked(&self) -> Vec<Block> {
        let words = self.words;
        let product = self.manifest().product().name.as_str();
        let mut rows = Vec::new();
        for lane in self.flows() {
            let lost = match lane.need {
                _ if !lane.blocked.is_empty() => self.prose(&lane.blocked),
                Need::Required => Phrase::text(fill(words.lost_required, &[("product", product)])),
                Need::Optional | Need::Diagnostic => Phrase::text(words.not_stated),
            };
            let first = Phrase::lines(lane.after.iter().map(|flow| self.purpose(flow)));
            rows.push(vec![
                self.purpose(&lane.flow),
                self.need(lane.need),
                lost,
                first,
            ]);
        }
        let columns = vec![words.purpose, words.need, words.lost, words.needs_first];
        self.table(words.blocked_caption, columns, rows)
    }

    /// What is tried one after the other.
    pub(super) fn fallbacks(&self) -> Vec<Block> {
        let rung = |row: &&Row<'_>| row.lane.ladder.as_ref().map(|rung| rung.of.clone());
        let rows = self.all_rows().filter_map(|row| Some((rung(&row)?, row)));
        let ladders = grouped(rows);
        if ladders.is_empty() {
            return Vec::new();
        }
        let mut blocks = vec![Block::Paragraph(Phrase::text(self.words.fallbacks_lead))];
        for (flow, mut rows) in ladders {
            blocks.push(Block::Heading(self.purpose(&flow)));
            rows.sort_by_key(|row| row.lane.ladder.as_ref().map(|rung| rung.step));
            let steps = grouped(
                rows.into_iter()
                    .map(|row| (row.lane.ladder.as_ref().map(|rung| rung.step), row)),
            );
            let step = |(_, rows): (Option<usize>, Vec<&Row<'_>>)| {
                Phrase::lines(distinct(rows.into_iter().map(|row| self.attempt(row))))
            };
            blocks.push(Block::Steps(steps.into_iter().map(step).collect()));
        }
        blocks
    }

    fn attempt(&self, row: &Row<'_>) -> Phrase {
        let to = Phrase::joined(row.to.iter().map(|to| self.target(to.target)), ", ");
        let protocol = Phrase::text(format!("{}, ", self.protocol(row.lane.protocol)));
        let line = protocol
            .and(self.services_in_line(&row.services))
            .and_text(" – ")
            .and(to);
        if row.lane.why == self.first_why(&row.lane.flow) {
            return line;
        }
        line.and_text(" – ").and(self.why(row.lane))
    }

    fn first_why(&self, flow: &Id) -> outgate_manifest::Text {
        let declared = self.manifest().flow(flow);
        declared
            .map(|declared| declared.flow.why.clone())
            .unwrap_or_default()
    }

    /// Notes and particulars, flow by flow, where there are any.
    pub(super) fn details(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for lane in self.flows() {
            let facts = self.facts(lane);
            if facts.is_empty() {
                continue;
            }
            let mut facts: Vec<(String, Phrase)> = facts
                .into_iter()
                .map(|(label, value)| (label.to_owned(), value))
                .collect();
            let id = Phrase::code(lane.flow.as_str());
            facts.push((self.words.identifier.to_owned(), id));
            blocks.push(Block::Heading(self.purpose(&lane.flow)));
            blocks.push(Block::Facts(facts));
        }
        blocks
    }

    fn facts(&self, lane: &Lane) -> Vec<(&'static str, Phrase)> {
        let words = self.words;
        let mut facts = Vec::new();
        if let Some(versions) = &lane.versions {
            facts.push((words.version_label, Phrase::text(bounds(versions))));
        }
        if let Some(rate) = &lane.rate {
            facts.push((words.rate, Phrase::text(self.rate(rate))));
        }
        if let Some(switch) = &lane.switch {
            let state = match switch.initially {
                SwitchState::On => words.switch_on,
                SwitchState::Off => words.switch_off,
            };
            let how = Phrase::text(format!("{state} ")).and(self.prose(&switch.how));
            facts.push((words.switch, how));
        }
        if let Some(declared) = self.manifest().flow(&lane.flow) {
            facts.extend(self.assurances(&declared.flow));
        }
        if !lane.credentials.is_empty() {
            let all = lane.credentials.iter().map(|one| self.credential(one));
            facts.push((words.credentials, Phrase::lines(all)));
        }
        let lanes = self
            .request
            .lanes
            .iter()
            .filter(|other| other.flow == lane.flow);
        let samples = distinct(lanes.flat_map(|lane| &lane.sample));
        if !samples.is_empty() {
            let samples = samples.into_iter().map(|name| Phrase::code(name.as_str()));
            facts.push((words.sample, Phrase::joined(samples, ", ")));
        }
        if let Some(from) = &lane.provenance {
            let gaps = [
                ("product", Phrase::code(from.product.as_str())),
                ("document", Phrase::text(from.document.as_str())),
            ];
            facts.push((words.provenance, Phrase::filled(words.provenance_of, &gaps)));
        }
        if !lane.note.is_empty() {
            facts.push((words.note, self.prose(&lane.note)));
        }
        facts
    }

    fn assurances(&self, flow: &Flow) -> Option<(&'static str, Phrase)> {
        let words = self.words;
        let word = |one: &Assurance| match one {
            Assurance::Integrity => words.signed_integrity,
            Assurance::Authenticity => words.signed_authenticity,
        };
        let all: Vec<&str> = flow.signed.iter().map(word).collect();
        (!all.is_empty()).then(|| (words.signed, Phrase::text(all.join(", "))))
    }

    fn credential(&self, credential: &Credential) -> Phrase {
        let words = self.words;
        let mut parts = vec![
            match credential.kind {
                CredentialKind::SharedKey => words.shared_key,
                CredentialKind::SharedAccessSignature => words.shared_access_signature,
                CredentialKind::Jwt => words.jwt,
                CredentialKind::ClientCertificate => words.client_certificate,
                CredentialKind::Sigv4 => words.sigv4,
            }
            .to_owned(),
        ];
        let scope = credential.scope.map(|scope| match scope {
            CredentialScope::Fleet => words.scope_fleet,
            CredentialScope::Device => words.scope_device,
            CredentialScope::File => words.scope_file,
            CredentialScope::User => words.scope_user,
        });
        parts.extend(scope.map(str::to_owned));
        if let Some(days) = credential.days {
            parts.push(fill(words.valid_days, &[("days", &days.0.to_string())]));
        }
        if credential.revocable {
            parts.push(words.revocable.to_owned());
        }
        let phrase = Phrase::text(parts.join(", "));
        match &credential.note {
            Some(note) => phrase.and_text("; ").and(self.prose(note)),
            None => phrase,
        }
    }

    /// How often something may be used.
    pub(super) fn rate(&self, rate: &Rate) -> String {
        let words = self.words;
        let sentence = match rate.per {
            Period::Second => words.rate_second,
            Period::Minute => words.rate_minute,
            Period::Hour => words.rate_hour,
        };
        fill(sentence, &[("times", &rate.at_most.0.to_string())])
    }
}
