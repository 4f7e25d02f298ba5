//! HTTP over a connection that has come through the door.
