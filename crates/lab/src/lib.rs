//! The lab: a customer's site in private network namespaces, and everything that can be wrong
//! with it.
//!
//! A [`Scenario`] is data: a product, [`Fault`]s, and the causes that a check should name. A
//! [`Site`] is the network in which it comes true:
//!
//! ```text
//!  device ──┐
//!  neighbour├── LAN ── router (nftables, NAT) ── internet (a server a name)
//!  services ┘  (name server, proxy)
//! ```
//!
//! All of it lives in namespaces that [`enter`] makes and that end with the process, however it
//! ends; nothing of the host's own network, mounts or files is touched. [`Inside`] is the proof
//! that a process is in them, and without it there is no [`Site`].
//!
//! A [`Town`] is several sites with nothing wrong, and the vendor's servers between them.
//!
//! Whoever writes a test starts itself anew inside, as `outgate lab run` does:
//!
//! 1. outside, [`enter`] runs this program again with other arguments in namespaces of its own;
//! 2. inside, [`Inside::here`], then [`Site::build`], then [`Site::run`] for what the device does.

mod enter;
mod fault;
mod library;
mod network;
mod rules;
mod scenario;
mod site;
mod topology;
mod town;
mod world;

pub use enter::{EnterError, Inside, NotInside, enter};
pub use fault::{Blocked, DnsAnswer, Fault, HandedOut, Nat, Serving, Transport, Way};
pub use library::{PRODUCTS, scenarios};
pub use scenario::{BadScenarios, Expected, Scenario, read};
pub use site::{Site, SiteError};
pub use town::{Plot, Town};
pub use world::{Service, Speaks, services};
