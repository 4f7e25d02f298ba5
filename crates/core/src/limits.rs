//! What one device, and the hub as a whole, may ask for.

/// The most bytes of an event's, command's or call's payload (that of Azure IoT Hub).
pub const MAX_EVENT: usize = 262_144;
