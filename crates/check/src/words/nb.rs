//! Norwegian, bokmål.

use super::{Said, Words};
use crate::cause::{CauseKind as K, Owner};

/// The words.
pub(super) const WORDS: Words = Words {
    kinds,
    owners,
    behind: "{time} etter",
    ahead: "{time} foran",
    day: "1 døgn",
    days: "{n} døgn",
    listed: "{names} og {n} til",
    exempt: "; ikke inspisert: {names}",
    partly: "; inntil videre går SignalR over {works}",
    stranded: "; over {works} ville SignalR kommet fram, men klientene blir hengende ved {fails} og prøver det aldri",
    title: "Kontroll av {product}",
    version: "versjon {version}, fra {party}",
    netns: ", i nettverksnavnerommet {name}",
    user: ", som brukeren {name}",
    newest: "nyeste",
    verdict_pass: "Alt som kreves, virker",
    verdict_warn: "Alt som kreves, virker, men ikke alt som det skal",
    verdict_incomplete: "Noe som kreves, ble ikke prøvd",
    verdict_fail: "Noe som kreves, virker ikke",
    causes: "Hva som er galt, og hvem som retter det",
    no_causes: "Ingen feil ble funnet.",
    cause: "Årsak",
    owner: "Hvem",
    act: "Hva som skal gjøres",
    rules: "Regler for brannmuren ({target})",
    lanes_down: "Forbindelser",
    lanes: "Alle forbindelser",
    lane: "Forbindelse",
    need: "Behov",
    need_required: "kreves",
    need_optional: "valgfri",
    need_diagnostic: "bare support",
    outcome: "Resultat",
    outcome_pass: "virker",
    outcome_warn: "advarsel",
    outcome_fail: "virker ikke",
    outcome_not_applicable: "ikke relevant",
    outcome_not_run: "ikke prøvd",
    detail: "Detalj",
    evidence: "Grunnlag",
    started: "Startet {when}, tok {seconds} s",
    masked: "Nettverkets adresser er erstattet med navn som address-1.",
};

fn owners(owner: Owner) -> &'static str {
    match owner {
        Owner::Firewall => "brannmur",
        Owner::Dns => "DNS",
        Owner::Dhcp => "DHCP-tjener",
        Owner::Lan => "lokalt nettverk",
        Owner::Proxy => "proxy eller TLS-inspeksjon",
        Owner::ThisMachine => "denne maskinen",
        Owner::TimeServer => "tidsserver",
        Owner::Vendor => "leverandør",
        Owner::FirewallOrVendor => "brannmur eller leverandør",
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a line a kind, to be read side by side with the other languages"
)]
fn kinds(kind: K) -> Said {
    let (what, act) = match kind {
        K::ClockWrong => (
            "klokken på denne maskinen går {clock}",
            "still klokken; sertifikater og signerte nøkler vurderes etter den",
        ),
        K::TimeServerWrong => (
            "ifølge {hosts} går klokken på denne maskinen {clock}, men andre servere er enige med maskinen",
            "rett klokken på {hosts}, eller la DHCP oppgi en annen tidsserver",
        ),
        K::ClocksDiffer => (
            "ifølge {hosts} går klokken på denne maskinen {clock}",
            "sammenlign begge med en klokke som sikkert går riktig, og still den som går feil",
        ),
        K::TimeServerUnready => (
            "{hosts}: {seen}",
            "la tidsserveren først finne sin egen tid, eller oppgi en annen",
        ),
        K::NoNameServer => (
            "denne maskinen har ingen navnetjener: {seen} (spurte etter {hosts})",
            "sett opp en navnetjener på denne maskinen: DHCP deler dem ut, eller en linje `nameserver ADRESSE` i /etc/resolv.conf sier hvor en er",
        ),
        K::ResolverUnavailable => (
            "navn kan ikke slås opp: {seen} (spurte etter {hosts})",
            "gi denne maskinen en navnetjener som den når (port 53, UDP og TCP)",
        ),
        K::NameServerSilent => (
            "navnetjeneren {subject} svarer ikke: den som søker et navn, venter først på den før den neste blir spurt ({hosts})",
            "start navnetjeneren {subject} eller slipp gjennom port 53 til den (UDP og TCP); ta den ellers av listen som DHCP eller resolv.conf gir denne maskinen",
        ),
        K::LargeDnsAnswersLost => (
            "svar fra navnetjenerne som er for lange for UDP, kommer ikke fram ({hosts}): {seen}",
            "tillat TCP 53 til navnetjenerne i tillegg til UDP 53",
        ),
        K::DnsOverTcpOnly => (
            "navnetjenerne svarer over TCP, men ikke over UDP, slik produkter spør: {seen} (spurte etter {hosts})",
            "tillat UDP 53 til navnetjenerne i tillegg til TCP 53",
        ),
        K::NameSignaturesBroken => (
            "{hosts}: {seen}",
            "se etter klokken til navnetjenerne og filtre som endrer svarene deres; er begge i orden, har eieren av navnet signert det feil",
        ),
        K::NameHidden => (
            "navnetjenerne i dette nettet gir ikke ut {subject}: {seen}",
            "unnta {subject} fra navnetjenernes filter; kjenner de bare egne navn, la dem spørre andre (videresending)",
        ),
        K::NameGone => (
            "{subject} finnes ikke i det hele tatt: {seen}",
            "spør leverandøren hvilket navn som menes",
        ),
        K::ServiceNotOffered => (
            "{subject} tilbys ikke: {seen}",
            "spør leverandøren hvor tjenesten er; eieren av navnet sier at den ikke er der",
        ),
        K::NameNotFound => (
            "{subject} finnes ikke ifølge nettverkets navnetjenere",
            "la navnetjenerne slå opp {subject}; et filter kan skjule navnet",
        ),
        K::NameWithoutAddress => (
            "{subject} finnes, men har ingen adresse her",
            "la navnetjenerne svare med adressene til {subject}",
        ),
        K::NameBlocked => (
            "navnetjenerne i dette nettet sender {subject} ingen steder, eller til en maskin i dette nettet, i stedet for til leverandøren",
            "unnta {subject} fra navnetjenernes filter; skal tjeneren stå i dette nettet, undersøk om den er i gang",
        ),
        K::Unreachable => (
            "det finnes ingen vei til {hosts}: {seen}",
            "gi denne maskinen en rute dit, eller tillat det i brannmuren",
        ),
        K::NothingPasses => (
            "ingenting kommer tilbake utenfra: {hosts} forblir uten svar",
            "se om dette nettverket har en vei til internett i det hele tatt, og tillat deretter {hosts} i brannmuren",
        ),
        K::Ipv6Broken => (
            "IPv6 fører ingen steder, mens IPv4 virker: {hosts}",
            "slipp gjennom og rut IPv6 på samme måte som IPv4, eller tilby det ikke (router advertisements, AAAA-poster)",
        ),
        K::MtuHole => (
            "forbindelser til {hosts} åpnes, men lange pakker går tapt underveis: {seen}",
            "slipp gjennom ICMP «fragmentation needed» og «packet too big», eller senk MTU eller MSS på veien",
        ),
        K::Prohibited => (
            "et pakkefilter forbyr {subject} til {hosts}",
            "tillat {subject} til {hosts}",
        ),
        K::Refused => (
            "{subject} til {hosts} avvises: stengt der, eller avbrutt underveis",
            "tillat {subject} til {hosts}; er det allerede tillatt, spør om serveren er oppe",
        ),
        K::Silent => (
            "{subject} til {hosts} får ikke svar: forkastes underveis",
            "tillat {subject} til {hosts}",
        ),
        K::UdpBlocked => (
            "UDP slipper ikke gjennom: {hosts} får ikke svar over UDP, mens TCP kommer frem",
            "tillat UDP til {hosts} i brannmuren, og svarene på det: navn, tid og tale trenger det",
        ),
        K::Stalled => (
            "{subject} til {hosts} åpnes, men så kommer ingenting: {seen}",
            "unnta det fra inspeksjon i brannmur og proxy; spør ellers leverandøren",
        ),
        K::Cut => (
            "{subject} til {hosts} åpnes og brytes så: {seen}",
            "unnta det fra inspeksjon i brannmur og proxy; spør ellers leverandøren",
        ),
        K::WrongProtocol => (
            "{hosts}: {seen}",
            "finn ut hvem som svarer der: en portal, en proxy eller leverandøren",
        ),
        K::TlsRefused => (
            "{hosts}: {seen}",
            "unnta det fra TLS-inspeksjon; spør ellers leverandøren",
        ),
        K::TlsTooOld => (
            "{hosts}: {seen}",
            "unnta det fra TLS-inspeksjon hvis en gammel proxy svarer; spør ellers leverandøren",
        ),
        K::TlsInspected => (
            "{hosts}: sertifikatet er utstedt av {subject}{maker}, som ikke er noen offentlig utsteder: TLS inspiseres underveis{exempt}",
            "unnta disse navnene fra TLS-inspeksjon",
        ),
        K::CertificateUntrusted => (
            "{hosts}: sertifikatet er utstedt av {subject}, som ikke er klarert her",
            "unnta disse navnene fra TLS-inspeksjon, eller oppgi utstederen med --ca",
        ),
        K::CertificatePrivate => (
            "{hosts}: sertifikatet er utstedt av {subject}, en utsteder som ikke teller her; ingen inspiserer TLS på veien, for begge ender ser samme forbindelse",
            "la produktet stole på utstederen hvis den er leverandørens (kontrollen, med --ca); be ellers leverandøren om et sertifikat fra en offentlig utsteder",
        ),
        K::CertificateOutOfDate => (
            "{hosts}: {seen}",
            "be leverandøren om et gyldig sertifikat; se også på klokken til denne maskinen",
        ),
        K::CertificateWrongName => (
            "{hosts}: {seen}",
            "finn ut hvem som svarer for dette navnet: en portal, en proxy eller leverandøren",
        ),
        K::CertificateWrong => (
            "{hosts}: {seen}",
            "unnta disse navnene fra TLS-inspeksjon; spør ellers leverandøren",
        ),
        K::ProxyLogin => (
            "en proxy på veien til {hosts} krever innlogging: {seen}",
            "gi produktet en innlogging for proxyen (og sjekken, med --proxy), eller slipp disse navnene gjennom proxyen uten",
        ),
        K::ProxyForbids => (
            "proxyen fører ikke til {hosts}: {seen}",
            "tillat disse navnene og portene i proxyen",
        ),
        K::ProxyCannotReach => (
            "proxyen kommer ikke fram til {hosts}: {seen}",
            "se om proxyen selv har lov til å gå dit; har den det, spør om serveren er oppe",
        ),
        K::ProxyUnreachable => (
            "{seen}",
            "start proxyen, rett adressen dens, eller la denne maskinen nå den",
        ),
        K::ProxyNeeded => (
            "{hosts}: {seen}",
            "la produktet bruke proxyen {subject}, eller åpne den direkte veien i brannmuren",
        ),
        K::ProxyScript => (
            "proxyskriptet sier ikke hvilken vei som gjelder: {seen}",
            "rett proxyskriptet, eller oppgi proxyen med --proxy",
        ),
        K::ServerError => (
            "{hosts}: {seen}",
            "veien er åpen; spør leverandøren hva som er galt med serveren",
        ),
        K::SomebodyElse => (
            "{hosts}: {seen}",
            "finn ut hvem som svarer der: en innloggingsportal, sperresiden til en proxy eller leverandøren",
        ),
        K::WrongAnswer => (
            "{hosts}: {seen}",
            "finn ut hvem som svarer der: en portal, en proxy eller leverandøren",
        ),
        K::WebSocketBlocked => (
            "WebSocket til {hosts} virker ikke: {seen}",
            "slipp WebSocket-oppgraderinger gjennom proxyen, og hold dem åpne",
        ),
        K::WebSocketStripped => (
            "WebSocket til {hosts} slippes ikke gjennom: noen på veien fjerner oppkoblingen ({seen})",
            "slipp gjennom WebSocket-oppgraderinger: HTTP/1.1 med feltene Upgrade og Connection; eller unnta disse navnene i proxyen",
        ),
        K::WebSocketClosed => (
            "WebSocket til {hosts} godtas og lukkes straks: {seen}",
            "unnta disse navnene fra inspeksjon i brannmur og proxy; spør ellers leverandøren",
        ),
        K::WebSocketCut => (
            "WebSocket til {hosts} virker og brytes så: {seen}",
            "øk tiden en stille forbindelse til disse navnene får stå i brannmur og proxy",
        ),
        K::StreamBuffered => (
            "det {hosts} sender bit for bit, holdes tilbake på veien: {seen}",
            "la proxyen sende svar videre etter hvert som de kommer, uten å mellomlagre eller kontrollere dem i sin helhet; spør ellers leverandøren",
        ),
        K::PollCut => (
            "en forespørsel til {hosts} som venter på svar, brytes: {seen}",
            "øk tiden proxyen venter på svar fra disse navnene",
        ),
        K::CaptivePortal => (
            "en portal svarer i stedet for {hosts}: {seen}",
            "logg denne maskinen inn i portalen, eller unnta den fra portalen",
        ),
        K::MqttBlocked => (
            "MQTT til {hosts} kommer ikke gjennom selv om forbindelsen åpnes: {seen}",
            "tillat MQTT dit i brannmurens programkontroll; spør ellers leverandøren",
        ),
        K::StartTlsMissing => (
            "{hosts}: {seen}",
            "la ingenting underveis fjerne tilbudet om TLS; slå ellers på TLS på serveren",
        ),
        K::DhcpSilent => (
            "ingen DHCP-tjener svarer",
            "slå på DHCP-tjeneren, eller slipp DHCP (UDP 67 og 68) gjennom: relay-agent, DHCP-snooping, klientisolering og pakkefilteret på denne maskinen",
        ),
        K::DhcpServersDiffer => (
            "{seen}: hvilke innstillinger en enhet får, er tilfeldig",
            "finn DHCP-tjeneren som ikke skal være der, og slå den av (DHCP-snooping i svitsjene holder slike tjenere ute); er begge ment, må de dele ut det samme",
        ),
        K::NoTimeServer => (
            "{seen}, og produktet henter tiden sin derfra",
            "la DHCP-tjeneren dele ut en tidstjener (valg 42; med DHCPv6 valg 56 eller 31)",
        ),
        K::NobodyAnswers => (
            "ingen i det lokale nettverket svarer på {hosts}",
            "se etter om enheten er på; slipp multicast gjennom mellom de to: klientisolering, IGMP- og MLD-snooping",
        ),
        K::NatVaries => (
            "ruteren eller brannmuren viser denne maskinen med en annen adresse eller port til hvert sted: {seen} (RFC 4787, sett hos {hosts})",
            "behold tilordningen av UDP uansett hvem den går til (endpoint-independent mapping, consistent NAT), eller videresend taleportene til denne maskinen",
        ),
        K::SipRewritten => (
            "en ruter eller brannmur på veien til {hosts} skriver om SIP: {seen}",
            "slå av SIP ALG (også kalt SIP-helper eller SIP-inspeksjon) i ruteren eller brannmuren",
        ),
        K::RtpBlocked => (
            "porter for tale til {hosts} er sperret: {seen}",
            "tillat UDP til {hosts} på hele portområdet",
        ),
        K::SpeechPoor => (
            "tale til {hosts} lider på veien: {seen}",
            "gi tale forrang i ruteren (DSCP 46, «EF» etter RFC 3246), se etter om linjen er full og om wifi ligger på veien; er dette nettet i orden, spør leverandøren av linjen",
        ),
        K::NotPermitted => (
            "{seen}",
            "kjør kontrollen med de rettighetene som den ber om",
        ),
    };
    Said { what, act }
}
