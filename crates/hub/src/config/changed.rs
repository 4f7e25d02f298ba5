//! What a configuration that is read anew may change while the hub runs.

use super::{Azure, Config};

/// The keys whose values differ between the two and that nothing looks at again once the hub has
/// started. What is not named here is taken up at once.
pub(crate) fn only_at_start(before: &Config, after: &Config) -> Vec<&'static str> {
    // In full, so that whoever adds a key has to say which kind it is.
    let Config {
        data,
        server_reference: _,
        listen,
        certificate,
        names,
        connections: _,
        connections_a_source: _,
        rates: _,
        keep_events: _,
        keep_event_bytes: _,
        device_logs,
        files,
        origins: _,
        policies: _,
        mqtt: _,
        log_format,
        log_filter: _,
        metrics_open_to: _,
        traces,
        plain_webhooks_to,
        webhook_authority,
        echo,
        signalr,
        firebase,
        live,
        push,
        azure,
        aws: _,
    } = before;
    let depot = files.elsewhere == after.files.elsewhere;
    let same = [
        ("data", *data == after.data),
        ("listen", *listen == after.listen),
        ("tls", *certificate == after.certificate),
        ("tls.names", *names == after.names),
        ("logs.format", *log_format == after.log_format),
        (
            "device-logs.forward",
            device_logs.forward == after.device_logs.forward,
        ),
        ("files.s3 or files.azure", depot),
        ("traces", *traces == after.traces),
        (
            "webhooks.plain-http-to",
            *plain_webhooks_to == after.plain_webhooks_to,
        ),
        (
            "webhooks.authority",
            *webhook_authority == after.webhook_authority,
        ),
        ("echo", *echo == after.echo),
        ("signalr", *signalr == after.signalr),
        ("firebase", *firebase == after.firebase),
        ("live", *live == after.live),
        ("push", *push == after.push),
        ("azure.policies", !is_first_policy(azure, &after.azure)),
    ];
    let differ = same.into_iter().filter(|(_, same)| !same);
    differ.map(|(key, _)| key).collect()
}

/// Whether there were no policies and are some: without any, nothing is served where back ends ask.
fn is_first_policy(before: &Azure, after: &Azure) -> bool {
    before.policies.is_empty() && !after.policies.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn read(text: &str) -> Config {
        Config::new(text, Overrides::default()).unwrap()
    }

    #[test]
    fn each_key_that_needs_a_new_start_is_named() {
        let before = read("");
        for (text, key) in [
            ("data = '/elsewhere'", "data"),
            ("[[listen]]\naddress = '[::1]:1'", "listen"),
            ("[tls]\ncertificate = 'a'\nkey = 'b'", "tls"),
            ("[tls]\nnames = ['a']", "tls.names"),
            ("[logs]\nformat = 'json'", "logs.format"),
            ("[traces]\nendpoint = 'http://localhost:4318'", "traces"),
            (
                "[webhooks]\nplain-http-to = ['10.0.0.0/8']",
                "webhooks.plain-http-to",
            ),
            ("[webhooks]\nauthority = 'a'", "webhooks.authority"),
            ("[[signalr.hubs]]\nname = 'a'", "signalr"),
            (
                "[device-logs.forward]\nendpoint = 'http://localhost:4318'",
                "device-logs.forward",
            ),
            (
                "[files.s3]\nbucket = 'a'\nkey-id = 'b'\nkey-file = 'c'",
                "files.s3 or files.azure",
            ),
            ("[firebase]\nnamespaces = ['pos']", "firebase"),
            ("[live]\ntoken-minutes = 5", "live"),
            ("[push.fcm]\naccount = 'a'", "push"),
            ("[azure]\npolicies.a = ['registry-read']", "azure.policies"),
        ] {
            assert_eq!(only_at_start(&before, &read(text)), [key], "{text}");
        }
    }

    #[test]
    fn policies_of_azure_may_change_and_go_once_there_is_one() {
        let one = read("[azure]\npolicies.a = ['registry-read']");
        let two = read("[azure]\npolicies.b = ['registry-read']\npolicies.c = []");
        for after in [two, read("")] {
            assert!(only_at_start(&one, &after).is_empty());
        }
    }

    #[test]
    fn what_is_looked_at_again_may_change() {
        for text in [
            "[logs]\nfilter = 'debug'\n[metrics]\nopen-to = []",
            "server-reference = 'b:1'",
            "[mqtt.policies.p]\npublish = []",
            "[mqtt.limits]\nin-flight = 7",
            "[limits]\nconnections = 7\nconnections-a-source = 7\nevents-a-second = 7",
            "[limits]\nmessages-a-second = 7\nreports-a-second = 7\nsubscriptions-a-second = 7",
            "[events]\nkeep-days = 7\nkeep-mebibytes = 77",
            "[device-logs]\nkeep-days = 7\nkeep-mebibytes = 77",
            "[files]\nkeep-days = 7\nfile-mebibytes = 7\ndevice-mebibytes = 7\ndevice-files = 7",
            "[browsers]\norigins = ['https://shop.example']",
            "[azure]\nhub-names = ['vendor.azure-devices.net']",
        ] {
            let keys = only_at_start(&read(""), &read(text));
            assert!(keys.is_empty(), "{text} {keys:?}");
        }
    }
}
