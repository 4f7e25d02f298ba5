//! What the device does on its local network.

pub mod neighbours;
pub mod surroundings;
