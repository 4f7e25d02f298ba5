//! What `prometheus-blackbox-exporter` says of the same site, in the device's place.

use outgate_lab::Scenario;

use crate::support::{outgate, stderr, stdout};

/// Where the peers' programs are unpacked; without it the exporter is left out.
const PEERS: &str = "OUTGATE_PEERS";
const PROGRAM: &str = "debian/usr/bin/prometheus-blackbox-exporter";

/// Module and target for each lane of `lab-box` that the exporter can say something about.
const PROBES: [(&str, &str); 9] = [
    ("https", "https://api.box.test/"),
    ("https", "https://files.box.test/"),
    ("https", "https://sign.box.test/"),
    ("tls", "live.box.test:443"),
    ("tls", "mq.box.test:8883"),
    ("http", "http://updates.box.test/"),
    ("tcp", "support.box.test:5938"),
    ("dns", "10.10.0.53"),
    ("icmp", "api.box.test"),
];

/// Its modules; @CA@ is whom the device trusts.
const MODULES: &str = "modules:
  https: { prober: http, timeout: 4s, http: { tls_config: { ca_file: @CA@ }, fail_if_not_ssl: true } }
  http: { prober: http, timeout: 4s, http: { follow_redirects: false } }
  tls: { prober: tcp, timeout: 4s, tcp: { tls: true, tls_config: { ca_file: @CA@ } } }
  tcp: { prober: tcp, timeout: 4s }
  dns: { prober: dns, timeout: 4s, dns: { query_name: api.box.test, query_type: A } }
  icmp: { prober: icmp, timeout: 4s }
";

/// Starts it, waits for the line that says that it listens, asks for all probes at once, and
/// prints a line each.
const SCRIPT: &str = r#"
sed "s|@CA@|$SSL_CERT_FILE|" > /run/blackbox.yml
"$0" --config.file=/run/blackbox.yml --web.listen-address=127.0.0.1:9115 2>&1 | {
  grep -q -m1 'Listening on'
  cat > /dev/null &
  while [ $# -gt 0 ]; do
    curl -sS --max-time 30 -G http://127.0.0.1:9115/probe -d "module=$1" --data-urlencode "target=$2" \
      | grep '^probe_success ' &
    asked="$asked $!"
    shift 2
  done
  wait $asked
  kill 0
}
"#;

/// How many of its probes fail, of how many; none where it is not installed or has nothing to say.
pub(super) fn run(scenario: &Scenario) -> Option<(usize, usize)> {
    let program = std::path::Path::new(&std::env::var_os(PEERS)?).join(PROGRAM);
    let direct = scenario.product == "lab-box" && scenario.arguments.is_empty();
    if !direct || !program.exists() {
        return None;
    }
    // The modules are the script's input, which a lab passes on.
    let script = format!("cat <<'MODULES' |\n{MODULES}MODULES\n{{\n{SCRIPT}\n}}");
    let program = program.to_string_lossy().into_owned();
    let mut words = vec![
        "lab",
        "run",
        &scenario.name,
        "--",
        "setsid",
        "-w",
        "sh",
        "-c",
        &script,
        &program,
    ];
    for (module, target) in PROBES {
        words.extend([module, target]);
    }
    let ran = outgate(words);
    let told = stdout(&ran);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines.len(),
        PROBES.len(),
        "{}: {told}{}",
        scenario.name,
        stderr(&ran)
    );
    let failed = lines.iter().filter(|line| line.ends_with(" 0")).count();
    Some((failed, lines.len()))
}
