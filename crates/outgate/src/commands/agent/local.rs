//! Asks the agent that runs on this machine.

use anyhow::{Context as _, anyhow};
use outgate_agent::config::Config;
use outgate_agent::local::TOKEN_FILE;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::output::{Failure, read_bounded};

/// The most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// The most bytes of the token's file.
const MAX_TOKEN: usize = 256;

/// How the agent is, by what it says itself.
pub(super) async fn status(config: &Config) -> Result<Value, Failure> {
    let builder = reqwest::Client::builder()
        // Nothing leaves the machine: there is no TLS, and no proxy.
        .tls_backend_preconfigured(no_tls().map_err(Failure::Internal)?)
        .no_proxy()
        .timeout(std::time::Duration::from_secs(10));
    let built = |builder: reqwest::ClientBuilder| {
        let built = builder.build().context("failed to make a client");
        built.map_err(Failure::Internal)
    };
    let request = match (&config.local.socket, config.local.listen) {
        (Some(socket), _) => {
            let client = built(builder.unix_socket(socket.clone()))?;
            client.get("http://agent/status")
        }
        (None, Some(address)) => {
            let path = config.data.join(TOKEN_FILE);
            let token = read_bounded(&path, MAX_TOKEN).map_err(Failure::Input)?;
            let token = String::from_utf8_lossy(&token).trim().to_owned();
            let client = built(builder)?;
            client
                .get(format!("http://{address}/status"))
                .bearer_auth(token)
        }
        (None, None) => {
            let advice = "the agent listens nowhere: give it local.socket or local.listen";
            return Err(Failure::input(advice));
        }
    };
    let failed = "failed to ask the agent; does it run? (outgate agent run)";
    let answer = request.send().await.context(failed);
    let answer = answer.map_err(Failure::Refused)?;
    let (status, body) = (answer.status(), answer.bytes().await);
    let body = body
        .context("the agent broke off")
        .map_err(Failure::Refused)?;
    if !status.is_success() || body.len() > MAX_ANSWER {
        return Err(Failure::Refused(anyhow!("the agent answered {status}")));
    }
    let read = serde_json::from_slice(&body).context("the agent did not answer in JSON");
    read.map_err(Failure::Refused)
}

/// A client's settings where there is no TLS.
pub(crate) fn no_tls() -> anyhow::Result<ClientConfig> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("failed to set up TLS")?;
    let roots = RootCertStore::empty();
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
