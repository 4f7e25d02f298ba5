//! Which proxies a check goes through.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use outgate_probe::{
    Login, NoProxy, Proxy, ProxyChoice, ProxyEnvironment, ProxyScript, Proxying, Script,
};

use crate::output::{Failure, read_bounded};

/// The largest file with a login that is read, in bytes.
const MAX_LOGIN_BYTES: usize = 1024;
/// The largest script that is read, in bytes.
const SCRIPT_MAX: usize = 1 << 20;
/// In place of a script's URL: where a network's own script is by custom.
const WPAD: &str = "wpad";
/// What [`WPAD`] stands for.
const WPAD_URL: &str = "http://wpad/wpad.dat";
/// In place of a script's URL: where the site's DHCP server says.
const DHCP: &str = "dhcp";
/// In place of a URL: go direct.
const NONE: &str = "none";
/// In place of a URL: as the environment says.
const ENVIRONMENT: &str = "env";

/// The options that say which proxies TCP connections go through.
#[derive(Args, Clone)]
pub(crate) struct ProxyArgs {
    /// The proxy for TCP: http://, https://, socks5:// (names resolved here) or socks5h://
    /// HOST:PORT, with USER:PASSWORD@ before it where it wants a login; `none`; or `env`: by
    /// https_proxy, http_proxy, all_proxy and no_proxy as with curl [default: env]
    #[arg(
        long,
        value_name = "URL",
        env = "OUTGATE_PROXY",
        hide_env_values = true
    )]
    proxy: Option<String>,
    /// A proxy script that says for each destination how to go: a file, an http:// or https:// URL,
    /// `wpad` for http://wpad/wpad.dat in this network's search domain, or `dhcp` for where the
    /// DHCP server says (option 252)
    #[arg(long, value_name = "URL|FILE", conflicts_with_all = ["proxy", "proxy_login"])]
    proxy_script: Option<String>,
    /// A file with USER:PASSWORD for the proxy, in place of a login in its URL
    #[arg(long, value_name = "FILE")]
    proxy_login: Option<PathBuf>,
    /// Names, addresses and networks that are reached without a proxy, separated by commas, in
    /// place of those in no_proxy
    #[arg(long, value_name = "HOSTS")]
    no_proxy: Option<String>,
}

impl ProxyArgs {
    /// As an agent's configuration has it.
    pub(crate) fn of_agent(proxy: &outgate_agent::config::Proxy) -> Self {
        Self {
            proxy: proxy.url.clone(),
            proxy_script: proxy.script.clone(),
            proxy_login: proxy.login_file.clone(),
            no_proxy: proxy.no_proxy.clone(),
        }
    }

    /// The proxies, by these options and the environment. What goes wrong never tells a login.
    pub(crate) fn proxying(&self) -> Result<Proxying, Failure> {
        let (environment, no_proxy) = ProxyEnvironment::read(|name| std::env::var(name).ok())
            .map_err(|(name, error)| {
                Failure::Input(anyhow!(error).context(format!("failed to use {name}")))
            })?;
        let choice = match self
            .proxy
            .as_deref()
            .filter(|_| self.proxy_script.is_none())
        {
            None if self.proxy_script.is_some() => self.script()?,
            None | Some(ENVIRONMENT) => ProxyChoice::Environment,
            Some(NONE | "") => ProxyChoice::None,
            Some(url) => {
                let proxy: Proxy = url
                    .parse()
                    .context("failed to use --proxy")
                    .map_err(Failure::Input)?;
                ProxyChoice::Always(proxy)
            }
        };
        let no_proxy = match &self.no_proxy {
            Some(list) => NoProxy::new(list),
            None => no_proxy,
        };
        Ok(Proxying {
            choice: self.with_login(choice)?,
            environment,
            no_proxy,
        })
    }

    fn script(&self) -> Result<ProxyChoice, Failure> {
        let place = self.proxy_script.as_deref().unwrap_or_default();
        if place.contains("://") {
            return Ok(ProxyChoice::Script(ProxyScript::At(place.to_owned())));
        }
        if place == WPAD {
            return Ok(ProxyChoice::Script(ProxyScript::At(WPAD_URL.to_owned())));
        }
        if place == DHCP {
            return Ok(ProxyChoice::Script(ProxyScript::HandedOut));
        }
        let bytes = read_bounded(Path::new(place), SCRIPT_MAX).map_err(Failure::Input)?;
        let script = Script::new(&String::from_utf8_lossy(&bytes))
            .with_context(|| format!("failed to use {place} for --proxy-script"))
            .map_err(Failure::Input)?;
        Ok(ProxyChoice::Script(ProxyScript::Here(script)))
    }

    fn with_login(&self, choice: ProxyChoice) -> Result<ProxyChoice, Failure> {
        let Some(file) = &self.proxy_login else {
            return Ok(choice);
        };
        let ProxyChoice::Always(proxy) = choice else {
            return Err(Failure::input(
                "--proxy-login needs a proxy: give --proxy URL",
            ));
        };
        let bytes = read_bounded(file, MAX_LOGIN_BYTES).map_err(Failure::Input)?;
        let text = String::from_utf8_lossy(&bytes);
        let context = || format!("failed to use {} for --proxy-login", file.display());
        let login = Login::read(&text)
            .with_context(context)
            .map_err(Failure::Input)?;
        Ok(ProxyChoice::Always(proxy.with_login(login)))
    }
}
