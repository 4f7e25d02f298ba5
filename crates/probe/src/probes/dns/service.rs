//! Where a service is (SRV, RFC 2782): its servers, in the order in which they are to be tried, and
//! their addresses.

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, RecordType},
};

use super::{Manner, exchange, question_for};
use crate::{
    dns::{Question, answer},
    evidence::{ServiceServer, Trouble},
    run::{Run, Stop},
};

/// Most servers of a service that are kept, those that come first; the addresses of each are asked
/// for.
pub(super) const SERVERS_MAX: usize = 8;

/// Whether a name is that of a service: `_service._proto.name` (RFC 2782).
pub(super) fn is_service(name: &str) -> bool {
    let mut labels = name.split('.');
    let mut underscored = || labels.next().is_some_and(|label| label.starts_with('_'));
    underscored() && underscored()
}

/// What an answer says of a service, with the addresses of its servers, as evidence. Somebody who
/// is sent there needs a server with an address.
pub(super) async fn find(
    run: &mut Run<'_>,
    question: &Question,
    told: &Message,
) -> Result<(), Stop> {
    let mut servers = servers(told, question)?;
    let mut evidence = run.attempt.dns.clone();
    let mut lost = None;
    for server in &mut servers {
        for record_type in [RecordType::A, RecordType::AAAA] {
            let name = Name::from_ascii(&server.target).map_err(|error| Trouble::Malformed {
                what: error.to_string(),
            })?;
            let asked = question_for(run, name, record_type, Manner::default())?;
            let answered = exchange(run, &asked).await;
            run.attempt.dns.clone_from(&evidence);
            let found = answer::read(&answered?.answers, &asked.query);
            server.addresses.extend(found.addresses);
        }
        if server.addresses.is_empty() {
            lost = lost.or(Some(server.target.clone()));
        }
    }
    let none = servers.iter().all(|server| server.addresses.is_empty());
    if let Some(evidence) = &mut evidence {
        evidence.services = servers;
    }
    run.attempt.dns = evidence;
    match lost {
        None => Ok(()),
        Some(target) if none => Err(Trouble::ServiceWithoutAddress { target }.into()),
        Some(target) => Err(Stop::warn(Trouble::ServiceWithoutAddress { target })),
    }
}

/// The servers of an answer, the first to be tried first: by priority, and within one those of more
/// weight.
fn servers(told: &Message, question: &Question) -> Result<Vec<ServiceServer>, Trouble> {
    let name = || {
        question
            .query
            .name()
            .to_string()
            .trim_end_matches('.')
            .to_owned()
    };
    if told.metadata.response_code == ResponseCode::NXDomain {
        return Err(Trouble::ServiceUnknown { name: name() });
    }
    let followed = answer::follow(&told.answers, question.query.name(), |record| {
        matches!(record.data, RData::SRV(_))
    });
    if followed.endless {
        return Err(Trouble::AliasesEndless);
    }
    let own = told.answers.iter().filter(|it| it.name == followed.owner);
    let mut servers: Vec<ServiceServer> = own
        .filter_map(|record| {
            let RData::SRV(srv) = &record.data else {
                return None;
            };
            Some(ServiceServer {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_string(),
                ttl_seconds: record.ttl,
                addresses: Vec::new(),
            })
        })
        .collect();
    if servers.is_empty() {
        return Err(Trouble::ServiceUnknown { name: name() });
    }
    // A target that is the root says that the service is not there (RFC 2782).
    servers.retain(|server| server.target != ".");
    if servers.is_empty() {
        return Err(Trouble::ServiceNotOffered { name: name() });
    }
    servers.sort_by_key(|server| (server.priority, std::cmp::Reverse(server.weight)));
    servers.truncate(SERVERS_MAX);
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{MessageType, OpCode},
        rr::{
            Record,
            rdata::{CNAME, SRV},
        },
    };

    use super::*;

    const NAME: &str = "_sip._udp.example.";

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn srv(owner: &str, priority: u16, weight: u16, target: &str) -> Record {
        let data = RData::SRV(SRV::new(priority, weight, 5060, name(target)));
        Record::from_rdata(name(owner), 60, data)
    }

    fn read(records: Vec<Record>, code: ResponseCode) -> Result<Vec<String>, Trouble> {
        let question = Question::new(0, name(NAME), RecordType::SRV, Manner::default()).unwrap();
        let mut told = Message::new(0, MessageType::Response, OpCode::Query);
        told.metadata.response_code = code;
        told.add_answers(records);
        let servers = servers(&told, &question)?;
        Ok(servers.into_iter().map(|server| server.target).collect())
    }

    #[test]
    fn a_service_begins_with_two_labels_of_its_own() {
        for (name, is) in [
            ("_sip._udp.example.com", true),
            ("_xmpp-client._tcp.example.com.", true),
            ("_dmarc.example.com", false),
            ("sip._udp.example.com", false),
            ("www.example.com", false),
            ("", false),
        ] {
            assert_eq!(is_service(name), is, "{name}");
        }
    }

    #[test]
    fn servers_come_by_priority_and_then_by_weight() {
        let records = vec![
            srv(NAME, 20, 0, "spare.example."),
            srv(NAME, 10, 1, "light.example."),
            srv("other.example.", 0, 0, "nobodys.example."),
            srv(NAME, 10, 60, "heavy.example."),
        ];
        let found = read(records, ResponseCode::NoError).unwrap();
        assert_eq!(
            found,
            ["heavy.example.", "light.example.", "spare.example."]
        );
    }

    #[test]
    fn no_more_servers_than_the_bound_are_kept_and_those_are_the_first() {
        let records = (0..500)
            .rev()
            .map(|at| srv(NAME, at, 0, &format!("s{at}.example.")));
        let found = read(records.collect(), ResponseCode::NoError).unwrap();
        assert_eq!(found.len(), SERVERS_MAX);
        assert_eq!(found[0], "s0.example.");
    }

    #[test]
    fn a_service_that_is_not_there_and_one_that_is_not_offered_are_told_apart() {
        let unknown = Trouble::ServiceUnknown {
            name: "_sip._udp.example".to_owned(),
        };
        assert_eq!(
            read(Vec::new(), ResponseCode::NXDomain),
            Err(unknown.clone())
        );
        assert_eq!(read(Vec::new(), ResponseCode::NoError), Err(unknown));
        let root = vec![srv(NAME, 0, 0, ".")];
        let not_offered = Trouble::ServiceNotOffered {
            name: "_sip._udp.example".to_owned(),
        };
        assert_eq!(read(root, ResponseCode::NoError), Err(not_offered));
    }

    #[test]
    fn a_service_may_stand_under_another_name_but_not_in_a_circle() {
        let alias = |owner: &str, target: &str| {
            Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
        };
        let records = vec![
            alias(NAME, "_sip._udp.host.example."),
            srv("_sip._udp.host.example.", 0, 0, "sip.example."),
        ];
        assert_eq!(
            read(records, ResponseCode::NoError).unwrap(),
            ["sip.example."]
        );
        let circle = vec![alias(NAME, "b.example."), alias("b.example.", NAME)];
        assert_eq!(
            read(circle, ResponseCode::NoError),
            Err(Trouble::AliasesEndless)
        );
    }
}
