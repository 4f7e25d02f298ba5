//! Asks the agent that runs on this machine.

use anyhow::{Context as _, anyhow};
use outgate_agent::config::Config;
use outgate_agent::local::TOKEN_FILE;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::output::{Failure, read_bounded};

/// The most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// The most bytes of the token's file.
const MAX_TOKEN: usize = 256;

/// How the agent is, by what it says itself.
pub(super) async fn status(config: &Config) -> Result<Value, Failure> {
    get(config, "status").await
}

/// What the agent says under a path.
pub(super) async fn get(config: &Config, path: &str) -> Result<Value, Failure> {
    let (status, body) = answer(request(config, Method::GET, &[path], None)?).await?;
    if !status.is_success() {
        return Err(refused(status, &body));
    }
    let read = serde_json::from_slice(&body).context("the agent did not answer in JSON");
    read.map_err(Failure::Refused)
}

/// Has the agent do something; `by` says who wants it.
pub(super) async fn post(config: &Config, path: &[&str], by: Option<&str>) -> Result<(), Failure> {
    let (status, body) = answer(request(config, Method::POST, path, by)?).await?;
    if !status.is_success() {
        return Err(refused(status, &body));
    }
    Ok(())
}

fn request(
    config: &Config,
    method: Method,
    path: &[&str],
    by: Option<&str>,
) -> Result<RequestBuilder, Failure> {
    let builder = reqwest::Client::builder()
        // Nothing leaves the machine: there is no TLS, and no proxy.
        .tls_backend_preconfigured(no_tls().map_err(Failure::Internal)?)
        .no_proxy()
        .timeout(std::time::Duration::from_secs(10));
    let built = |builder: reqwest::ClientBuilder| {
        let built = builder.build().context("failed to make a client");
        built.map_err(Failure::Internal)
    };
    let at = |address: &str| {
        let url = Url::parse(&format!("http://{address}/"));
        let mut url = url.context("failed to name the agent")?;
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.pop_if_empty().extend(path);
        }
        if let Some(by) = by {
            url.query_pairs_mut().append_pair("by", by);
        }
        anyhow::Ok(url)
    };
    match (&config.local.socket, config.local.listen) {
        (Some(socket), _) => {
            let client = built(builder.unix_socket(socket.clone()))?;
            Ok(client.request(method, at("agent").map_err(Failure::Internal)?))
        }
        (None, Some(address)) => {
            let token = config.data.join(TOKEN_FILE);
            let token = read_bounded(&token, MAX_TOKEN).map_err(Failure::Input)?;
            let token = String::from_utf8_lossy(&token).trim().to_owned();
            let client = built(builder)?;
            let url = at(&address.to_string()).map_err(Failure::Internal)?;
            Ok(client.request(method, url).bearer_auth(token))
        }
        (None, None) => {
            let advice = "the agent listens nowhere: give it local.socket or local.listen";
            Err(Failure::input(advice))
        }
    }
}

async fn answer(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Failure> {
    let failed = "failed to ask the agent; does it run? (outgate agent run)";
    let answer = request.send().await.context(failed);
    let answer = answer.map_err(Failure::Refused)?;
    let (status, body) = (answer.status(), answer.bytes().await);
    let body = body
        .context("the agent broke off")
        .map_err(Failure::Refused)?;
    if body.len() > MAX_ANSWER {
        return Err(Failure::Refused(anyhow!("the agent answered too much")));
    }
    Ok((status, body.into()))
}

/// What the agent says of why not.
fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let problem: Option<Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|it| it.get("detail")?.as_str());
    let detail = detail.map(|detail| format!(": {}", crate::table::harmless(detail)));
    let detail = detail.unwrap_or_default();
    Failure::Refused(anyhow!("the agent answered {status}{detail}"))
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
