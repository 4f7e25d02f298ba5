use proptest::prelude::*;

use super::*;

/// What Azure's SDKs have signed for [`BLOB`] with the key of the bytes 0 to 31: that for Python
/// (12.31.1) and that for Node (12.8.0), the latter by each version that it knows.
const MADE_BY_SDKS: [&str; 7] = [
    "st=2026-11-01T00%3A00%3A00Z&se=2026-11-30T00%3A00%3A00Z&sp=r&spr=https&sv=2026-10-06\
     &si=gr-abc&sr=b&sig=jntogA2EfWbIq/q7T2kvEyx5dre5SdsSouJ1bBxCnuM%3D",
    "sip=10.0.0.1-10.0.0.9&sv=2026-10-06&si=gr-abc&sr=b&rscc=no-store\
     &rscd=attachment%3B%20filename%3D%22x%22&rsce=gzip&rscl=sv&rsct=text/plain\
     &sig=9llEE2kRZbTBPEVsYkN/h4biQOtk0Xijo8C8P9PoKvs%3D",
    "sv=2015-04-05&st=2026-11-01T00%3A00%3A00Z&se=2026-11-30T00%3A00%3A00Z&si=gr-abc&sr=b&sp=cw\
     &sig=7xgUf%2BPYnCwZ7jWH5hwJqABhe2btg1JifLiQiBK3%2FyA%3D",
    "sv=2018-03-28&st=2026-11-01T00%3A00%3A00Z&se=2026-11-30T00%3A00%3A00Z&si=gr-abc&sr=b&sp=cw\
     &sig=3NSAYyln9plsEFNUsTgvgXHXqiFkmlMXKySVkM%2FYEJk%3D",
    "sv=2018-11-09&st=2026-11-01T00%3A00%3A00Z&se=2026-11-30T00%3A00%3A00Z&si=gr-abc&sr=b&sp=cw\
     &sig=P9RAM77ef%2FYl%2BCCDH95uYDVDvsg6xKW2wiLiZ2WiW8E%3D",
    "sv=2020-08-04&st=2026-11-01T00%3A00%3A00Z&se=2026-11-30T00%3A00%3A00Z&si=gr-abc&sr=b&sp=cw\
     &sig=oad3f%2BdKMrD27de%2B8kWc0KzZkzAjMWVho5G08gtB9bw%3D",
    "sv=2020-10-02&st=2026-11-01T00%3A00%3A00Z&se=2026-11-30T00%3A00%3A00Z&si=gr-abc&sr=b&sp=cw\
     &sig=rkQp6gvj9y5sMV2xILq5vLRJIcXp1eAipRgKOdBjotI%3D",
];

const BLOB: Resource<'static> = Resource {
    account: "outgate",
    container: "files",
    blob: "T7/a b+ö.bin",
};

/// 2026-11-01T00:00:00Z and 2026-11-30T00:00:00Z.
const NOVEMBER: (i64, i64) = (1_793_491_200, 1_795_996_800);

fn key() -> Vec<u8> {
    (0..32).collect()
}

#[test]
fn what_azure_s_sdks_sign_holds_for_its_blob_and_for_no_other() {
    for query in MADE_BY_SDKS {
        let sas = Sas::parse(query).unwrap();
        assert!(sas.is_signed_with(&key(), BLOB), "{query}");
        assert_eq!(sas.policy(), Some("gr-abc"));
        for blob in ["T7/a b+ö.bim", "T7/a b ö.bin", "t7/a b+ö.bin", ""] {
            assert!(!sas.is_signed_with(&key(), Resource { blob, ..BLOB }));
        }
        let container = "other";
        assert!(!sas.is_signed_with(&key(), Resource { container, ..BLOB }));
        assert!(!sas.is_signed_with(b"another key", BLOB));
    }
}

#[test]
fn what_a_signature_says_is_read() {
    let sas = Sas::parse(MADE_BY_SDKS[0]).unwrap();
    assert_eq!(
        (sas.starts(), sas.ends()),
        (Some(NOVEMBER.0), Some(NOVEMBER.1))
    );
    assert_eq!(sas.permits(Permission::Read), Some(true));
    for other in [Permission::Create, Permission::Write, Permission::Delete] {
        assert_eq!(sas.permits(other), Some(false));
    }
    let made = Sas::parse(MADE_BY_SDKS[2]).unwrap();
    assert_eq!(made.permits(Permission::Create), Some(true));
    assert_eq!(made.permits(Permission::Read), Some(false));
    let policy_only = Sas::parse(MADE_BY_SDKS[1]).unwrap();
    assert_eq!(policy_only.permits(Permission::Read), None);
    assert_eq!((policy_only.starts(), policy_only.ends()), (None, None));
    assert_eq!(
        policy_only.answered_with(Answered::ContentType),
        Some("text/plain")
    );
    for (peer, is_let_in) in [
        ("10.0.0.1", true),
        ("10.0.0.9", true),
        ("::ffff:10.0.0.5", true),
        ("10.0.0.10", false),
        ("::1", false),
    ] {
        assert_eq!(
            policy_only.is_for(peer.parse().unwrap()),
            is_let_in,
            "{peer}"
        );
    }
}

#[test]
fn a_query_that_says_something_twice_or_not_at_all_has_no_signature() {
    let query = MADE_BY_SDKS[0];
    for (text, error) in [
        (String::new(), SasError::Value("sv")),
        (
            query.replace("2026-10-06", "2014-02-14"),
            SasError::Value("sv"),
        ),
        (query.replace("2026-10-06", "9"), SasError::Value("sv")),
        (query.replace("sr=b", "sr=c"), SasError::Value("sr")),
        (query.replace("M%3D", ""), SasError::Value("sig")),
        (
            query.replace("se=2026-11-30", "se=2026-11-31"),
            SasError::Value("se"),
        ),
        (format!("{query}&se=2026-12-30"), SasError::Twice),
        (format!("{query}&sig=a"), SasError::Twice),
        (format!("{query}&skoid=a"), SasError::Other),
        ("a".repeat(QUERY_MAX_BYTES + 1), SasError::TooLong),
    ] {
        assert_eq!(Sas::parse(&text), Err(error), "{text}");
    }
}

#[test]
fn moments_are_read_in_the_forms_that_azure_takes() {
    for (text, seconds) in [
        ("2026-11-01", Some(NOVEMBER.0)),
        ("2026-11-01T00:00Z", Some(NOVEMBER.0)),
        ("2026-11-01T00:00:01Z", Some(NOVEMBER.0 + 1)),
        ("2026-11-01T00:00:01.9999999Z", Some(NOVEMBER.0 + 1)),
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2026-11-01T00:00:00", None),
        ("2026-11-01T24:00:00Z", None),
        ("2026-11-01T00:00:00:00Z", None),
        ("2026-11-01T00:00:00.Z", None),
        ("2026-11-01T+1:00Z", None),
        ("2026-02-30", None),
        ("26-11-01", None),
        ("", None),
    ] {
        assert_eq!(moment(text), seconds, "{text}");
    }
}

#[test]
fn a_signature_does_not_print_what_lets_its_holder_in() {
    let printed = format!("{:?}", Sas::parse(MADE_BY_SDKS[0]).unwrap());
    assert!(
        printed.contains("gr-abc") && !printed.contains("signature"),
        "{printed}"
    );
}

proptest! {
    #[test]
    fn what_is_signed_is_read_and_holds_for_its_blob_and_key_alone(
        starts in 0_i64..4_000_000_000,
        lasts in 0_i64..2_592_000,
        permissions in "[rcwd]{1,4}",
        policy in "[a-z0-9-]{1,64}",
        blob in "\\PC{1,64}",
        other in "\\PC{1,64}",
    ) {
        let terms = Terms { starts, ends: starts + lasts, permissions: &permissions, policy: &policy };
        let resource = Resource { blob: &blob, ..BLOB };
        let sas = Sas::parse(&sign(terms, resource, &key())).unwrap();
        prop_assert!(sas.is_signed_with(&key(), resource));
        prop_assert_eq!(sas.starts(), Some(starts));
        prop_assert_eq!(sas.ends(), Some(starts + lasts));
        prop_assert_eq!(sas.policy(), Some(&*policy));
        prop_assert_eq!(sas.permits(Permission::Delete), Some(permissions.contains('d')));
        let holds = sas.is_signed_with(&key(), Resource { blob: &other, ..BLOB });
        prop_assert_eq!(holds, blob == other);
    }

    #[test]
    fn a_query_with_anything_changed_says_the_same_or_does_not_hold(
        which in 0..MADE_BY_SDKS.len(),
        place in any::<prop::sample::Index>(),
        with in "[ -~]",
    ) {
        let made = MADE_BY_SDKS[which];
        let mut query = made.to_owned();
        let place = place.index(query.len());
        query.replace_range(place..=place, &with);
        if let Ok(sas) = Sas::parse(&query) {
            let same = Some(&sas) == Sas::parse(made).ok().as_ref();
            prop_assert!(same || !sas.is_signed_with(&key(), BLOB), "{}", query);
        }
    }

    #[test]
    fn any_query_is_read_or_refused(query in any::<String>()) {
        let _ = Sas::parse(&query);
    }
}
