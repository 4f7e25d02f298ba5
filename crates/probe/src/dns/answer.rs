//! From the records of an answer to addresses: along its aliases, and nothing beside them.

use hickory_proto::{
    op::Query,
    rr::{Name, RData, Record, RecordType},
};

use crate::evidence::{AddressRecord, Alias, FamilyAnswer, Trouble};

/// Most addresses kept of one answer.
pub(crate) const ADDRESSES_MAX: usize = 32;
/// Most steps of a CNAME chain that are followed.
const ALIASES_MAX: usize = 16;

/// The name at the end of the aliases that begin with another.
pub(crate) struct Followed {
    pub(crate) owner: Name,
    pub(crate) aliases: Vec<Alias>,
    /// Whether they lead in a circle, or further than is followed.
    pub(crate) endless: bool,
}

/// Follows aliases from a name, until one has a record that is `wanted` or is no alias.
pub(crate) fn follow(
    records: &[Record],
    name: &Name,
    wanted: impl Fn(&Record) -> bool,
) -> Followed {
    let mut followed = Followed {
        owner: name.clone(),
        aliases: Vec::new(),
        endless: false,
    };
    let mut passed = vec![name.clone()];
    loop {
        let own = || {
            records
                .iter()
                .filter(|record| record.name == followed.owner)
        };
        if own().any(&wanted) {
            return followed;
        }
        let Some((alias, target)) = own().find_map(alias) else {
            return followed;
        };
        followed.aliases.push(alias);
        if passed.contains(&target) || followed.aliases.len() == ALIASES_MAX {
            followed.endless = true;
            return followed;
        }
        passed.push(target.clone());
        followed.owner = target;
    }
}

/// The addresses at the end of the aliases that begin with the name that was asked for. What else
/// is in the answer is nobody's business.
pub(crate) fn read(records: &[Record], query: &Query) -> FamilyAnswer {
    let address = |record: &Record| address(record, query.query_type());
    let followed = follow(records, query.name(), |record| address(record).is_some());
    let mut answer = FamilyAnswer::without(Trouble::NoAddress);
    answer.aliases = followed.aliases;
    if followed.endless {
        answer.trouble = Some(Trouble::AliasesEndless);
        return answer;
    }
    let own = records
        .iter()
        .filter(|record| record.name == followed.owner);
    answer.addresses = own.filter_map(address).take(ADDRESSES_MAX).collect();
    if !answer.addresses.is_empty() {
        answer.trouble = None;
    }
    answer
}

fn address(record: &Record, wanted: RecordType) -> Option<AddressRecord> {
    let address = match (&record.data, wanted) {
        (RData::A(a), RecordType::A) => a.0.into(),
        (RData::AAAA(aaaa), RecordType::AAAA) => aaaa.0.into(),
        _ => return None,
    };
    Some(AddressRecord {
        address,
        ttl_seconds: record.ttl,
    })
}

fn alias(record: &Record) -> Option<(Alias, Name)> {
    let RData::CNAME(cname) = &record.data else {
        return None;
    };
    let alias = Alias {
        name: record.name.to_string(),
        target: cname.0.to_string(),
        ttl_seconds: record.ttl,
    };
    Some((alias, cname.0.clone()))
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, CNAME};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(owner: &str, last: u8) -> Record {
        let data = RData::A(A([192, 0, 2, last].into()));
        Record::from_rdata(name(owner), 60, data)
    }

    fn cname(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
    }

    fn found(records: &[Record]) -> FamilyAnswer {
        read(records, &Query::query(name("a.example."), RecordType::A))
    }

    #[test]
    fn aliases_are_followed_in_whatever_order_and_case_they_come() {
        let answer = found(&[
            a("C.example.", 1),
            cname("b.example.", "c.example."),
            cname("A.example.", "B.example."),
        ]);
        assert_eq!(answer.trouble, None);
        assert_eq!(answer.addresses.len(), 1);
        let targets: Vec<_> = answer.aliases.iter().map(|it| it.target.as_str()).collect();
        assert_eq!(targets, ["B.example.", "c.example."]);
    }

    #[test]
    fn addresses_of_other_names_do_not_count() {
        let answer = found(&[a("other.example.", 1), a("a.example.", 2)]);
        assert_eq!(answer.addresses.len(), 1);
        let answer = found(&[a("other.example.", 1)]);
        assert_eq!(answer.trouble, Some(Trouble::NoAddress));
    }

    #[test]
    fn aliases_that_lead_in_a_circle_or_nowhere_are_told_apart() {
        let circle = found(&[
            cname("a.example.", "b.example."),
            cname("b.example.", "a.example."),
        ]);
        assert_eq!(circle.trouble, Some(Trouble::AliasesEndless));
        assert_eq!(circle.aliases.len(), 2);
        let long: Vec<_> = (0..40)
            .map(|step| {
                let owner = if step == 0 {
                    "a.example.".to_owned()
                } else {
                    format!("n{step}.example.")
                };
                cname(&owner, &format!("n{}.example.", step + 1))
            })
            .collect();
        let long = found(&long);
        assert_eq!(long.trouble, Some(Trouble::AliasesEndless));
        assert_eq!(long.aliases.len(), ALIASES_MAX);
        let nowhere = found(&[cname("a.example.", "b.example.")]);
        assert_eq!(nowhere.trouble, Some(Trouble::NoAddress));
    }
}
