//! The two text formats in which figures are handed to Prometheus: OpenMetrics 1.0, and the older
//! one that everything else reads, `promtool check metrics` included.

/// The media type of OpenMetrics 1.0.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of the older format, for whoever does not ask for OpenMetrics.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Figures in the format that an asker wants: the media type, and the text. `accept` is the value
/// of the field `Accept` (RFC 9110 §12.5.1), empty where there is none; `openmetrics` holds the
/// figures as OpenMetrics, without exemplars.
pub fn answer(accept: &str, openmetrics: String) -> (&'static str, String) {
    if wants_openmetrics(accept) {
        (OPENMETRICS, openmetrics)
    } else {
        (PLAIN, plain(&openmetrics))
    }
}

fn wants_openmetrics(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next() == Some("application/openmetrics-text");
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let refused = weight.is_some_and(|weight| weight.trim_end_matches(['0', '.']).is_empty());
        is_named && !refused
    })
}

/// The same in the older format, in which a counter's family is named as its samples are, there is
/// no `info`, and neither units nor an end are marked.
fn plain(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                known => ("", known),
            };
            if let Some((_, words)) = help.take().filter(|(of, _)| *of == name) {
                text.extend(["# HELP ", name, suffix, " ", words, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        // As Prometheus 2.42 and 3.5 ask, as curl does, and as nobody.
        for (accept, wants) in [
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            ("text/plain; q=1, application/openmetrics-text; q=0.6", true),
            ("application/openmetrics-text;q=0.0, */*", false),
            ("*/*", false),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(wants_openmetrics(accept), wants, "{accept}");
        }
    }

    #[test]
    fn the_older_format_names_families_as_their_samples() {
        let openmetrics = "# HELP a_seconds How long.\n# TYPE a_seconds gauge\n\
            # UNIT a_seconds seconds\na_seconds{b=\"# x\"} 1.5\n# HELP c What.\n# TYPE c counter\n\
            c_total 3\n# HELP build It.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
        let expected = "# HELP a_seconds How long.\n# TYPE a_seconds gauge\n\
            a_seconds{b=\"# x\"} 1.5\n# HELP c_total What.\n# TYPE c_total counter\nc_total 3\n\
            # HELP build_info It.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n";
        assert_eq!(
            answer("", openmetrics.to_owned()),
            (PLAIN, expected.to_owned())
        );
        let same = (OPENMETRICS, openmetrics.to_owned());
        assert_eq!(
            answer("application/openmetrics-text", openmetrics.to_owned()),
            same
        );
    }
}
