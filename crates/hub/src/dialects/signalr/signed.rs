//! Tokens that back ends sign with an access key of their service.

use http::Uri;
use http::header::HOST;
use http::request::Parts;
use outgate_core::identity::{Claim, Identified};
use outgate_core::limits::Attempt;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_wire::jwt::{self, Claims};

pub(super) use outgate_wire::jwt::looks_like as may_be;

/// Makes out whose key has signed a token, and what it says, if it was made for this host and a
/// place there of which `audience` is true.
///
/// # Errors
/// [`Refusal::Unauthenticated`]; [`Refusal::Limited`] when too many logins from there have failed;
/// as [`outgate_core::identity::Identity::authenticate`].
pub(super) async fn verify(
    core: &Core,
    text: &str,
    parts: &Parts,
    facts: &Facts,
    audience: impl Fn(&Uri) -> bool,
) -> Result<(Identified, Claims), Refusal> {
    let attempt = Attempt::new(facts.peer.ip(), None);
    core.failed_logins.check(&attempt)?;
    let token = jwt::read(text).ok_or(Refusal::Unauthenticated)?;
    let claim = Claim::Signature {
        text: token.signed.as_bytes(),
        signature: &token.signature,
    };
    let identified = core.identity.authenticate(claim).await;
    if let Err(Refusal::Unauthenticated) = &identified {
        core.failed_logins.count(&attempt)?;
    }
    let identified = identified?;
    let claims = token.claims(core.clock.now().as_millis() / 1_000);
    let claims = claims.ok_or(Refusal::Unauthenticated)?;
    let host = host(parts).ok_or(Refusal::Unauthenticated)?;
    let ours = |said: &str| {
        said.parse().is_ok_and(|uri: Uri| {
            let its = uri.authority().map(|its| its.as_str());
            its.is_some_and(|its| same_host(its, host)) && audience(&uri)
        })
    };
    if !claims.audiences().any(ours) {
        tracing::debug!("a token was made for another place than where it is shown");
        return Err(Refusal::Unauthenticated);
    }
    Ok((identified, claims))
}

/// Whether two paths are the same but for a slash at the end.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn host(parts: &Parts) -> Option<&str> {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(|its| its.as_str()).or(named)
}

/// Whether two hosts with their ports are the same; a port that is usual need not be said.
fn same_host(one: &str, other: &str) -> bool {
    let plain = |host: &str| {
        let host = host.to_ascii_lowercase();
        let usual = [":443", ":80"]
            .iter()
            .find_map(|port| host.strip_suffix(port));
        usual.map_or_else(|| host.clone(), str::to_owned)
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_same_with_its_usual_port_and_in_whatever_letters() {
        assert!(same_host("Hub.example:443", "hub.example"));
        assert!(same_host("[::1]:8443", "[::1]:8443"));
        assert!(!same_host("hub.example:8443", "hub.example"));
        assert!(!same_host("me@hub.example", "hub.example"));
        assert!(same("/client/", "/client") && !same("/client", "/clients"));
    }
}
