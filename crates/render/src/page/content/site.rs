//! What the page is for: the product, and what the site has.

use outgate_manifest::Id;
use outgate_manifest::document::product::{Feature, Reach};

use super::Context;
use crate::page::model::{Block, Phrase, Table, fill};

impl Context<'_> {
    /// The facts at the top.
    pub(super) fn site(&self) -> Vec<Block> {
        let (words, manifest) = (self.words, self.manifest());
        let product = manifest.product();
        let version = match &self.request.selection.version {
            Some(version) => version.to_string(),
            None if product.versions.is_some() => words.newest.to_owned(),
            None => words.all_versions.to_owned(),
        };
        let used = |wanted: bool| {
            let chosen = manifest
                .features()
                .iter()
                .filter(|(id, one)| self.uses(id, one) == wanted);
            Phrase::joined(chosen.map(|(_, feature)| self.prose(&feature.name)), ", ")
        };
        let settings = manifest.settings().iter().filter_map(|(id, setting)| {
            let value = self.value(id)?;
            Some(
                self.prose(&setting.name)
                    .and_text(": ")
                    .and(Phrase::code(value)),
            )
        });
        let facts = [
            (words.product, Phrase::text(product.name.as_str())),
            (words.vendor, Phrase::text(product.vendor.as_str())),
            (words.version_label, Phrase::text(version)),
            (words.features_used, used(true)),
            (words.features_unused, used(false)),
            (words.settings, Phrase::joined(settings, "; ")),
            (words.only_from, self.only_from()),
            (words.chosen, self.chosen()),
        ];
        let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
        let facts = facts.map(|(label, value)| (label.to_owned(), value));
        vec![Block::Facts(facts.collect())]
    }

    fn only_from(&self) -> Phrase {
        let Some(from) = &self.request.selection.from else {
            return Phrase::default();
        };
        let party = self.manifest().parties().find(from);
        party.map_or_else(
            || Phrase::code(from.as_str()),
            |party| self.prose(&party.name),
        )
    }

    /// The choice as it was made on the command line, so that the page can be made again.
    fn chosen(&self) -> Phrase {
        let selection = self.request.selection;
        let mut words = Vec::new();
        words.extend(
            selection
                .version
                .iter()
                .map(|version| format!("--version {version}")),
        );
        words.extend(
            selection
                .with
                .iter()
                .map(|feature| format!("--with {feature}")),
        );
        words.extend(
            selection
                .without
                .iter()
                .map(|feature| format!("--without {feature}")),
        );
        words.extend(
            selection
                .set
                .iter()
                .map(|(setting, value)| format!("--set {setting}={value}")),
        );
        words.extend(selection.from.iter().map(|party| format!("--from {party}")));
        if words.is_empty() {
            return Phrase::text(self.words.chosen_nothing);
        }
        Phrase::joined(words.into_iter().map(Phrase::code), " ")
    }

    fn uses(&self, id: &Id, feature: &Feature) -> bool {
        let selection = self.request.selection;
        selection.with.contains(id.as_str())
            || (feature.default.0 && !selection.without.contains(id.as_str()))
    }

    /// The value that a setting has on this page.
    fn value(&self, id: &Id) -> Option<String> {
        let changed = self.request.selection.set.get(id.as_str()).cloned();
        changed.or_else(|| self.default_of(id))
    }

    fn default_of(&self, id: &Id) -> Option<String> {
        let setting = self.manifest().settings().get(id)?;
        setting
            .default
            .as_ref()
            .map(|default| default.value.0.clone())
    }

    /// Who talks.
    pub(super) fn parties(&self) -> Vec<Block> {
        let words = self.words;
        let talks = |id: &Id| {
            let to =
                |row: &super::Row<'_>| row.to.iter().any(|to| to.target.value() == id.as_str());
            self.all_rows().any(|row| row.from.contains(&id) || to(row))
        };
        let mut rows = Vec::new();
        for (_, party) in self.manifest().parties().iter().filter(|(id, _)| talks(id)) {
            let at = match party.at {
                Reach::Site => words.at_site,
                Reach::Internet => words.at_internet,
            };
            let setting = party.setting.as_ref().map(|setting| &setting.value);
            let address = match setting.map(|setting| (setting, self.value(setting))) {
                Some((_, Some(value))) => Phrase::code(value),
                Some((setting, None)) => Phrase::filled(
                    words.address_by_setting,
                    &[("setting", Phrase::code(setting.as_str()))],
                ),
                None => Phrase::text(words.address_of_site),
            };
            let note = party
                .note
                .as_ref()
                .map_or_else(Phrase::default, |note| self.prose(note));
            rows.push(vec![
                self.prose(&party.name),
                Phrase::text(at),
                address,
                note,
            ]);
        }
        self.table(
            words.parties_caption,
            vec![words.party, words.stands, words.address, words.note],
            rows,
        )
    }

    /// What the site chooses.
    pub(super) fn choices(&self) -> Vec<Block> {
        let words = self.words;
        let manifest = self.manifest();
        let feature = |(id, feature): (&Id, &Feature)| {
            let used = if self.uses(id, feature) {
                words.yes
            } else {
                words.no
            };
            let note = feature
                .note
                .as_ref()
                .map_or_else(Phrase::default, |note| self.prose(note));
            vec![
                self.prose(&feature.name),
                Phrase::code(id.as_str()),
                Phrase::text(used),
                note,
            ]
        };
        let features = manifest.features().iter().map(feature).collect();
        let columns = vec![words.feature, words.identifier, words.in_use, words.note];
        let mut blocks = self.table(words.features_caption, columns, features);
        let settings = manifest.settings().iter().map(|(id, setting)| {
            let shown = |value: Option<String>| match value {
                Some(value) => Phrase::code(value),
                None => Phrase::text(words.not_set),
            };
            let (here, usual) = (shown(self.value(id)), shown(self.default_of(id)));
            vec![
                self.prose(&setting.name),
                Phrase::code(id.as_str()),
                here,
                usual,
            ]
        });
        let columns = vec![
            words.setting,
            words.identifier,
            words.value_here,
            words.value_default,
        ];
        blocks.extend(self.table(words.settings_caption, columns, settings.collect()));
        blocks
    }

    /// The flows that this page leaves out, each with the reason.
    pub(super) fn left_out(&self) -> Vec<Block> {
        let words = self.words;
        let on_page = |id: &Id| self.request.lanes.iter().any(|lane| lane.flow == *id);
        let mut rows = Vec::new();
        for (_, declared) in self
            .manifest()
            .flows()
            .iter()
            .filter(|(id, _)| !on_page(id))
        {
            let flow = &declared.flow;
            let version = self.request.selection.version.as_ref();
            let mut reasons = Vec::new();
            if let Some(feature) = &flow.feature
                && let Some(known) = self.manifest().features().get(&feature.value)
                && !self.uses(&feature.value, known)
            {
                let gap = [("feature", self.feature(&feature.value))];
                reasons.push(Phrase::filled(words.left_out_feature, &gap));
            }
            if let Some(range) = &flow.versions
                && !range.value.contains(version)
            {
                let range = self.versions(&range.value);
                reasons.push(Phrase::text(fill(
                    words.left_out_version,
                    &[("versions", &range)],
                )));
            }
            if reasons.is_empty() {
                reasons.push(Phrase::text(words.left_out_party));
            }
            rows.push(vec![self.prose(&flow.why), Phrase::lines(reasons)]);
        }
        self.table(
            words.left_out_caption,
            vec![words.purpose, words.reason],
            rows,
        )
    }

    /// The document that the manifest says the same as.
    pub(super) fn source(&self) -> Vec<Block> {
        let words = self.words;
        let source = self.manifest().source();
        let mut facts = vec![
            (
                words.document.to_owned(),
                Phrase::text(source.document.as_str()),
            ),
            (
                words.document_language.to_owned(),
                Phrase::text(words.name_of(source.language.as_str())),
            ),
        ];
        if let Some(note) = &source.note {
            facts.push((words.note.to_owned(), self.prose(note)));
        }
        vec![Block::Facts(facts)]
    }

    /// A table, when there are rows.
    pub(super) fn table(
        &self,
        caption: &str,
        columns: Vec<&'static str>,
        rows: Vec<Vec<Phrase>>,
    ) -> Vec<Block> {
        if rows.is_empty() {
            return Vec::new();
        }
        vec![Block::Table(Table {
            caption: caption.to_owned(),
            columns,
            rows,
        })]
    }
}
