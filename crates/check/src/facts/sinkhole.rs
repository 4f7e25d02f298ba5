//! Names that a filter in the name server sends nowhere, or to a machine of its own.

use outgate_probe::{Ask, Finding, Host, PhaseName, Trouble, is_local};

use super::{leads_out, unanswered};
use crate::judge::Judged;

/// Whether this network's name servers give public addresses for places outside.
pub(super) fn others_are_public(lanes: &[Judged]) -> bool {
    let findings = lanes
        .iter()
        .filter(|judged| leads_out(judged))
        .flat_map(|judged| &judged.probes)
        .map(|(_, finding)| finding);
    let mut resolutions = findings.filter_map(|finding| finding.resolution.as_ref());
    resolutions.any(|resolution| resolution.addresses().any(|it| !is_local(it)))
}

/// The name that is blocked. A place outside has no address that leads nowhere (0.0.0.0 and `::`,
/// RFC 6890 §2.2), and none of this machine or site where others have public ones, or where somebody
/// outside gives the same name a public one. A company may run the server itself under the public
/// name: then it answers with the right certificate, so only what looks like nobody or like somebody
/// else is put down to the name server.
pub(super) fn blocked(
    judged: &Judged,
    ask: &Ask,
    finding: &Finding,
    trouble: &Trouble,
    others_are_public: bool,
) -> Option<String> {
    let Host::Name(name) = &ask.host else {
        return None;
    };
    let resolution = finding
        .resolution
        .as_ref()
        .filter(|it| leads_out(judged) && it.name == *name)?;
    resolution.addresses().next()?;
    let nowhere = resolution
        .addresses()
        .all(|address| address.is_unspecified());
    let elsewhere = resolution.elsewhere.as_ref();
    let public_elsewhere = elsewhere.is_some_and(|it| it.addresses().any(|it| !is_local(it)));
    let here = (others_are_public || public_elsewhere)
        && resolution.addresses().all(is_local)
        && is_nobody_or_somebody_else(trouble);
    (nowhere || here).then(|| name.clone())
}

/// Whether nothing answered, or something that is not the far end.
fn is_nobody_or_somebody_else(trouble: &Trouble) -> bool {
    unanswered(trouble)
        || matches!(
            trouble,
            Trouble::Refused
                | Trouble::Reset {
                    phase: PhaseName::Tls
                }
                | Trouble::Closed {
                    phase: PhaseName::Tls
                }
                | Trouble::NotTls
                | Trouble::NotHttp
                | Trouble::CertificateUntrusted { .. }
                | Trouble::CertificateNotPublic { .. }
                | Trouble::CertificateWrongName { .. }
                | Trouble::NotShownToBeTheVendor { .. }
        )
}
