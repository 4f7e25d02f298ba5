//! What the device does on its networks for whoever is there, against other people's programs on
//! another machine of the same network.

#![cfg(test)]
#![cfg(all(feature = "namespaces", feature = "peers"))]

mod llmnr;
mod mdns;
mod ping;
mod stage;
