//! German.

use super::{Said, Words};
use crate::cause::{CauseKind as K, Owner};

/// The words.
pub(super) const WORDS: Words = Words {
    kinds,
    owners,
    behind: "{time} nach",
    ahead: "{time} vor",
    day: "1 Tag",
    days: "{n} Tage",
    listed: "{names} und {n} weitere",
    exempt: "; nicht aufgebrochen: {names}",
    partly: "; bis dahin läuft SignalR über {works}",
    stranded: "; über {works} käme SignalR durch, doch seine Clients bleiben bei {fails} hängen und versuchen das nie",
    title: "Prüfung von {product}",
    version: "Version {version}, von {party}",
    netns: ", im Netz-Namensraum {name}",
    user: ", als Benutzer {name}",
    newest: "neueste",
    verdict_pass: "Alles Erforderliche funktioniert",
    verdict_warn: "Alles Erforderliche funktioniert, aber nicht alles so, wie es soll",
    verdict_incomplete: "Etwas Erforderliches wurde nicht geprüft",
    verdict_fail: "Etwas Erforderliches funktioniert nicht",
    causes: "Was nicht stimmt, und wer es behebt",
    no_causes: "Es wurde kein Fehler gefunden.",
    cause: "Ursache",
    owner: "Zuständig",
    act: "Was zu tun ist",
    rules: "Regeln für die Firewall ({target})",
    lanes_down: "Verbindungen",
    lanes: "Alle Verbindungen",
    lane: "Verbindung",
    need: "Bedarf",
    need_required: "erforderlich",
    need_optional: "optional",
    need_diagnostic: "nur Support",
    outcome: "Ergebnis",
    outcome_pass: "funktioniert",
    outcome_warn: "Warnung",
    outcome_fail: "funktioniert nicht",
    outcome_not_applicable: "nicht anwendbar",
    outcome_not_run: "nicht geprüft",
    detail: "Einzelheit",
    evidence: "Belege",
    started: "Begonnen {when}, Dauer {seconds} s",
    masked: "Adressen dieses Netzes sind durch Namen wie address-1 ersetzt.",
};

fn owners(owner: Owner) -> &'static str {
    match owner {
        Owner::Firewall => "Firewall",
        Owner::Dns => "DNS",
        Owner::Dhcp => "DHCP-Server",
        Owner::Lan => "lokales Netz",
        Owner::Proxy => "Proxy oder TLS-Inspektion",
        Owner::ThisMachine => "dieses Gerät",
        Owner::TimeServer => "Zeitserver",
        Owner::Vendor => "Hersteller",
        Owner::FirewallOrVendor => "Firewall oder Hersteller",
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a line a kind, to be read side by side with the other languages"
)]
fn kinds(kind: K) -> Said {
    let (what, act) = match kind {
        K::ClockWrong => (
            "die Uhr dieses Geräts geht {clock}",
            "die Uhr stellen; Zertifikate und signierte Schlüssel werden nach ihr beurteilt",
        ),
        K::TimeServerWrong => (
            "nach {hosts} geht die Uhr dieses Geräts {clock}, aber andere Server stimmen mit dem Gerät überein",
            "die Uhr von {hosts} richtigstellen oder per DHCP einen anderen Zeitserver angeben",
        ),
        K::ClocksDiffer => (
            "nach {hosts} geht die Uhr dieses Geräts {clock}",
            "beide mit einer Uhr vergleichen, die sicher richtig geht, und die falsche stellen",
        ),
        K::TimeServerUnready => (
            "{hosts}: {seen}",
            "den Zeitserver zuerst seine eigene Zeit finden lassen oder einen anderen angeben",
        ),
        K::NoNameServer => (
            "dieser Rechner hat keinen Nameserver: {seen} (gefragt nach {hosts})",
            "einen Nameserver auf diesem Rechner einrichten: DHCP teilt Nameserver mit, oder eine Zeile `nameserver ADRESSE` in /etc/resolv.conf nennt einen",
        ),
        K::ResolverUnavailable => (
            "Namen können nicht aufgelöst werden: {seen} (gefragt nach {hosts})",
            "diesem Gerät einen Nameserver geben, den es erreicht (Port 53, UDP und TCP)",
        ),
        K::NameServerSilent => (
            "der Nameserver {subject} antwortet nicht: wer einen Namen sucht, wartet erst auf ihn, bevor der nächste gefragt wird ({hosts})",
            "den Nameserver {subject} starten oder Port 53 zu ihm durchlassen (UDP und TCP); sonst ihn von der Liste nehmen, die DHCP oder resolv.conf diesem Gerät gibt",
        ),
        K::LargeDnsAnswersLost => (
            "Antworten der Nameserver, die für UDP zu lang sind, kommen nicht an ({hosts}): {seen}",
            "TCP 53 zu den Nameservern neben UDP 53 erlauben",
        ),
        K::DnsOverTcpOnly => (
            "die Nameserver antworten über TCP, aber nicht über UDP, wie Produkte fragen: {seen} (gefragt nach {hosts})",
            "UDP 53 zu den Nameservern neben TCP 53 erlauben",
        ),
        K::NameSignaturesBroken => (
            "{hosts}: {seen}",
            "nach der Uhr der Nameserver sehen und nach Filtern, die ihre Antworten ändern; ist beides in Ordnung, hat der Inhaber den Namen falsch signiert",
        ),
        K::NameHidden => (
            "die Nameserver dieses Netzes geben {subject} nicht heraus: {seen}",
            "{subject} vom Filter der Nameserver ausnehmen; kennen sie nur eigene Namen, sie andere fragen lassen (Weiterleitung)",
        ),
        K::NameGone => (
            "{subject} gibt es überhaupt nicht: {seen}",
            "den Hersteller fragen, welcher Name gemeint ist",
        ),
        K::ServiceNotOffered => (
            "{subject} wird nicht angeboten: {seen}",
            "den Hersteller fragen, wo der Dienst ist; der Inhaber des Namens sagt, dass er dort nicht ist",
        ),
        K::NameNotFound => (
            "{subject} gibt es für die Nameserver dieses Netzes nicht",
            "die Nameserver {subject} auflösen lassen; ein Filter verbirgt den Namen vielleicht",
        ),
        K::NameWithoutAddress => (
            "{subject} gibt es, hat hier aber keine Adresse",
            "die Nameserver mit den Adressen von {subject} antworten lassen",
        ),
        K::NameBlocked => (
            "die Nameserver dieses Netzes schicken {subject} ins Leere oder zu einem Gerät dieses Netzes statt zum Hersteller",
            "{subject} vom Filter der Nameserver ausnehmen; soll der Server in diesem Netz stehen, prüfen, ob er läuft",
        ),
        K::Unreachable => (
            "es gibt keinen Weg zu {hosts}: {seen}",
            "diesem Gerät eine Route dorthin geben oder es in der Firewall freigeben",
        ),
        K::NothingPasses => (
            "von außen kommt nichts zurück: {hosts} bleiben ohne Antwort",
            "prüfen, ob dieses Netz überhaupt einen Weg ins Internet hat, dann {hosts} in der Firewall freigeben",
        ),
        K::Ipv6Broken => (
            "IPv6 führt nirgendwohin, IPv4 geht: {hosts}",
            "IPv6 wie IPv4 durchlassen und weiterleiten oder es nicht anbieten (Router Advertisements, AAAA-Einträge)",
        ),
        K::MtuHole => (
            "Verbindungen zu {hosts} öffnen sich, aber lange Pakete gehen unterwegs verloren: {seen}",
            "ICMP „fragmentation needed“ und „packet too big“ durchlassen oder MTU oder MSS auf dem Weg senken",
        ),
        K::Prohibited => (
            "ein Paketfilter verbietet {subject} zu {hosts}",
            "{subject} zu {hosts} freigeben",
        ),
        K::Refused => (
            "{subject} zu {hosts} wird abgewiesen: dort geschlossen oder unterwegs zurückgesetzt",
            "{subject} zu {hosts} freigeben; wenn es schon frei ist, fragen, ob der Server läuft",
        ),
        K::Silent => (
            "{subject} zu {hosts} bleibt ohne Antwort: unterwegs verworfen",
            "{subject} zu {hosts} freigeben",
        ),
        K::UdpBlocked => (
            "UDP kommt nicht durch: {hosts} bleiben über UDP ohne Antwort, während TCP durchkommt",
            "UDP zu {hosts} und die Antworten darauf in der Firewall freigeben: Namen, Zeit und Sprache brauchen es",
        ),
        K::Stalled => (
            "{subject} zu {hosts} wird geöffnet, aber dann kommt nichts: {seen}",
            "von der Prüfung durch Firewall und Proxy ausnehmen; sonst den Hersteller fragen",
        ),
        K::Cut => (
            "{subject} zu {hosts} wird geöffnet und dann abgebrochen: {seen}",
            "von der Prüfung durch Firewall und Proxy ausnehmen; sonst den Hersteller fragen",
        ),
        K::WrongProtocol => (
            "{hosts}: {seen}",
            "herausfinden, wer dort antwortet: ein Portal, ein Proxy oder der Hersteller",
        ),
        K::TlsRefused => (
            "{hosts}: {seen}",
            "von der TLS-Inspektion ausnehmen; sonst den Hersteller fragen",
        ),
        K::TlsTooOld => (
            "{hosts}: {seen}",
            "von der TLS-Inspektion ausnehmen, falls ein alter Proxy antwortet; sonst den Hersteller fragen",
        ),
        K::TlsInspected => (
            "{hosts}: das Zertifikat ist von {subject}{maker} ausgestellt, keiner öffentlichen Stelle: TLS wird unterwegs aufgebrochen{exempt}",
            "diese Namen von der TLS-Inspektion ausnehmen",
        ),
        K::CertificateUntrusted => (
            "{hosts}: das Zertifikat ist von {subject} ausgestellt, dem hier nicht vertraut wird",
            "diese Namen von der TLS-Inspektion ausnehmen oder den Aussteller mit --ca angeben",
        ),
        K::CertificatePrivate => (
            "{hosts}: das Zertifikat ist von {subject} ausgestellt, einer Stelle, die hier nicht zählt; unterwegs wird TLS nicht aufgebrochen, denn beide Enden sehen dieselbe Verbindung",
            "das Produkt dieser Stelle vertrauen lassen, wenn sie die des Herstellers ist (die Prüfung mit --ca); sonst den Hersteller um ein Zertifikat einer öffentlichen Stelle bitten",
        ),
        K::CertificateOutOfDate => (
            "{hosts}: {seen}",
            "den Hersteller um ein gültiges Zertifikat bitten; auch die Uhr dieses Geräts prüfen",
        ),
        K::CertificateWrongName => (
            "{hosts}: {seen}",
            "herausfinden, wer für diesen Namen antwortet: ein Portal, ein Proxy oder der Hersteller",
        ),
        K::CertificateWrong => (
            "{hosts}: {seen}",
            "diese Namen von der TLS-Inspektion ausnehmen; sonst den Hersteller fragen",
        ),
        K::ProxyLogin => (
            "ein Proxy auf dem Weg zu {hosts} verlangt eine Anmeldung: {seen}",
            "dem Produkt eine Anmeldung für den Proxy geben (und der Prüfung, mit --proxy) oder diese Namen ohne Anmeldung durch den Proxy lassen",
        ),
        K::ProxyForbids => (
            "der Proxy führt nicht zu {hosts}: {seen}",
            "diese Namen und Ports im Proxy erlauben",
        ),
        K::ProxyCannotReach => (
            "der Proxy kommt nicht zu {hosts} durch: {seen}",
            "prüfen, ob der Proxy selbst dorthin darf; wenn ja, fragen, ob der Server läuft",
        ),
        K::ProxyUnreachable => (
            "{seen}",
            "den Proxy starten, seine Adresse berichtigen oder diesem Rechner den Weg zu ihm erlauben",
        ),
        K::ProxyNeeded => (
            "{hosts}: {seen}",
            "das Produkt den Proxy {subject} benutzen lassen oder den direkten Weg in der Firewall öffnen",
        ),
        K::ProxyScript => (
            "das Proxy-Skript sagt nicht, wie es weitergeht: {seen}",
            "das Proxy-Skript berichtigen oder den Proxy mit --proxy nennen",
        ),
        K::ServerError => (
            "{hosts}: {seen}",
            "der Weg ist offen; den Hersteller fragen, was mit dem Server ist",
        ),
        K::SomebodyElse => (
            "{hosts}: {seen}",
            "herausfinden, wer dort antwortet: ein Anmeldeportal, die Sperrseite eines Proxys oder der Hersteller",
        ),
        K::WrongAnswer => (
            "{hosts}: {seen}",
            "herausfinden, wer dort antwortet: ein Portal, ein Proxy oder der Hersteller",
        ),
        K::WebSocketBlocked => (
            "WebSocket zu {hosts} funktioniert nicht: {seen}",
            "WebSocket-Upgrades durch den Proxy lassen und offen halten",
        ),
        K::WebSocketStripped => (
            "WebSocket zu {hosts} wird nicht durchgelassen: jemand auf dem Weg entfernt den Handshake ({seen})",
            "WebSocket-Upgrades durchlassen: HTTP/1.1 mit den Kopfzeilen Upgrade und Connection; oder diese Namen am Proxy ausnehmen",
        ),
        K::WebSocketClosed => (
            "WebSocket zu {hosts} wird angenommen und sofort geschlossen: {seen}",
            "diese Namen von der Prüfung durch Firewall und Proxy ausnehmen; sonst den Hersteller fragen",
        ),
        K::WebSocketCut => (
            "WebSocket zu {hosts} funktioniert und wird dann getrennt: {seen}",
            "in Firewall und Proxy für diese Namen die Zeit bis zur Trennung bei Ruhe erhöhen",
        ),
        K::StreamBuffered => (
            "was {hosts} Stück für Stück sendet, wird unterwegs zurückgehalten: {seen}",
            "den Proxy Antworten weitergeben lassen, wie sie kommen, ohne sie zu puffern oder ganz zu prüfen; sonst den Hersteller fragen",
        ),
        K::PollCut => (
            "eine Anfrage an {hosts}, die auf ihre Antwort wartet, wird abgebrochen: {seen}",
            "die Zeit erhöhen, die der Proxy auf Antworten dieser Namen wartet",
        ),
        K::CaptivePortal => (
            "ein Portal antwortet anstelle von {hosts}: {seen}",
            "dieses Gerät am Portal anmelden oder vom Portal ausnehmen",
        ),
        K::MqttBlocked => (
            "MQTT zu {hosts} kommt nicht durch, obwohl sich die Verbindung öffnet: {seen}",
            "MQTT dorthin in der Anwendungskontrolle der Firewall erlauben; sonst den Hersteller fragen",
        ),
        K::StartTlsMissing => (
            "{hosts}: {seen}",
            "nichts unterwegs das Angebot von TLS entfernen lassen; sonst TLS am Server einschalten",
        ),
        K::DhcpSilent => (
            "kein DHCP-Server antwortet",
            "den DHCP-Server einschalten oder DHCP (UDP 67 und 68) durchlassen: Relay-Agent, DHCP-Snooping, Client-Isolation und der Paketfilter dieses Rechners selbst",
        ),
        K::DhcpServersDiffer => (
            "{seen}: welche Einstellungen ein Gerät erhält, ist Zufall",
            "den DHCP-Server finden, der dort nicht vorgesehen ist, und abschalten (DHCP-Snooping auf den Switches hält solche Server fern); sind beide gewollt, müssen sie dasselbe ausgeben",
        ),
        K::NoTimeServer => (
            "{seen}, und das Produkt bezieht seine Zeit von dort",
            "den DHCP-Server einen Zeitserver ausgeben lassen (Option 42; bei DHCPv6 Option 56 oder 31)",
        ),
        K::NobodyAnswers => (
            "im lokalen Netz antwortet niemand an {hosts}",
            "prüfen, ob das Gerät eingeschaltet ist; Multicast zwischen beiden durchlassen: Client-Isolation, IGMP- und MLD-Snooping",
        ),
        K::NatVaries => (
            "der Router oder die Firewall zeigt dieses Gerät jeder Gegenstelle unter anderer Adresse oder anderem Port: {seen} (RFC 4787, gesehen bei {hosts})",
            "die Zuordnung von UDP unabhängig vom Ziel beibehalten (Endpoint-Independent Mapping, Consistent NAT) oder die Sprachports an dieses Gerät weiterleiten",
        ),
        K::SipRewritten => (
            "ein Router oder eine Firewall auf dem Weg zu {hosts} schreibt SIP um: {seen}",
            "das SIP-ALG (auch SIP-Helper, SIP-Inspection oder Session-Helper) im Router oder in der Firewall abschalten",
        ),
        K::RtpBlocked => (
            "Sprachports zu {hosts} sind gesperrt: {seen}",
            "UDP zu {hosts} auf dem ganzen Portbereich erlauben",
        ),
        K::SpeechPoor => (
            "Sprache zu {hosts} leidet auf dem Weg: {seen}",
            "der Sprache im Router Vorrang geben (DSCP 46, „EF“ nach RFC 3246), prüfen, ob der Anschluss ausgelastet ist und ob WLAN auf dem Weg liegt; ist dieses Netz in Ordnung, den Anbieter des Anschlusses fragen",
        ),
        K::NotPermitted => (
            "{seen}",
            "die Prüfung mit den Rechten ausführen, die sie verlangt",
        ),
    };
    Said { what, act }
}
