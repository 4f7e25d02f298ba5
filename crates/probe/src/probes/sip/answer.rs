//! What an answer to a SIP question says.

use outgate_wire::sip::{
    Carrier, ECHO_SERVER, Head, Question, ReadError, Rewritten, Start, Via, echoed, rewritten,
};

use crate::{
    evidence::{RewrittenLine, SipEvidence, Trouble},
    run::{Run, Stop},
    text::cut,
};

/// Longest text of a peer that is kept, in characters.
const TEXT_MAX: usize = 256;
/// From here on the server is out of order (RFC 3261 §21.5, §21.6).
const SERVER_ERRORS: u16 = 500;

/// A final answer to a question.
pub(super) struct Answer {
    code: u16,
    reason: String,
    head: Head,
    body: Vec<u8>,
}

impl Answer {
    /// Reads a whole message; `None` if it is not the final answer to this question.
    pub(super) fn read(message: &[u8], question: &Question<'_>) -> Result<Option<Self>, Trouble> {
        let malformed = |error: ReadError| Trouble::Malformed {
            what: error.to_string(),
        };
        let cut_off = || Trouble::Malformed {
            what: "a SIP message that ends in its middle".to_owned(),
        };
        let head = Head::read(message)
            .map_err(malformed)?
            .ok_or_else(cut_off)?;
        let Start::Answer { code, reason } = &head.start else {
            return Ok(None);
        };
        let body = &message[head.length..];
        let length = head.content_length().map_err(malformed)?;
        let body = body
            .get(..length.unwrap_or(body.len()))
            .ok_or_else(cut_off)?;
        // A gateway may have rewritten one of the two.
        let call = head.field("Call-ID") == Some(question.call_id().as_str());
        let branch = head.via().and_then(|via| via.branch) == Some(question.branch());
        if *code < 200 || !(call || branch) {
            return Ok(None);
        }
        Ok(Some(Self {
            code: *code,
            reason: reason.clone(),
            body: body.to_vec(),
            head,
        }))
    }
}

/// Whether the answer came from an echo.
pub(super) fn is_echo(answer: &Answer) -> bool {
    answer.head.field("Server") == Some(ECHO_SERVER)
}

/// Notes the answer to OPTIONS, and which of the fields that it repeats are not those that were
/// sent.
pub(super) fn note(run: &mut Run<'_>, question: &Question<'_>, answer: &Answer) {
    let via = answer.head.via();
    let server = ["Server", "User-Agent"];
    let server = server.into_iter().find_map(|name| answer.head.field(name));
    let rewritten = repeated(question, &answer.head, via.as_ref());
    run.attempt.sip = Some(SipEvidence {
        status: answer.code,
        reason: cut(&answer.reason, TEXT_MAX),
        server: server.map(|server| cut(server, TEXT_MAX)),
        local: run.local,
        received: via.as_ref().and_then(|via| via.received),
        received_port: via.as_ref().and_then(|via| via.rport),
        echoed: false,
        // Behind a proxy the Via is made up, and a proxy may mend it.
        rewritten: if run.local.is_some() {
            rewritten
        } else {
            Vec::new()
        },
    });
}

/// Notes what an echo says that it received.
pub(super) fn note_echo(
    run: &mut Run<'_>,
    question: &Question<'_>,
    answer: &Answer,
) -> Result<(), Stop> {
    let arrived = echoed(&answer.head, &answer.body).ok_or_else(|| Trouble::Malformed {
        what: "the SIP echo does not say what it received".to_owned(),
    })?;
    if let Some(evidence) = &mut run.attempt.sip {
        evidence.echoed = true;
        let lines = rewritten(&question.encode(), &arrived);
        // What the echo received says more than what its answers repeat, unless those were
        // rewritten on their way back.
        if !lines.is_empty() {
            evidence.rewritten = lines.into_iter().map(line).collect();
        }
    }
    Ok(())
}

fn line(line: Rewritten) -> RewrittenLine {
    RewrittenLine {
        sent: line.sent.map(|line| cut(&line, TEXT_MAX)),
        arrived: line.arrived.map(|line| cut(&line, TEXT_MAX)),
    }
}

/// The fields that a server repeats as they were (RFC 3261 §8.2.6.2), where they are not.
fn repeated(question: &Question<'_>, head: &Head, via: Option<&Via>) -> Vec<RewrittenLine> {
    let carrier = match question.carrier {
        Carrier::Udp => "UDP",
        Carrier::Tcp => "TCP",
        Carrier::Tls => "TLS",
    };
    let sent_via = (
        carrier.to_owned(),
        question.local.to_string(),
        question.branch(),
    );
    let came_via = via.map(|via| {
        let branch = via.branch.clone().unwrap_or_default();
        (via.carrier.clone(), via.sent_by.clone(), branch)
    });
    let mut lines = Vec::new();
    let mut compare = |name: &str, sent: &str, same: bool| {
        if !same {
            let arrived = head.field(name);
            lines.push(RewrittenLine {
                sent: Some(cut(&format!("{name}: {sent}"), TEXT_MAX)),
                arrived: arrived.map(|arrived| cut(&format!("{name}: {arrived}"), TEXT_MAX)),
            });
        }
    };
    compare("Via", &question.via(), came_via == Some(sent_via));
    for (name, sent) in [
        ("From", question.from()),
        ("Call-ID", question.call_id()),
        ("CSeq", question.sequence()),
    ] {
        compare(
            name,
            &sent,
            head.field(name).is_some_and(|came| same(came, &sent)),
        );
    }
    lines
}

/// Whether two values differ in nothing but white space, which a server may lay out anew.
fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// Any answer shows that a SIP server is there; whether it knows us is another matter.
pub(super) fn judge(run: &Run<'_>) -> Result<(), Stop> {
    let Some(evidence) = &run.attempt.sip else {
        return Ok(());
    };
    if !evidence.rewritten.is_empty() {
        let first = evidence.rewritten.first();
        let what = |line: Option<&String>| line.cloned().unwrap_or_default();
        return Err(Stop::warn(Trouble::SipRewritten {
            lines: u16::try_from(evidence.rewritten.len()).unwrap_or(u16::MAX),
            sent: what(first.and_then(|line| line.sent.as_ref())),
            arrived: what(first.and_then(|line| line.arrived.as_ref())),
        }));
    }
    if evidence.status >= SERVER_ERRORS {
        let status = evidence.status;
        return Err(Stop::warn(Trouble::SipStatus { status }));
    }
    Ok(())
}
