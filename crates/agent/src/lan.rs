//! What the device does on its local network.

mod interfaces;
pub mod membership;
pub mod names;
pub mod neighbours;
pub mod ping;
pub mod surroundings;
