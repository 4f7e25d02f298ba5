//! Where one message ends on a connection and the next begins.

use super::{BODY_MAX, Head};

/// What came is not SIP, or more than is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not SIP, or more of it than is read")]
pub struct NotSip;

/// Where the first message of what was heard on a connection ends (RFC 3261 §18.3), if all of it is
/// there. A message without a length has no body.
pub fn message_end(heard: &[u8]) -> Result<Option<usize>, NotSip> {
    let Some(head) = Head::read(heard).map_err(|_| NotSip)? else {
        return Ok(None);
    };
    let body = head.content_length().map_err(|_| NotSip)?.unwrap_or(0);
    if body > BODY_MAX {
        return Err(NotSip);
    }
    let end = head.length + body;
    Ok((heard.len() >= end).then_some(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\n";

    #[test]
    fn a_message_ends_with_its_body_and_not_before_it_is_there() {
        for (body, expected) in [
            ("", None),
            ("ab", None),
            ("abc", Some(3)),
            ("abcOPT", Some(3)),
        ] {
            let heard = format!("{OPTIONS}{body}");
            let expected = expected.map(|length| OPTIONS.len() + length);
            assert_eq!(message_end(heard.as_bytes()), Ok(expected), "{body}");
        }
    }

    #[test]
    fn a_body_beyond_the_bound_is_not_waited_for() {
        let heard = OPTIONS.replace("3\r", &format!("{}\r", BODY_MAX + 1));
        assert_eq!(message_end(heard.as_bytes()), Err(NotSip));
    }
}
