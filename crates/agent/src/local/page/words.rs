//! The words of the pages: one file a language, and one line here. A word that a language lacks does
//! not compile.

mod de;
mod en;
mod nb;
mod sv;

use outgate_check::Language;

/// The words of a language.
pub(super) const fn of(language: Language) -> &'static Words {
    match language {
        Language::De => &de::WORDS,
        Language::En => &en::WORDS,
        Language::Nb => &nb::WORDS,
        Language::Sv => &sv::WORDS,
    }
}

/// Everything that the pages say by themselves. Names in braces are gaps; every language has the
/// same.
#[derive(Debug)]
pub(super) struct Words {
    /// The language's own name.
    pub(super) own_name: &'static str,
    /// Label of the choice of a language.
    pub(super) language: &'static str,
    /// Link.
    pub(super) skip: &'static str,
    /// Title.
    pub(super) diagnostics: &'static str,
    /// Title.
    pub(super) connector: &'static str,
    /// When a page was made; {when}.
    pub(super) as_of: &'static str,
    /// Link.
    pub(super) reload: &'static str,
    /// In place of entries of a list.
    pub(super) none: &'static str,
    /// In place of what is not known.
    pub(super) unknown: &'static str,
    /// Answer.
    pub(super) yes: &'static str,
    /// Answer.
    pub(super) no: &'static str,
    /// Label.
    pub(super) state: &'static str,
    /// Heading.
    pub(super) link: &'static str,
    /// Label.
    pub(super) hub: &'static str,
    /// How the link is.
    pub(super) link_idle: &'static str,
    /// How the link is.
    pub(super) link_connecting: &'static str,
    /// How the link is.
    pub(super) link_connected: &'static str,
    /// How the link is.
    pub(super) link_waiting: &'static str,
    /// How the link is.
    pub(super) link_refused: &'static str,
    /// Label.
    pub(super) since: &'static str,
    /// Label.
    pub(super) heartbeat: &'static str,
    /// A time; {n}.
    pub(super) seconds: &'static str,
    /// Caption.
    pub(super) ladder: &'static str,
    /// Heading of a column.
    pub(super) transport: &'static str,
    /// Heading of a column.
    pub(super) reason: &'static str,
    /// How a transport did.
    pub(super) rung_untried: &'static str,
    /// How a transport did.
    pub(super) rung_in_use: &'static str,
    /// How a transport did.
    pub(super) rung_worked: &'static str,
    /// How a transport did.
    pub(super) rung_failed: &'static str,
    /// Heading.
    pub(super) clock: &'static str,
    /// Label.
    pub(super) clock_now: &'static str,
    /// Label.
    pub(super) clock_trusted: &'static str,
    /// Label.
    pub(super) clock_source: &'static str,
    /// Label.
    pub(super) clock_offset: &'static str,
    /// How wrong it was; {time}.
    pub(super) clock_behind: &'static str,
    /// How wrong it was; {time}.
    pub(super) clock_ahead: &'static str,
    /// Caption.
    pub(super) clock_asked: &'static str,
    /// Heading of a column.
    pub(super) clock_answered: &'static str,
    /// Notice.
    pub(super) clock_doubt: &'static str,
    /// Heading.
    pub(super) queue: &'static str,
    /// Label.
    pub(super) entries: &'static str,
    /// Label.
    pub(super) room: &'static str,
    /// How much room is used; {used}, {limit}.
    pub(super) room_used: &'static str,
    /// Label.
    pub(super) dropped: &'static str,
    /// Caption.
    pub(super) levels: &'static str,
    /// Heading of a column.
    pub(super) priority: &'static str,
    /// How much something matters.
    pub(super) priority_background: &'static str,
    /// How much something matters.
    pub(super) priority_ordinary: &'static str,
    /// How much something matters.
    pub(super) priority_important: &'static str,
    /// Heading of a column.
    pub(super) delivered: &'static str,
    /// Heading.
    pub(super) network: &'static str,
    /// Label.
    pub(super) name_servers: &'static str,
    /// Label.
    pub(super) proxy: &'static str,
    /// Label.
    pub(super) names: &'static str,
    /// Beside them: `{name}` is somebody else's.
    pub(super) name_taken: &'static str,
    /// Label.
    pub(super) pings: &'static str,
    /// There is no bound on them.
    pub(super) pings_unbounded: &'static str,
    /// There is one, `{rate}`.
    pub(super) pings_bounded: &'static str,
    /// There should be one, `{rate}`.
    pub(super) pings_failed: &'static str,
    /// Heading.
    pub(super) neighbours: &'static str,
    /// Label.
    pub(super) there: &'static str,
    /// Label.
    pub(super) coordinator: &'static str,
    /// Label.
    pub(super) roster: &'static str,
    /// Label.
    pub(super) refused: &'static str,
    /// Label.
    pub(super) forked: &'static str,
    /// Heading.
    pub(super) troubles: &'static str,
    /// In place of errors.
    pub(super) no_troubles: &'static str,
    /// Notice.
    pub(super) troubles_english: &'static str,
    /// Heading of a column.
    pub(super) when: &'static str,
    /// Heading of a column.
    pub(super) part: &'static str,
    /// Heading of a column.
    pub(super) what: &'static str,
    /// Heading of a column.
    pub(super) cause: &'static str,
    /// Heading.
    pub(super) versions: &'static str,
    /// Label.
    pub(super) product: &'static str,
    /// Label.
    pub(super) agent: &'static str,
    /// Caption.
    pub(super) places: &'static str,
    /// Heading of a column.
    pub(super) page: &'static str,
    /// Heading of a column.
    pub(super) address: &'static str,
    /// Label.
    pub(super) turned_away: &'static str,
    /// Who came last; {address}.
    pub(super) last_from: &'static str,
    /// Heading.
    pub(super) check: &'static str,
    /// What the check is.
    pub(super) check_lead: &'static str,
    /// Button.
    pub(super) check_run: &'static str,
    /// Link.
    pub(super) check_login: &'static str,
    /// How the check is.
    pub(super) check_never: &'static str,
    /// How the check is; {done}, {of}.
    pub(super) check_running: &'static str,
    /// How the check is; {why}.
    pub(super) check_failed: &'static str,
    /// Label.
    pub(super) check_result: &'static str,
    /// Link.
    pub(super) check_show: &'static str,
    /// Link.
    pub(super) check_report: &'static str,
    /// Caption.
    pub(super) check_causes: &'static str,
    /// In place of causes.
    pub(super) check_no_causes: &'static str,
    /// Heading of a column.
    pub(super) owner: &'static str,
    /// Heading of a column.
    pub(super) act: &'static str,
    /// Label.
    pub(super) started: &'static str,
    /// Link.
    pub(super) back: &'static str,
    /// Heading.
    pub(super) ssh: &'static str,
    /// How the switch is.
    pub(super) ssh_off: &'static str,
    /// How the switch is.
    pub(super) ssh_on: &'static str,
    /// How the switch is.
    pub(super) ssh_ending: &'static str,
    /// Label.
    pub(super) ssh_until: &'static str,
    /// Label.
    pub(super) ssh_by: &'static str,
    /// Label.
    pub(super) ssh_connections: &'static str,
    /// Label.
    pub(super) ssh_users: &'static str,
    /// Label.
    pub(super) ssh_host_key: &'static str,
    /// Label; {n}.
    pub(super) ssh_minutes: &'static str,
    /// Button.
    pub(super) ssh_switch_on: &'static str,
    /// Button.
    pub(super) ssh_switch_off: &'static str,
    /// Link.
    pub(super) ssh_login: &'static str,
    /// Notice; {why}.
    pub(super) ssh_failed: &'static str,
    /// Title and button.
    pub(super) login: &'static str,
    /// Button.
    pub(super) logout: &'static str,
    /// Label.
    pub(super) login_secret: &'static str,
    /// Where a code comes from, before a command.
    pub(super) login_where: &'static str,
    /// Notice.
    pub(super) login_wrong: &'static str,
    /// Notice; {n}.
    pub(super) login_slow: &'static str,
    /// Title.
    pub(super) missing: &'static str,
}

/// A text whose gap is filled.
pub(super) fn filled(text: &str, gap: &str, with: &str) -> String {
    text.replace(&format!("{{{gap}}}"), with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_same_gaps_and_its_own_words() {
        let gaps = |words: &Words| -> Vec<String> {
            let text = format!("{words:?}");
            let fields = text.split("\", ");
            fields
                .map(|field| {
                    let gaps = field.split('{').skip(1);
                    gaps.filter_map(|gap| gap.split_once('}'))
                        .map(|(name, _)| name)
                        .collect()
                })
                .collect()
        };
        let english = gaps(of(Language::En));
        for language in Language::ALL {
            // The debug form's own brace is the first of every one.
            assert_eq!(gaps(of(language)), english, "{language}");
        }
    }
}
