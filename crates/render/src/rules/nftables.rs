//! nftables 1.0 and newer: one table of the product's own, loaded in one step.
//!
//! The table has a chain at the forward hook. What is established goes on; what the manifest
//! declares is counted and accepted, a rule a lane and address family, each with the comment
//! `flow:ID`, so that `nft list` shows which flows were used; the rest is refused. Lanes that look
//! the same to a firewall share their rule and its comment: `flow:ONE flow:OTHER`. When the
//! addresses of the party `device` are known, only what comes from the product or goes to it is
//! judged, and all other traffic is left to the machine's other tables.

mod ends;
mod limits;
mod plan;
mod scope;
mod sets;
mod text;

use std::fmt::Write as _;

use self::plan::{Form, Plan};
use self::scope::Scope;
use self::sets::LINE;
use self::text::plain;
use crate::rules::{Entry, Expression, Rules, RulesRequest, Target, WHOLE_FILE};

/// The target `nftables`.
#[derive(Debug)]
pub(super) struct Nftables;

impl Target for Nftables {
    fn id(&self) -> &'static str {
        "nftables"
    }

    fn describe(&self) -> &'static str {
        "nftables 1.0 and newer: a file for `nft -f`, on a router or firewall of Linux"
    }

    fn render(&self, request: &RulesRequest<'_>) -> Rules {
        // An id has lower-case letters, digits and hyphens only.
        let product = request.manifest.product().id.as_str();
        let table = format!("outgate_{}", product.replace('-', "_"));
        let plan = plan::plan(request, Form::Table(&table));
        let mut text = String::new();
        head(request, &plan, &mut text);
        body(&plan, &table, &mut text);
        Rules {
            text,
            ledger: plan.ledger,
            unused: request.unused(),
        }
    }

    fn excerpt(&self, request: &RulesRequest<'_>) -> Rules {
        let plan = plan::plan(request, Form::Excerpt);
        let mut text = String::new();
        if !plan.rules.is_empty() {
            for line in EXCERPT {
                comment(line, &mut text);
            }
        }
        for accepted in &plan.rules {
            for lane in &accepted.lanes {
                comment(lane, &mut text);
            }
            for rule in accepted.rules() {
                // Writing to a `String` cannot fail.
                let _ = writeln!(text, "insert rule inet filter forward {rule}");
            }
        }
        Rules {
            text,
            ledger: plan.ledger,
            unused: request.unused(),
        }
    }
}

/// How an excerpt is used.
const EXCERPT: [&str; 3] = [
    "For `nft -f FILE`. Name the table and chain that your firewall forwards with, in place of",
    "`inet filter forward`, which are Debian's. The rules go in before what refuses; replies need",
    "`ct state established,related accept` there.",
];

/// How the lines for dnsmasq are used.
const DNSMASQ: [&str; 5] = [
    "dnsmasq 2.87 or newer fills the empty sets as names are looked up. A line takes in its",
    "domain and all names below it, but for those that a line with a longer domain takes in.",
    "Of two lines for one domain dnsmasq heeds one: join those of several files.",
    "It cuts lines off at 1024 bytes. Restart it after loading the rules, for loading them",
    "empties the sets:",
];

fn head(request: &RulesRequest<'_>, plan: &Plan, out: &mut String) {
    let product = request.manifest.product();
    comment(
        &format!(
            "Network rules for {}, version {}",
            product.name,
            request.version()
        ),
        out,
    );
    comment(
        "Made by `outgate rules`. Load it with `nft -f FILE`, as often as you like.",
        out,
    );
    for line in plan.scope.says() {
        comment(line, out);
    }
    comment("A packet that another table drops stays dropped.", out);
    gaps(&plan.ledger, out);
    if !plan.lines.is_empty() {
        comment("", out);
        for line in DNSMASQ {
            comment(line, out);
        }
        for line in &plan.lines {
            comment(&format!("  {}", line.text()), out);
        }
    }
    out.push('\n');
}

/// What is not exact, lanes with the same reason together.
fn gaps(ledger: &[Entry], out: &mut String) {
    let mut groups: Vec<(&Entry, Vec<&Entry>)> = Vec::new();
    for entry in ledger
        .iter()
        .filter(|entry| entry.expression != Expression::Exact)
    {
        let same = |other: &Entry| {
            (other.expression, &other.reason, &other.workaround)
                == (entry.expression, &entry.reason, &entry.workaround)
        };
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, group)) => group.push(entry),
            None => groups.push((entry, vec![entry])),
        }
    }
    if groups.is_empty() {
        return;
    }
    comment("", out);
    comment("What is not said exactly:", out);
    for (first, group) in groups {
        let reason = first.reason.as_deref().unwrap_or_default();
        comment(&format!("  {}: {reason}", first.expression.as_str()), out);
        if let Some(workaround) = &first.workaround {
            // The lines for dnsmasq follow all together.
            let short = match workaround.split_once(LINE) {
                Some((before, line)) => match line.split_once(' ') {
                    Some((_, behind)) => format!("{before} {behind}"),
                    None => before.to_owned(),
                },
                None => workaround.clone(),
            };
            comment(&format!("    instead: {short}"), out);
        }
        for entry in group {
            if entry.flow == WHOLE_FILE {
                comment(&format!("    - {}", entry.lane), out);
            } else {
                comment(&format!("    - {}: {}", entry.flow, entry.lane), out);
            }
        }
    }
}

fn comment(text: &str, out: &mut String) {
    out.push_str("# ");
    out.push_str(&plain(text));
    out.truncate(out.trim_end().len());
    out.push('\n');
}

fn body(plan: &Plan, table: &str, out: &mut String) {
    // The first line makes sure that there is a table to delete; all of it is one transaction.
    let _ = writeln!(
        out,
        "table inet {table}\ndelete table inet {table}\ntable inet {table} {{"
    );
    for limit in &plan.limits {
        let _ = writeln!(out, "\t{limit}\n");
    }
    plan.sets.write(out);
    forward(plan, out);
    out.push_str("\tchain judged {\n");
    for accepted in &plan.rules {
        for lane in &accepted.lanes {
            let _ = writeln!(out, "\t\t# {lane}");
        }
        for rule in accepted.rules() {
            let _ = writeln!(out, "\t\t{rule}");
        }
    }
    out.push_str("\t\tcounter reject with icmpx admin-prohibited comment \"outgate:undeclared\"\n");
    out.push_str("\t}\n}\n");
}

fn forward(plan: &Plan, out: &mut String) {
    let policy = match plan.scope {
        Scope::Everything => "drop",
        Scope::Parties(_) => "accept",
    };
    out.push_str("\tchain forward {\n");
    let _ = writeln!(
        out,
        "\t\ttype filter hook forward priority filter; policy {policy};"
    );
    for flood in &plan.floods {
        let _ = writeln!(out, "\t\t{flood}");
    }
    out.push_str("\t\tct state established,related accept\n");
    match &plan.scope {
        Scope::Everything => out.push_str("\t\tjump judged\n"),
        Scope::Parties(judged) => {
            for party in judged {
                let operands = &party.operands;
                for (ip, operand) in [("ip", &operands.v4), ("ip6", &operands.v6)] {
                    if let Some(operand) = operand {
                        let _ = writeln!(out, "\t\t{ip} saddr {operand} jump judged");
                        let _ = writeln!(out, "\t\t{ip} daddr {operand} jump judged");
                    }
                }
            }
        }
    }
    out.push_str("\t}\n\n");
}
