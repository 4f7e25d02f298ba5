//! Swedish.

use super::{Said, Words};
use crate::cause::{CauseKind as K, Owner};

/// The words.
pub(super) const WORDS: Words = Words {
    kinds,
    owners,
    behind: "{time} efter",
    ahead: "{time} före",
    day: "1 dygn",
    days: "{n} dygn",
    listed: "{names} och {n} till",
    exempt: "; inte inspekterat: {names}",
    partly: "; tills vidare går SignalR över {works}",
    stranded: "; över {works} skulle SignalR komma fram, men klienterna fastnar vid {fails} och provar det aldrig",
    title: "Kontroll av {product}",
    version: "version {version}, från {party}",
    netns: ", i nätverksnamnrymden {name}",
    user: ", som användaren {name}",
    newest: "senaste",
    verdict_pass: "Allt som krävs fungerar",
    verdict_warn: "Allt som krävs fungerar, men inte allt som det ska",
    verdict_incomplete: "Något som krävs prövades inte",
    verdict_fail: "Något som krävs fungerar inte",
    causes: "Vad som är fel, och vem som rättar det",
    no_causes: "Inga fel hittades.",
    cause: "Orsak",
    owner: "Vems",
    act: "Vad som ska göras",
    rules: "Regler för brandväggen ({target})",
    lanes_down: "Anslutningar",
    lanes: "Alla anslutningar",
    lane: "Anslutning",
    need: "Behov",
    need_required: "krävs",
    need_optional: "valfri",
    need_diagnostic: "endast support",
    outcome: "Resultat",
    outcome_pass: "fungerar",
    outcome_warn: "varning",
    outcome_fail: "fungerar inte",
    outcome_not_applicable: "ej tillämpligt",
    outcome_not_run: "prövades inte",
    detail: "Detalj",
    evidence: "Underlag",
    started: "Startad {when}, tog {seconds} s",
    masked: "Nätverkets adresser är ersatta med namn som address-1.",
};

fn owners(owner: Owner) -> &'static str {
    match owner {
        Owner::Firewall => "brandvägg",
        Owner::Dns => "DNS",
        Owner::Dhcp => "DHCP-server",
        Owner::Lan => "lokalt nätverk",
        Owner::Proxy => "proxy eller TLS-inspektion",
        Owner::ThisMachine => "den här maskinen",
        Owner::TimeServer => "tidsserver",
        Owner::Vendor => "leverantör",
        Owner::FirewallOrVendor => "brandvägg eller leverantör",
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a line a kind, to be read side by side with the other languages"
)]
fn kinds(kind: K) -> Said {
    let (what, act) = match kind {
        K::ClockWrong => (
            "den här maskinens klocka går {clock}",
            "ställ klockan; certifikat och signerade nycklar bedöms efter den",
        ),
        K::TimeServerWrong => (
            "enligt {hosts} går den här maskinens klocka {clock}, men andra servrar håller med maskinen",
            "rätta klockan på {hosts}, eller låt DHCP ange en annan tidsserver",
        ),
        K::ClocksDiffer => (
            "enligt {hosts} går den här maskinens klocka {clock}",
            "jämför båda med en klocka som säkert går rätt, och ställ den som går fel",
        ),
        K::TimeServerUnready => (
            "{hosts}: {seen}",
            "låt tidsservern först få sin egen tid, eller ange en annan",
        ),
        K::NoNameServer => (
            "den här maskinen har ingen namnserver: {seen} (frågade efter {hosts})",
            "ställ in en namnserver på den här maskinen: DHCP delar ut dem, eller en rad `nameserver ADRESS` i /etc/resolv.conf säger var en finns",
        ),
        K::ResolverUnavailable => (
            "namn kan inte slås upp: {seen} (frågade efter {hosts})",
            "ge den här maskinen en namnserver som den når (port 53, UDP och TCP)",
        ),
        K::NameServerSilent => (
            "namnservern {subject} svarar inte: den som söker ett namn väntar först på den innan nästa tillfrågas ({hosts})",
            "starta namnservern {subject} eller släpp igenom port 53 till den (UDP och TCP); ta annars bort den från listan som DHCP eller resolv.conf ger den här maskinen",
        ),
        K::LargeDnsAnswersLost => (
            "svar från namnservrarna som är för långa för UDP kommer inte fram ({hosts}): {seen}",
            "tillåt TCP 53 till namnservrarna utöver UDP 53",
        ),
        K::DnsOverTcpOnly => (
            "namnservrarna svarar över TCP men inte över UDP, som produkter frågar: {seen} (frågade efter {hosts})",
            "tillåt UDP 53 till namnservrarna utöver TCP 53",
        ),
        K::NameSignaturesBroken => (
            "{hosts}: {seen}",
            "se efter namnservrarnas klocka och filter som ändrar deras svar; är båda i ordning har namnets ägare signerat det fel",
        ),
        K::NameHidden => (
            "det här nätets namnservrar lämnar inte ut {subject}: {seen}",
            "undanta {subject} från namnservrarnas filter; känner de bara egna namn, låt dem fråga andra (vidarebefordran)",
        ),
        K::NameGone => (
            "{subject} finns inte alls: {seen}",
            "fråga leverantören vilket namn som menas",
        ),
        K::ServiceNotOffered => (
            "{subject} erbjuds inte: {seen}",
            "fråga leverantören var tjänsten finns; namnets ägare säger att den inte finns där",
        ),
        K::NameNotFound => (
            "{subject} finns inte enligt nätverkets namnservrar",
            "låt namnservrarna slå upp {subject}; ett filter kan dölja namnet",
        ),
        K::NameWithoutAddress => (
            "{subject} finns men har ingen adress här",
            "låt namnservrarna svara med adresserna för {subject}",
        ),
        K::NameBlocked => (
            "det här nätets namnservrar skickar {subject} ingenstans, eller till en maskin i det här nätet, i stället för till leverantören",
            "undanta {subject} från namnservrarnas filter; ska servern stå i det här nätet, undersök om den är i gång",
        ),
        K::Unreachable => (
            "det finns ingen väg till {hosts}: {seen}",
            "ge den här maskinen en väg dit, eller tillåt det i brandväggen",
        ),
        K::NothingPasses => (
            "inget kommer tillbaka utifrån: {hosts} förblir utan svar",
            "se om nätverket alls har en väg till internet, och tillåt sedan {hosts} i brandväggen",
        ),
        K::Ipv6Broken => (
            "IPv6 leder ingenstans, medan IPv4 fungerar: {hosts}",
            "släpp igenom och dirigera IPv6 på samma sätt som IPv4, eller erbjud det inte (router advertisements, AAAA-poster)",
        ),
        K::MtuHole => (
            "anslutningar till {hosts} öppnas, men långa paket går förlorade på vägen: {seen}",
            "släpp igenom ICMP ”fragmentation needed” och ”packet too big”, eller sänk MTU eller MSS på vägen",
        ),
        K::Prohibited => (
            "ett paketfilter förbjuder {subject} till {hosts}",
            "tillåt {subject} till {hosts}",
        ),
        K::Refused => (
            "{subject} till {hosts} avvisas: stängt där, eller avbrutet på vägen",
            "tillåt {subject} till {hosts}; om det redan är tillåtet, fråga om servern är i gång",
        ),
        K::Silent => (
            "{subject} till {hosts} får inget svar: kastas på vägen",
            "tillåt {subject} till {hosts}",
        ),
        K::UdpBlocked => (
            "UDP kommer inte igenom: {hosts} får inget svar över UDP, medan TCP kommer fram",
            "tillåt UDP till {hosts} i brandväggen, och svaren på det: namn, tid och tal behöver det",
        ),
        K::Stalled => (
            "{subject} till {hosts} öppnas, men sedan kommer inget: {seen}",
            "undanta det från inspektion i brandvägg och proxy; fråga annars leverantören",
        ),
        K::Cut => (
            "{subject} till {hosts} öppnas och bryts sedan: {seen}",
            "undanta det från inspektion i brandvägg och proxy; fråga annars leverantören",
        ),
        K::WrongProtocol => (
            "{hosts}: {seen}",
            "ta reda på vem som svarar där: en portal, en proxy eller leverantören",
        ),
        K::TlsRefused => (
            "{hosts}: {seen}",
            "undanta det från TLS-inspektion; fråga annars leverantören",
        ),
        K::TlsTooOld => (
            "{hosts}: {seen}",
            "undanta det från TLS-inspektion om en gammal proxy svarar; fråga annars leverantören",
        ),
        K::TlsInspected => (
            "{hosts}: certifikatet är utfärdat av {subject}{maker}, som inte är någon offentlig utfärdare: TLS inspekteras på vägen{exempt}",
            "undanta dessa namn från TLS-inspektion",
        ),
        K::CertificateUntrusted => (
            "{hosts}: certifikatet är utfärdat av {subject}, som inte är betrodd här",
            "undanta dessa namn från TLS-inspektion, eller ange utfärdaren med --ca",
        ),
        K::CertificatePrivate => (
            "{hosts}: certifikatet är utfärdat av {subject}, en utfärdare som inte räknas här; ingen inspekterar TLS på vägen, för båda ändar ser samma anslutning",
            "låt produkten lita på utfärdaren om den är leverantörens (kontrollen, med --ca); be annars leverantören om ett certifikat från en offentlig utfärdare",
        ),
        K::CertificateOutOfDate => (
            "{hosts}: {seen}",
            "be leverantören om ett giltigt certifikat; kontrollera även den här maskinens klocka",
        ),
        K::CertificateWrongName => (
            "{hosts}: {seen}",
            "ta reda på vem som svarar för detta namn: en portal, en proxy eller leverantören",
        ),
        K::CertificateWrong => (
            "{hosts}: {seen}",
            "undanta dessa namn från TLS-inspektion; fråga annars leverantören",
        ),
        K::ProxyLogin => (
            "en proxy på vägen till {hosts} vill ha inloggning: {seen}",
            "ge produkten en inloggning till proxyn (och kontrollen, med --proxy), eller släpp igenom dessa namn utan",
        ),
        K::ProxyForbids => (
            "proxyn leder inte till {hosts}: {seen}",
            "tillåt dessa namn och portar i proxyn",
        ),
        K::ProxyCannotReach => (
            "proxyn kommer inte fram till {hosts}: {seen}",
            "se om proxyn själv får gå dit; får den det, fråga om servern är uppe",
        ),
        K::ProxyUnreachable => (
            "{seen}",
            "starta proxyn, rätta dess adress eller låt den här maskinen nå den",
        ),
        K::ProxyNeeded => (
            "{hosts}: {seen}",
            "låt produkten använda proxyn {subject}, eller öppna den direkta vägen i brandväggen",
        ),
        K::ProxyScript => (
            "proxyskriptet säger inte vilken väg som gäller: {seen}",
            "rätta proxyskriptet, eller ange proxyn med --proxy",
        ),
        K::ServerError => (
            "{hosts}: {seen}",
            "vägen är öppen; fråga leverantören vad som är fel med servern",
        ),
        K::SomebodyElse => (
            "{hosts}: {seen}",
            "ta reda på vem som svarar där: en inloggningsportal, en proxys spärrsida eller leverantören",
        ),
        K::WrongAnswer => (
            "{hosts}: {seen}",
            "ta reda på vem som svarar där: en portal, en proxy eller leverantören",
        ),
        K::WebSocketBlocked => (
            "WebSocket till {hosts} fungerar inte: {seen}",
            "släpp igenom WebSocket-uppgraderingar i proxyn och håll dem öppna",
        ),
        K::WebSocketStripped => (
            "WebSocket till {hosts} släpps inte igenom: någon på vägen tar bort handskakningen ({seen})",
            "släpp igenom WebSocket-uppgraderingar: HTTP/1.1 med fälten Upgrade och Connection; eller undanta dessa namn i proxyn",
        ),
        K::WebSocketClosed => (
            "WebSocket till {hosts} godtas och stängs genast: {seen}",
            "undanta dessa namn från inspektion i brandvägg och proxy; fråga annars leverantören",
        ),
        K::WebSocketCut => (
            "WebSocket till {hosts} fungerar och bryts sedan: {seen}",
            "höj tiden som en tyst anslutning till dessa namn får stå i brandvägg och proxy",
        ),
        K::StreamBuffered => (
            "det som {hosts} sänder bit för bit hålls kvar på vägen: {seen}",
            "låt proxyn skicka svar vidare allteftersom de kommer, utan att buffra eller granska dem hela; fråga annars leverantören",
        ),
        K::PollCut => (
            "en fråga till {hosts} som väntar på sitt svar bryts: {seen}",
            "höj tiden som proxyn väntar på svar från dessa namn",
        ),
        K::CaptivePortal => (
            "en portal svarar i stället för {hosts}: {seen}",
            "logga in den här maskinen i portalen, eller undanta den från portalen",
        ),
        K::MqttBlocked => (
            "MQTT till {hosts} kommer inte fram trots att anslutningen öppnas: {seen}",
            "tillåt MQTT dit i brandväggens programkontroll; fråga annars leverantören",
        ),
        K::StartTlsMissing => (
            "{hosts}: {seen}",
            "låt inget på vägen ta bort erbjudandet om TLS; slå annars på TLS på servern",
        ),
        K::DhcpSilent => (
            "ingen DHCP-server svarar",
            "slå på DHCP-servern, eller släpp igenom DHCP (UDP 67 och 68): reläagent, DHCP-snooping, klientisolering och den här maskinens eget paketfilter",
        ),
        K::DhcpServersDiffer => (
            "{seen}: vilka inställningar en enhet får är en slump",
            "hitta den DHCP-server som inte ska finnas där och stäng av den (DHCP-snooping i växlarna håller sådana servrar borta); är båda avsedda ska de dela ut samma sak",
        ),
        K::NoTimeServer => (
            "{seen}, och produkten hämtar sin tid därifrån",
            "låt DHCP-servern dela ut en tidsserver (alternativ 42; med DHCPv6 alternativ 56 eller 31)",
        ),
        K::NobodyAnswers => (
            "ingen i det lokala nätverket svarar på {hosts}",
            "se efter om enheten är på; släpp igenom multicast mellan de två: klientisolering, IGMP- och MLD-snooping",
        ),
        K::NatVaries => (
            "routern eller brandväggen visar den här maskinen under en annan adress eller port för varje ställe: {seen} (RFC 4787, sett hos {hosts})",
            "behåll mappningen av UDP vem den än går till (endpoint-independent mapping, consistent NAT), eller vidarebefordra talets portar till den här maskinen",
        ),
        K::SipRewritten => (
            "en router eller brandvägg på vägen till {hosts} skriver om SIP: {seen}",
            "stäng av SIP ALG (även kallat SIP-helper eller SIP-inspektion) i routern eller brandväggen",
        ),
        K::RtpBlocked => (
            "portar för tal till {hosts} är spärrade: {seen}",
            "tillåt UDP till {hosts} på hela portområdet",
        ),
        K::SpeechPoor => (
            "tal till {hosts} blir lidande på vägen: {seen}",
            "ge tal företräde i routern (DSCP 46, ”EF” enligt RFC 3246), se efter om förbindelsen är full och om wifi ligger på vägen; är det här nätet i ordning, fråga förbindelsens leverantör",
        ),
        K::NotPermitted => ("{seen}", "kör kontrollen med de rättigheter som den ber om"),
    };
    Said { what, act }
}
