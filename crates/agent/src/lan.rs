//! What the device does on its local network.

mod interfaces;
pub mod names;
pub mod neighbours;
pub mod ping;
pub mod surroundings;
