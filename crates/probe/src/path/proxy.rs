//! Proxies: which one a connection goes through, chosen as curl chooses.

mod choice;
mod login;
mod no_proxy;
mod url;

pub use choice::{ProxyChoice, ProxyEnvironment, Proxying};
pub use login::{Login, LoginError};
pub use no_proxy::NoProxy;
pub use url::{Proxy, ProxyError, ProxyKind};
