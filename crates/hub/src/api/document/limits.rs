//! How long texts and spans may be, in the document as in the core: from the same constants.

use std::time::Duration;

use outgate_core::commands::LASTS;
use outgate_core::identity::{
    MAX_CERTIFICATE_LIFE, MAX_FLEET_KEY_LIFE, MAX_LABEL, MAX_LIFE, MAX_NETWORKS, MAX_OVERLAP,
    MAX_TITLE, MAX_USES, MIN_CERTIFICATE_LIFE, MIN_LIFE,
};
use outgate_core::limits::MAX_CONTENT_TYPE;
use outgate_core::support;
use serde_json::{Value, json};

/// What a member may be.
enum Limit {
    /// A text of so many characters.
    Text(usize, usize),
    /// So many seconds.
    Seconds(Duration, Duration),
    /// A number.
    Number(u32, u32),
    /// A list of so many.
    List(usize),
}

/// Where in the schemas (RFC 6901) the members stand whose limits are the core's.
fn all() -> [(&'static str, Limit); 16] {
    [
        ("/NewSite/properties/title", Limit::Text(1, MAX_TITLE)),
        ("/SiteChange/properties/title", Limit::Text(1, MAX_TITLE)),
        ("/SpaceGiven/properties/title", Limit::Text(1, MAX_TITLE)),
        (
            "/NewCredential/oneOf/1/properties/label",
            Limit::Text(1, MAX_LABEL),
        ),
        (
            "/NewCredential/oneOf/1/properties/lasts",
            Limit::Seconds(MIN_LIFE, MAX_LIFE),
        ),
        (
            "/NewCredential/oneOf/3/properties/lasts",
            Limit::Seconds(MIN_CERTIFICATE_LIFE, MAX_CERTIFICATE_LIFE),
        ),
        (
            "/Rotation/properties/overlap",
            Limit::Seconds(Duration::ZERO, MAX_OVERLAP),
        ),
        ("/NewToken/properties/label", Limit::Text(1, MAX_LABEL)),
        (
            "/NewToken/properties/lasts",
            Limit::Seconds(MIN_LIFE, MAX_LIFE),
        ),
        ("/NewFleetKey/properties/uses", Limit::Number(1, MAX_USES)),
        (
            "/NewFleetKey/properties/lasts",
            Limit::Seconds(MIN_LIFE, MAX_FLEET_KEY_LIFE),
        ),
        ("/NewFleetKey/properties/from", Limit::List(MAX_NETWORKS)),
        (
            "/NewCommand/properties/content_type",
            Limit::Text(0, MAX_CONTENT_TYPE),
        ),
        (
            "/NewCommand/properties/lasts",
            Limit::Seconds(*LASTS.start(), *LASTS.end()),
        ),
        (
            "/NewSupportSession/properties/lasts",
            Limit::Seconds(*support::LASTS.start(), *support::LASTS.end()),
        ),
        (
            "/NewCall/properties/content_type",
            Limit::Text(0, MAX_CONTENT_TYPE),
        ),
    ]
}

/// Writes the limits into the schemas.
pub(super) fn add(schemas: &mut Value) {
    for (place, limit) in all() {
        if let Some(member) = schemas.pointer_mut(place) {
            limit.tell(member);
        }
    }
}

impl Limit {
    fn tell(&self, member: &mut Value) {
        match self {
            Self::Text(least, most) => {
                if *least > 0 {
                    member["minLength"] = json!(least);
                }
                member["maxLength"] = json!(most);
            }
            Self::Seconds(least, most) => {
                member["minimum"] = json!(least.as_secs());
                member["maximum"] = json!(most.as_secs());
            }
            Self::Number(least, most) => {
                member["minimum"] = json!(least);
                member["maximum"] = json!(most);
            }
            Self::List(most) => member["maxItems"] = json!(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_with_a_limit_is_there() {
        let document = crate::api::document();
        let schemas = &document["components"]["schemas"];
        for (place, _) in all() {
            let member = schemas.pointer(place);
            assert!(member.is_some(), "{place}");
        }
    }
}
