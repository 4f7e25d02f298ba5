//! The servers of a site: a thread a namespace, with a runtime of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::{Arc, mpsc};
use std::time::SystemTime;

use outgate_standin::{
    Answers, Authority, DhcpSettings, Directory, DnsFault, HttpFault, Inspection, NtpFault, Place,
    ProxyRules, Stage, TcpFault,
};
use tokio::sync::oneshot;

use super::{HTTPS, START_TIMEOUT, SiteError, World, other_of};
use crate::fault::{DnsAnswer, Fault, HandedOut, Serving};
use crate::network;
use crate::rules::Names;
use crate::topology::{
    DEVICE, GROUPS, INSPECTION_PORTS, NAME_SERVER_OUTSIDE, NEIGHBOUR, NEIGHBOUR_LABEL, PORTAL_PORT,
    PROXY_PORT, REFLECTOR_PORT, ROUTER, SERVICES,
};
use crate::world::{Service, Speaks, http_fault, stream_fault, tcp_fault, tls_fault};

/// The port of DHCP servers (RFC 2131 §4.1).
const DHCP_PORT: u16 = 67;
/// The port of name servers (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// An address of IPv6 that is routed nowhere (RFC 6666).
const NOWHERE: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1);

/// What a proxy that wants a login takes: `lab:lab-password`.
const PROXY_LOGIN: &str = "Basic bGFiOmxhYi1wYXNzd29yZA==";

type Failed = Box<dyn Error + Send + Sync>;

/// Servers in a thread; they stop when this is dropped.
pub(super) struct Running(
    #[expect(dead_code, reason = "what counts is its drop")] oneshot::Sender<()>,
);

/// Who serves in which namespace.
#[derive(Clone, Copy)]
enum Part {
    Internet,
    Services,
    Neighbour,
    Router,
    /// RTP that comes back, by itself: whoever answers slowly makes speech look bad.
    Voices,
    VoicesNear,
}

impl Part {
    fn namespace(self) -> &'static str {
        match self {
            Self::Internet | Self::Voices => "internet",
            Self::Services => "services",
            Self::Router => "router",
            Self::Neighbour | Self::VoicesNear => "neighbour",
        }
    }
}

/// Starts all servers and returns when all of them listen. Those of the internet have their
/// certificates from `public`.
pub(super) fn start(world: &Arc<World>, public: Authority) -> Result<Vec<Running>, SiteError> {
    let public = Arc::new(public);
    let other = || {
        Authority::new(SystemTime::now())
            .map(Arc::new)
            .map_err(|source| SiteError::Serve {
                source: source.into(),
            })
    };
    Ok(vec![
        start_in(Part::Internet, public.clone(), world.clone())?,
        start_in(Part::Services, other()?, world.clone())?,
        start_in(Part::Router, other()?, world.clone())?,
        start_in(Part::Neighbour, public.clone(), world.clone())?,
        start_in(Part::Voices, public.clone(), world.clone())?,
        start_in(Part::VoicesNear, public, world.clone())?,
    ])
}

fn start_in(
    part: Part,
    authority: Arc<Authority>,
    world: Arc<World>,
) -> Result<Running, SiteError> {
    let (told, tell) = mpsc::channel();
    let (running, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let serve = || -> Result<(), SiteError> {
            network::join(part.namespace())?;
            let failed = |source| SiteError::Serve { source };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| failed(error.into()))?;
            runtime.block_on(async {
                let stage = play(part, authority, &world).await.map_err(failed)?;
                let _told = told.send(Ok(()));
                // Either way the site is over.
                let _ended = stopped.await;
                drop(stage);
                Ok(())
            })
        };
        if let Err(error) = serve() {
            let _told = told.send(Err(error));
        }
    });
    tell.recv_timeout(START_TIMEOUT)
        .map_err(|_| SiteError::Thread)??;
    Ok(Running(running))
}

async fn play(part: Part, authority: Arc<Authority>, world: &World) -> Result<Stage, Failed> {
    let ahead = world.ahead;
    let clock = move || SystemTime::now() + ahead;
    let mut stage = Stage::new(authority, clock);
    match part {
        Part::Internet => {
            serve_all(&mut stage, world, false).await?;
            serve_name_server_outside(&mut stage, world).await?;
        }
        Part::Neighbour => {
            serve_all(&mut stage, world, true).await?;
            answer_groups(&mut stage, world).await?;
            if world.faults.contains(&Fault::SecondDhcpServer) {
                serve_dhcp(&mut stage, NEIGHBOUR, handed_out_by_neighbour()).await?;
            }
        }
        Part::Voices => return_voices(&mut stage, world, false).await?,
        Part::VoicesNear => return_voices(&mut stage, world, true).await?,
        Part::Services => serve_site(&mut stage, world).await?,
        Part::Router => serve_on_the_way(&mut stage, world).await?,
    }
    Ok(stage)
}

fn addresses(world: &World, name: &str) -> Vec<IpAddr> {
    world
        .names
        .get(name)
        .map_or_else(Vec::new, |both| both.to_vec())
}

/// All servers of the internet, or all that are near.
async fn serve_all(stage: &mut Stage, world: &World, near: bool) -> Result<(), Failed> {
    for service in world.services.iter().filter(|one| one.near == near) {
        for address in addresses(world, &service.name) {
            serve(stage, service, address, world).await?;
        }
    }
    Ok(())
}

/// The name server outside, which knows every name that there is.
async fn serve_name_server_outside(stage: &mut Stage, world: &World) -> Result<(), Failed> {
    let mut nowhere = BTreeMap::new();
    for fault in &world.faults {
        if let Fault::Dns {
            answer: answer @ DnsAnswer::Nowhere,
            name: Some(name),
        } = fault
        {
            nowhere.insert(name.as_str(), *answer);
        }
    }
    let answers = answers_of(&world.names, &nowhere)?;
    let place = SocketAddr::new(NAME_SERVER_OUTSIDE.into(), HTTPS);
    let names = [NAME_SERVER_OUTSIDE.to_string()];
    let place = Place::in_private_network(place)?;
    stage.dns_over_https(place, &names, answers).await?;
    Ok(())
}

/// Has RTP come back where there is any.
async fn return_voices(stage: &mut Stage, world: &World, near: bool) -> Result<(), Failed> {
    let mut here = world.services.iter().filter(|one| one.near == near);
    if here.any(|one| one.speaks == Speaks::Rtp) {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), REFLECTOR_PORT);
        stage.rtp(Place::in_private_network(any)?).await?;
    }
    Ok(())
}

/// Has the neighbour answer what is asked of everybody.
async fn answer_groups(stage: &mut Stage, world: &World) -> Result<(), Failed> {
    if world.faults.contains(&Fault::NeighboursSilent) {
        return Ok(());
    }
    let cable = network::own_cable()?;
    for (group, port) in GROUPS {
        let (own, group) = match group.parse()? {
            IpAddr::V4(group) => (NEIGHBOUR[0], SocketAddr::new(group.into(), port)),
            IpAddr::V6(group) => {
                let group = SocketAddrV6::new(group, port, 0, cable);
                (NEIGHBOUR[1], group.into())
            }
        };
        let place = Place::in_private_network(SocketAddr::new(own, port))?;
        stage.neighbour(place, group, NEIGHBOUR_LABEL).await?;
    }
    Ok(())
}

async fn serve(
    stage: &mut Stage,
    service: &Service,
    address: IpAddr,
    world: &World,
) -> Result<(), Failed> {
    let place = Place::in_private_network(SocketAddr::new(address, service.port))?;
    let names = [service.name.clone(), address.to_string()];
    let serving = serving(world, &service.name);
    match serving {
        Some(Serving::OtherProtocol) => {
            stage.ssh(place).await?;
            return Ok(());
        }
        Some(Serving::Closed) => return Ok(()),
        Some(_) | None => {}
    }
    match service.speaks {
        Speaks::MutualHttps if serving.is_none() => {
            stage.https_mutual(place, &names).await?;
        }
        Speaks::MutualHttps | Speaks::Https => {
            if let Some(fault) = tls_fault(serving) {
                stage.https(place, &names, fault).await?;
            }
        }
        Speaks::Http => {
            if let Some(fault) = http_fault(serving) {
                stage.http(place, fault).await?;
            }
        }
        Speaks::Echo => {
            if let Some(fault) = tcp_fault(serving) {
                stage.tcp(place, fault).await?;
            }
        }
        Speaks::Ntp => {
            let unready = world.faults.contains(&Fault::TimeServerUnready);
            let fault = match serving {
                Some(_) => NtpFault::Silent,
                None if unready => NtpFault::Unsynchronised,
                None => NtpFault::None,
            };
            stage.ntp(place, time_server_ahead(world), fault).await?;
        }
        Speaks::Streams
        | Speaks::MqttWss
        | Speaks::Mqtts
        | Speaks::Mqtt
        | Speaks::Sips
        | Speaks::Sip
        | Speaks::Ldaps
        | Speaks::Ldap
        | Speaks::Xmpp
        | Speaks::Ssh
        | Speaks::Dns
        | Speaks::Stun
        | Speaks::Rtp => serve_other(stage, service, place, &names, world).await?,
    }
    Ok(())
}

/// The servers that go wrong in few ways: what is not theirs leaves them as they are.
async fn serve_other(
    stage: &mut Stage,
    service: &Service,
    place: Place,
    names: &[String],
    world: &World,
) -> Result<(), Failed> {
    let serving = serving(world, &service.name);
    match (service.speaks, tcp_fault(serving)) {
        // Whatever is due, it does not come.
        (Speaks::Dns | Speaks::Stun, Some(TcpFault::Silent | TcpFault::CloseAtOnce)) => {}
        (_, Some(fault @ (TcpFault::Silent | TcpFault::CloseAtOnce))) => {
            stage.tcp(place, fault).await?;
        }
        (Speaks::Streams, _) => {
            stage.streams(place, names, stream_fault(serving)).await?;
        }
        (Speaks::MqttWss, _) => {
            stage.mqtt_wss(place, names).await?;
        }
        (Speaks::Mqtts, _) => {
            stage.mqtts(place, names).await?;
        }
        (Speaks::Mqtt, _) => {
            stage.mqtt(place).await?;
        }
        (Speaks::Sips, _) => {
            stage.sips(place, names).await?;
        }
        (Speaks::Sip, _) => {
            stage.sip(place).await?;
        }
        (Speaks::Ldaps, _) => {
            stage.ldaps(place, names).await?;
        }
        (Speaks::Ldap, _) => {
            stage.ldap(place).await?;
        }
        (Speaks::Xmpp, _) if serving == Some(Serving::TlsStripped) => {
            stage.xmpp_in_the_clear(place).await?;
        }
        (Speaks::Xmpp, _) => {
            stage.xmpp(place, names).await?;
        }
        (Speaks::Ssh, _) => {
            stage.ssh(place).await?;
        }
        (Speaks::Dns, _) => {
            let right = answers_of(&world.names, &BTreeMap::new())?;
            stage.dns(place, right, DnsFault::None).await?;
        }
        (Speaks::Stun, _) => serve_stun(stage, service, place, world).await?,
        // One reflector serves all of them, and the rest is served elsewhere.
        (
            Speaks::Rtp
            | Speaks::MutualHttps
            | Speaks::Https
            | Speaks::Http
            | Speaks::Echo
            | Speaks::Ntp,
            _,
        ) => {}
    }
    Ok(())
}

/// STUN at both addresses of a server.
async fn serve_stun(
    stage: &mut Stage,
    service: &Service,
    place: Place,
    world: &World,
) -> Result<(), Failed> {
    let own = place.address().ip();
    let both = addresses(world, &other_of(&service.name));
    let other = both.into_iter().find(|one| one.is_ipv4() == own.is_ipv4());
    stage.stun_at_two(place, other.unwrap_or(own)).await?;
    Ok(())
}

fn serving(world: &World, wanted: &str) -> Option<Serving> {
    world.faults.iter().find_map(|fault| {
        if let Fault::Server { name, serving } = fault
            && name == wanted
        {
            return Some(*serving);
        }
        None
    })
}

fn time_server_ahead(world: &World) -> time::Duration {
    let seconds = world.faults.iter().find_map(|fault| {
        if let Fault::TimeServerAhead { seconds } = fault {
            return Some(*seconds);
        }
        None
    });
    time::Duration::seconds(seconds.unwrap_or_default())
}

/// What a machine of the site gets from DHCP.
fn handed_out(world: &World) -> DhcpSettings {
    let wrong = world.faults.iter().find_map(|fault| {
        if let Fault::DhcpTimeServer { server } = fault {
            return Some(*server);
        }
        None
    });
    let right = || {
        let time = world.services.iter().filter(|it| it.speaks == Speaks::Ntp);
        let names: BTreeSet<&str> = time.map(|it| it.name.as_str()).collect();
        let both = names.into_iter().filter_map(|it| world.names.get(it));
        both.copied().flat_map(v4_of).collect()
    };
    DhcpSettings {
        routers: v4_of(ROUTER),
        name_servers: v4_of(SERVICES),
        time_servers: match wrong {
            None => right(),
            Some(HandedOut::None) => Vec::new(),
            Some(HandedOut::Wrong) => v4_of(NEIGHBOUR),
        },
        ..DhcpSettings::default()
    }
}

/// What a neighbour hands out that wants all traffic.
fn handed_out_by_neighbour() -> DhcpSettings {
    DhcpSettings {
        routers: v4_of(NEIGHBOUR),
        name_servers: v4_of(NEIGHBOUR),
        ..DhcpSettings::default()
    }
}

fn v4_of(both: [IpAddr; 2]) -> Vec<Ipv4Addr> {
    let v4 = both.into_iter().filter_map(|one| match one {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    v4.collect()
}

/// A DHCP server in this namespace, which calls itself by this address.
async fn serve_dhcp(
    stage: &mut Stage,
    own: [IpAddr; 2],
    settings: DhcpSettings,
) -> Result<(), Failed> {
    // What is sent to everybody comes only to who listens at every address.
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), DHCP_PORT);
    let place = Place::in_private_network(any)?;
    for (own, offered) in v4_of(own).into_iter().zip(v4_of(DEVICE)) {
        stage.dhcp(place, own, offered, settings.clone()).await?;
    }
    Ok(())
}

/// The DHCP server, the name server and the proxy.
async fn serve_site(stage: &mut Stage, world: &World) -> Result<(), Failed> {
    if !world.faults.contains(&Fault::DhcpSilent) {
        serve_dhcp(stage, SERVICES, handed_out(world)).await?;
    }
    let (answers, fault) = answers(world)?;
    for address in SERVICES {
        let place = Place::in_private_network(SocketAddr::new(address, DNS_PORT))?;
        stage.dns(place, answers.clone(), fault).await?;
    }
    for fault in &world.faults {
        if let Fault::ProxyNeeded {
            login,
            schemes,
            refused,
        } = fault
        {
            let rules = ProxyRules {
                login: login.then(|| PROXY_LOGIN.to_owned()),
                schemes: schemes.clone(),
                refused: refused.iter().cloned().collect::<BTreeSet<_>>(),
            };
            let known = world.names.iter();
            let directory = Directory::new(known.map(|(name, both)| (name.clone(), both[0])));
            let place = Place::in_private_network(SocketAddr::new(SERVICES[0], PROXY_PORT))?;
            stage.proxy(place, directory, rules).await?;
        }
    }
    Ok(())
}

/// What the name server says.
fn answers(world: &World) -> Result<(Answers, DnsFault), Failed> {
    let mut all = DnsFault::None;
    let mut by_name: BTreeMap<&str, DnsAnswer> = BTreeMap::new();
    for fault in &world.faults {
        if let Fault::Dns { answer, name } = fault {
            match (answer, name) {
                (DnsAnswer::Silent, _) => all = DnsFault::Silent,
                (DnsAnswer::Refused, _) => all = DnsFault::Refused,
                (DnsAnswer::Failure, _) => all = DnsFault::ServerFailure,
                (DnsAnswer::Truncated, _) => all = DnsFault::TruncatedForEver,
                (DnsAnswer::TcpOnly, _) => all = DnsFault::SilentOverUdp,
                (DnsAnswer::BrokenSignatures, _) => all = DnsFault::BrokenSignatures,
                (answer, Some(name)) => {
                    by_name.insert(name, *answer);
                }
                (answer, None) => {
                    by_name.extend(world.names.keys().map(|name| (name.as_str(), *answer)));
                }
            }
        }
    }
    Ok((answers_of(&world.names, &by_name)?, all))
}

/// Where each name is, or is said to be.
fn answers_of(names: &Names, by_name: &BTreeMap<&str, DnsAnswer>) -> Result<Answers, Failed> {
    let mut answers = Answers::new();
    for (name, [v4, v6]) in names {
        let right = [*v4, *v6];
        let said: Vec<IpAddr> = match by_name.get(name.as_str()) {
            None
            | Some(
                DnsAnswer::Silent
                | DnsAnswer::Refused
                | DnsAnswer::Failure
                | DnsAnswer::Truncated
                | DnsAnswer::TcpOnly
                | DnsAnswer::BrokenSignatures,
            ) => right.to_vec(),
            Some(DnsAnswer::NoSuchName | DnsAnswer::Nowhere) => Vec::new(),
            Some(DnsAnswer::NoAddress) => {
                // Something below it exists, so it does too, and has nothing.
                answers = answers.address(&format!("below.{name}"), *v4)?;
                Vec::new()
            }
            Some(DnsAnswer::Sinkhole) => {
                vec![IpAddr::from([0, 0, 0, 0]), Ipv6Addr::UNSPECIFIED.into()]
            }
            Some(DnsAnswer::Private) => vec![NEIGHBOUR[0]],
            Some(DnsAnswer::WrongIpv6) => vec![*v4, NOWHERE.into()],
        };
        for address in said {
            answers = answers.address(name, address)?;
        }
    }
    Ok(answers)
}

/// The middleboxes on the router.
async fn serve_on_the_way(stage: &mut Stage, world: &World) -> Result<(), Failed> {
    let any = |port| Place::in_private_network(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    if world.faults.contains(&Fault::CaptivePortal) {
        stage.http(any(PORTAL_PORT)?, HttpFault::Portal).await?;
    }
    if let Some((authority, _)) = &world.company {
        for port in &world.tls_ports {
            let known = world.names.iter();
            let inspection = Inspection {
                authority: authority.clone(),
                servers: known.map(|(name, both)| (name.clone(), both[0])).collect(),
                port: *port,
            };
            let at = INSPECTION_PORTS + port % INSPECTION_PORTS;
            stage.inspector(any(at)?, &inspection).await?;
        }
    }
    Ok(())
}
