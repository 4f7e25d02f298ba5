//! The page's own words: one file a language, and one line here. A word that a language lacks does
//! not compile.

mod de;
mod en;
mod nb;
mod sv;

/// All languages, in alphabetical order of their tags.
pub(super) const ALL: &[&Words] = &[&de::WORDS, &en::WORDS, &nb::WORDS, &sv::WORDS];

/// The words of that language.
pub(super) fn find(language: &str) -> Option<&'static Words> {
    ALL.iter().copied().find(|words| words.language == language)
}

/// Everything that pages say by themselves. Names in braces are gaps; every language has the same.
#[derive(Debug)]
pub(super) struct Words {
    /// The language's tag.
    pub(super) language: &'static str,
    /// The page's title; {product}.
    pub(super) title: &'static str,
    /// The first sentence; {product}.
    pub(super) lead: &'static str,
    /// Heading of the list of sections.
    pub(super) contents: &'static str,
    /// The last line.
    pub(super) footer: &'static str,
    /// Label.
    pub(super) product: &'static str,
    /// Label.
    pub(super) vendor: &'static str,
    /// Label.
    pub(super) version_label: &'static str,
    /// The word before a version in running text.
    pub(super) version: &'static str,
    /// In place of a version.
    pub(super) newest: &'static str,
    /// In place of a version, where the document names none.
    pub(super) all_versions: &'static str,
    /// Label.
    pub(super) features_used: &'static str,
    /// Label.
    pub(super) features_unused: &'static str,
    /// Label.
    pub(super) settings: &'static str,
    /// Label: the page is about one party alone.
    pub(super) only_from: &'static str,
    /// Label: the choice that the page was made for.
    pub(super) chosen: &'static str,
    /// When nothing was chosen.
    pub(super) chosen_nothing: &'static str,
    /// Heading.
    pub(super) summary: &'static str,
    /// First sentence of the summary.
    pub(super) summary_lead: &'static str,
    /// What the marks of need mean.
    pub(super) need_meaning: &'static str,
    /// What a service tag is.
    pub(super) service_tag_meaning: &'static str,
    /// One line of the summary; {services}, {from}, {to}.
    pub(super) opening: &'static str,
    /// Notice; {product}, {destinations}.
    pub(super) exempt: &'static str,
    /// Heading.
    pub(super) outbound: &'static str,
    /// Heading.
    pub(super) inbound: &'static str,
    /// Heading.
    pub(super) lan: &'static str,
    /// In place of a table.
    pub(super) no_outbound: &'static str,
    /// In place of a table.
    pub(super) no_inbound: &'static str,
    /// In place of a table.
    pub(super) no_lan: &'static str,
    /// Caption.
    pub(super) outbound_caption: &'static str,
    /// Caption.
    pub(super) inbound_caption: &'static str,
    /// Caption.
    pub(super) lan_caption: &'static str,
    /// Heading of a column.
    pub(super) purpose: &'static str,
    /// Heading of a column.
    pub(super) from: &'static str,
    /// Heading of a column.
    pub(super) to: &'static str,
    /// Heading of a column.
    pub(super) ports: &'static str,
    /// Heading of a column.
    pub(super) protocol: &'static str,
    /// Heading of a column.
    pub(super) need: &'static str,
    /// How badly it is needed.
    pub(super) need_required: &'static str,
    /// How badly it is needed.
    pub(super) need_optional: &'static str,
    /// How badly it is needed.
    pub(super) need_diagnostic: &'static str,
    /// Label, and heading of a column.
    pub(super) feature: &'static str,
    /// Mark of a rung of a ladder; {step}.
    pub(super) attempt: &'static str,
    /// Mark of what people switch on or off.
    pub(super) switched: &'static str,
    /// After a wildcard, with the space before it.
    pub(super) wildcard: &'static str,
    /// After a multicast group, with the space before it.
    pub(super) multicast: &'static str,
    /// After a service tag, with the space before it.
    pub(super) service_tag: &'static str,
    /// A destination.
    pub(super) dhcp_ntp_servers: &'static str,
    /// A destination.
    pub(super) dhcp_dns_servers: &'static str,
    /// Before destinations that stand in for a name; {name}.
    pub(super) instead_of: &'static str,
    /// In place of ports.
    pub(super) icmp_echo: &'static str,
    /// In place of ports.
    pub(super) any_port: &'static str,
    /// In place of a protocol.
    pub(super) protocol_open: &'static str,
    /// In place of a fact.
    pub(super) not_stated: &'static str,
    /// Heading.
    pub(super) tls: &'static str,
    /// First sentence of the section.
    pub(super) tls_lead: &'static str,
    /// First sentence of the section, when nothing must be exempt.
    pub(super) tls_none_exempt: &'static str,
    /// Caption.
    pub(super) tls_caption: &'static str,
    /// Heading of a column.
    pub(super) destinations: &'static str,
    /// Heading of a column.
    pub(super) oldest_tls: &'static str,
    /// Heading of a column.
    pub(super) trust: &'static str,
    /// Heading of a column.
    pub(super) inspection: &'static str,
    /// Who vouches for a certificate.
    pub(super) trust_public: &'static str,
    /// Who vouches for a certificate.
    pub(super) trust_vendor: &'static str,
    /// Who vouches for a certificate.
    pub(super) trust_pinned: &'static str,
    /// The client shows a certificate too.
    pub(super) mutual: &'static str,
    /// What inspection does.
    pub(super) inspection_exempt: &'static str,
    /// What inspection does.
    pub(super) inspection_tolerated: &'static str,
    /// Heading.
    pub(super) proxies: &'static str,
    /// Before a list; {product}.
    pub(super) proxy_web: &'static str,
    /// Before a list; {product}.
    pub(super) proxy_websocket: &'static str,
    /// Before a list; {product}.
    pub(super) proxy_direct: &'static str,
    /// Last sentence of the section; {product}.
    pub(super) proxy_open: &'static str,
    /// Heading.
    pub(super) blocked: &'static str,
    /// Caption.
    pub(super) blocked_caption: &'static str,
    /// Heading of a column.
    pub(super) lost: &'static str,
    /// Heading of a column.
    pub(super) needs_first: &'static str,
    /// When only the need is known; {product}.
    pub(super) lost_required: &'static str,
    /// Heading.
    pub(super) fallbacks: &'static str,
    /// First sentence of the section.
    pub(super) fallbacks_lead: &'static str,
    /// Heading.
    pub(super) details: &'static str,
    /// Label, and heading of a column.
    pub(super) identifier: &'static str,
    /// Label, and heading of a column.
    pub(super) note: &'static str,
    /// Label.
    pub(super) rate: &'static str,
    /// A rate; {times}.
    pub(super) rate_second: &'static str,
    /// A rate; {times}.
    pub(super) rate_minute: &'static str,
    /// A rate; {times}.
    pub(super) rate_hour: &'static str,
    /// Label.
    pub(super) switch: &'static str,
    /// State of a switch, as a sentence.
    pub(super) switch_on: &'static str,
    /// State of a switch, as a sentence.
    pub(super) switch_off: &'static str,
    /// Label.
    pub(super) signed: &'static str,
    /// What a signature assures.
    pub(super) signed_integrity: &'static str,
    /// What a signature assures.
    pub(super) signed_authenticity: &'static str,
    /// Label.
    pub(super) credentials: &'static str,
    /// A kind of credential.
    pub(super) shared_key: &'static str,
    /// A kind of credential.
    pub(super) shared_access_signature: &'static str,
    /// A kind of credential.
    pub(super) jwt: &'static str,
    /// A kind of credential.
    pub(super) client_certificate: &'static str,
    /// A kind of credential.
    pub(super) sigv4: &'static str,
    /// What has one of its own.
    pub(super) scope_fleet: &'static str,
    /// What has one of its own.
    pub(super) scope_device: &'static str,
    /// What has one of its own.
    pub(super) scope_file: &'static str,
    /// What has one of its own.
    pub(super) scope_user: &'static str,
    /// How long it is valid; {days}.
    pub(super) valid_days: &'static str,
    /// It can be withdrawn at once.
    pub(super) revocable: &'static str,
    /// Label.
    pub(super) sample: &'static str,
    /// Label.
    pub(super) provenance: &'static str,
    /// Where a flow comes from; {product}, {document}.
    pub(super) provenance_of: &'static str,
    /// Heading.
    pub(super) parties: &'static str,
    /// Caption.
    pub(super) parties_caption: &'static str,
    /// Heading of a column.
    pub(super) party: &'static str,
    /// Heading of a column.
    pub(super) stands: &'static str,
    /// Heading of a column.
    pub(super) address: &'static str,
    /// Where a party is.
    pub(super) at_site: &'static str,
    /// Where a party is.
    pub(super) at_internet: &'static str,
    /// In place of an address.
    pub(super) address_of_site: &'static str,
    /// In place of an address; {setting}.
    pub(super) address_by_setting: &'static str,
    /// Heading.
    pub(super) choices: &'static str,
    /// Caption.
    pub(super) features_caption: &'static str,
    /// Caption.
    pub(super) settings_caption: &'static str,
    /// Heading of a column.
    pub(super) in_use: &'static str,
    /// In a table.
    pub(super) yes: &'static str,
    /// In a table.
    pub(super) no: &'static str,
    /// Heading of a column.
    pub(super) setting: &'static str,
    /// Heading of a column.
    pub(super) value_here: &'static str,
    /// Heading of a column.
    pub(super) value_default: &'static str,
    /// In place of a value.
    pub(super) not_set: &'static str,
    /// Heading.
    pub(super) left_out: &'static str,
    /// Caption.
    pub(super) left_out_caption: &'static str,
    /// Heading of a column.
    pub(super) reason: &'static str,
    /// A reason; {feature}.
    pub(super) left_out_feature: &'static str,
    /// A reason; {versions}.
    pub(super) left_out_version: &'static str,
    /// A reason.
    pub(super) left_out_party: &'static str,
    /// Heading.
    pub(super) source: &'static str,
    /// Label.
    pub(super) document: &'static str,
    /// Label.
    pub(super) document_language: &'static str,
    /// Name of a language.
    pub(super) german: &'static str,
    /// Name of a language.
    pub(super) english: &'static str,
    /// Name of a language.
    pub(super) norwegian: &'static str,
    /// Name of a language.
    pub(super) swedish: &'static str,
}

impl Words {
    /// What a language is called in this one; its tag, where there is no name for it.
    pub(super) fn name_of<'a>(&self, language: &'a str) -> &'a str
    where
        Self: 'a,
    {
        match language {
            "de" => self.german,
            "en" => self.english,
            "nb" | "no" => self.norwegian,
            "sv" => self.swedish,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gaps of a sentence.
    fn gaps(sentence: &str) -> Vec<&str> {
        let mut gaps: Vec<&str> = sentence
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
            .collect();
        gaps.sort_unstable();
        gaps
    }

    #[test]
    fn every_language_has_the_same_gaps_and_no_empty_word() {
        for words in ALL {
            let (shown, english) = (all(words), all(&en::WORDS));
            for ((field, word), (_, model)) in shown.iter().zip(&english) {
                assert!(!word.trim().is_empty(), "{} {field}", words.language);
                assert_eq!(gaps(word), gaps(model), "{} {field}", words.language);
            }
        }
    }

    /// Fields and their words, as the derived `Debug` shows them.
    fn all(words: &Words) -> Vec<(String, String)> {
        let shown = format!("{words:#?}");
        let fields = shown
            .lines()
            .filter_map(|line| line.trim().split_once(": "));
        fields
            .map(|(field, word)| (field.to_owned(), word.trim_matches([',', '"']).to_owned()))
            .collect()
    }
}
